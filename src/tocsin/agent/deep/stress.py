"""InstanceStress of the host: processor, memory and disk, by stress-ng and fio, else by small tests of our own.

Ours say whether results are right; how fast they come is told besides.
"""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tocsin.agent.deep import tools
from tocsin.agent.watch import read_watching
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

MIB = 1 << 20
# A chain of digests, each of a MiB made of the one before: this is what it comes to on a processor that is well.
CHAIN_ROUNDS = 8
CHAIN_END = "c275b251"
# Of what is free. There is an end to it as well: to our own tests, which are slow, and where nodes share a host.
MEMORY_SHARE, MEMORY_BYTES_MAX = 0.25, 256 * MIB
DISK_SHARE, DISK_BYTES_MAX = 0.05, 64 * MIB
PATTERNS = (0x00, 0xFF, 0x55, 0xAA)
BLOCK = 4 * MIB
SCRATCH_FILE = "scratch"


def stress(order: RunDeepCheck, folder: Path) -> Iterator[CheckResult]:
    if shutil.which("stress-ng"):
        yield tools.stress_ng(order.seconds, _bytes_of_memory(capped=not read_watching(folder.parent).host))
    else:
        yield _named("cpu", _processor(order.seconds), "cpu-hash-mbs")
        yield _named("memory", _memory(order.seconds), "memory-mbs")
    if shutil.which("fio"):
        yield tools.fio(order.seconds, folder / SCRATCH_FILE, _bytes_on_disk(folder))
    else:
        yield _named("disk", _disk(order.seconds, folder / SCRATCH_FILE), "disk-mbs")


def _named(test: str, found: tuple[str, float], metric: str) -> CheckResult:
    """`found`: what is wrong, and how many MB a second."""
    wrong, speed = found
    return CheckResult(
        kind=DeepKind.STRESS,
        test=test,
        outcome="failed" if wrong else "passed",
        detail=wrong,
        metric=metric,
        value=speed,
        unit="MB/s",
    )


def chain() -> str:
    """The digest after so many rounds. Hashing a whole MiB lets other threads run meanwhile."""
    digest = b"tocsin" * 6
    for _ in range(CHAIN_ROUNDS):
        digest = hashlib.sha256((digest * (MIB // len(digest) + 1))[:MIB]).digest()
    return digest.hex()


def _processor(seconds: float) -> tuple[str, float]:
    """Every core hashes; one that comes to another digest is named."""
    cores = sorted(os.sched_getaffinity(0))
    wrong: list[str] = []
    rounds: list[int] = []
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=_hash_on, args=(core, end, wrong, rounds)) for core in cores]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "; ".join(sorted(wrong)), sum(rounds) * CHAIN_ROUNDS * MIB / 1e6 / (time.monotonic() - began)


def _hash_on(core: int, end: float, wrong: list[str], rounds: list[int]) -> None:
    os.sched_setaffinity(0, {core})  # of this thread alone
    done = 0
    while not done or time.monotonic() < end:
        found = chain()
        done += 1
        if not found.startswith(CHAIN_END):
            wrong.append(f"core {core} came to the digest {found[:8]}, not {CHAIN_END}")
            break
    rounds.append(done)


def _memory(seconds: float) -> tuple[str, float]:
    """Patterns into memory and back, again and again."""
    size = _bytes_of_memory(capped=True)
    if not size:
        return "there is no free memory to test", 0.0
    memory = bytearray(size)
    end, began, moved = time.monotonic() + seconds, time.monotonic(), 0
    while not moved or time.monotonic() < end:
        for pattern in PATTERNS:
            block = bytes([pattern]) * BLOCK
            for at in range(0, size, BLOCK):
                memory[at : at + BLOCK] = block
            for at in range(0, size, BLOCK):
                if memory[at : at + BLOCK] != block:
                    return f"memory lost the pattern 0x{pattern:02X} within {BLOCK} bytes from {at}", 0.0
            moved += 2 * size
    return "", moved / 1e6 / (time.monotonic() - began)


def _bytes_of_memory(*, capped: bool) -> int:
    share = int(psutil.virtual_memory().available * MEMORY_SHARE)
    return (min(share, MEMORY_BYTES_MAX) if capped else share) // BLOCK * BLOCK


def _bytes_on_disk(folder: Path) -> int:
    return int(min(shutil.disk_usage(folder).free * DISK_SHARE, DISK_BYTES_MAX)) // BLOCK * BLOCK


def _disk(seconds: float, scratch: Path) -> tuple[str, float]:
    """Random bytes onto the disk and back, as far as the system lets go of what it has in memory."""
    size = _bytes_on_disk(scratch.parent)
    if not size:
        return "there is no free disk to test", 0.0
    block = os.urandom(BLOCK)
    end, began, moved = time.monotonic() + seconds, time.monotonic(), 0
    try:
        while not moved or time.monotonic() < end:
            _write(scratch, block, size)
            wrong = _differs(scratch, block)
            if wrong:
                return wrong, 0.0
            moved += 2 * size
    finally:
        scratch.unlink(missing_ok=True)
    return "", moved / 1e6 / (time.monotonic() - began)


def _write(scratch: Path, block: bytes, size: int) -> None:
    with scratch.open("wb") as file:
        for _ in range(0, size, BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _differs(scratch: Path, block: bytes) -> str:
    with scratch.open("rb", buffering=0) as file:
        read: Callable[[], bytes] = lambda: file.read(BLOCK)  # noqa: E731
        for number, back in enumerate(iter(read, b"")):
            if back != block:
                return f"the disk gave back other bytes than were written, within {BLOCK} from {number * BLOCK}"
    return ""
