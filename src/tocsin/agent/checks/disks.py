"""What disks say of themselves (SMART): by smartctl, where it is installed, and seldom: it wakes a disk that sleeps."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tocsin.model.health import Reading

EVERY_MS = 600_000
TIME_LIMIT_S = 10.0  # a disk that does not answer by then is told by other checks
DISKS_MAX = 64  # looked at in one round
_DISK = re.compile(r"nvme\d+n\d+|sd[a-z]+")
# Bits of an NVMe disk's critical warning (NVM Express base specification, SMART / Health Information).
TOO_HOT = 0b10
BAD_SECTORS = (197, 198)  # attributes of an ATA disk: pending, and not to be corrected

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Smart:
    """Asks every ten minutes."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._blocks = root / "sys/block"
        self._asked_ms = 0

    def due(self, at_ms: int) -> bool:
        return at_ms - self._asked_ms >= EVERY_MS and shutil.which("smartctl") is not None

    async def read(self, at_ms: int) -> list[Reading]:
        self._asked_ms = at_ms
        names = sorted(one.name for one in self._blocks.glob("*") if _DISK.fullmatch(one.name))[:DISKS_MAX]
        return [reading for name in names for reading in told(name, await _asked(name), at_ms)]


def told(name: str, answer: bytes, at_ms: int) -> list[Reading]:
    """The readings of one disk in smartctl's JSON. What a disk does not say is not read."""
    try:
        said = _decode(answer)
    except msgspec.MsgspecError:
        return []
    found = dict(_found(said))
    return [
        Reading(check=f"smart.{check}", subject=name, value=value, at_ms=at_ms, text=f"{name} {WORDS[check]}: {value}")
        for check, value in found.items()
    ]


WORDS = {
    "failed": "fails its own test",
    "critical": "warns that it fails (bits of its critical warning)",
    "hot": "is too hot",
    "media_errors": "has blocks that it cannot read or write",
    "worn_percent": "has used up so many percent of its life",
}


def _found(said: dict[str, Any]) -> Iterable[tuple[str, int]]:
    passed = _at(said, "smart_status", "passed")
    if isinstance(passed, bool):
        yield "failed", int(not passed)
    log = "nvme_smart_health_information_log"
    warning = _at(said, log, "critical_warning")
    if isinstance(warning, int):
        yield "critical", warning & ~TOO_HOT
        yield "hot", int(bool(warning & TOO_HOT))
    for check, name in (("media_errors", "media_errors"), ("worn_percent", "percentage_used")):
        value = _at(said, log, name)
        if isinstance(value, int):
            yield check, value
    table = _at(said, "ata_smart_attributes", "table")
    if isinstance(table, list):
        bad = [_at(one, "raw", "value") for one in table if isinstance(one, dict) and one.get("id") in BAD_SECTORS]
        yield "media_errors", sum(value for value in bad if isinstance(value, int))


def _at(said: Any, *names: str) -> Any:
    for name in names:
        said = said.get(name) if isinstance(said, dict) else None
    return said


async def _asked(name: str) -> bytes:
    """smartctl's exit code has bits for what is wrong with the disk: its answer counts whatever it is."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *("smartctl", "--json=c", "--health", "--attributes", f"/dev/{name}"),
        stdin=quiet,
        stdout=asyncio.subprocess.PIPE,
        stderr=quiet,
    )
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            return (await process.communicate())[0]
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
