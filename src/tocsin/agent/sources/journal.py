"""systemd's journal, through `journalctl -f`: for nodes whose kernel log cannot be opened, and for its cursor.

The journal says who wrote a record: SYSLOG_FACILITY is 0 for the kernel alone. _TRANSPORT=kernel says no more than that
it came by the kernel's log, where others write too (facts/health.md §0).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.model.health import Line

log = logging.getLogger(__name__)

SOURCE = "journal"
COMMAND = ("journalctl", "--follow", "--output=json", "--dmesg", "--boot")
LINE_BYTES_MAX = 1 << 20  # a record with all its fields
RESTART_PAUSE_S = 5.0

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_record(raw: bytes) -> Line | None:
    """A record of the journal's JSON as a line; None when it is none."""
    try:
        record = _decode(raw)
        text, micros = record["MESSAGE"], int(record["__REALTIME_TIMESTAMP"])
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError):
        return None
    facility = str(record.get("SYSLOG_FACILITY", ""))
    level = str(record.get("PRIORITY", ""))
    return Line(
        source=SOURCE,
        text=text if isinstance(text, str) else "",
        at_ms=micros // 1000,
        facility=int(facility) if facility.isdecimal() else -1,
        level=int(level) if level.isdecimal() else 6,
        place=str(record.get("__CURSOR", "")),
    )


class Journal:
    """`after` is the cursor of the record that was reported last."""

    def __init__(self, after: str, take: Callable[[Line], None]) -> None:
        self._after = after
        self._take = take

    async def run(self) -> None:
        """Follow for ever. Where there is no journal, say so once and end."""
        while True:
            place = (f"--after-cursor={self._after}",) if self._after else ()
            try:
                process = await asyncio.create_subprocess_exec(
                    *COMMAND, *place, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX
                )
            except OSError as error:
                log.warning("the journal is not followed: %s", error)
                return
            try:
                await self._follow(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # until its pipe is closed too
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None, "its output is a pipe"
        with contextlib.suppress(ValueError):  # a record beyond the limit: start again behind it
            while raw := await process.stdout.readline():
                line = read_record(raw)
                if line:
                    self._after = line.place or self._after
                    self._take(line)
