"""The system as a whole: clock, processes, open files, daemons."""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

from tocsin.model.health import Reading

STA_UNSYNC = 0x40  # linux/timex.h: the kernel's clock follows no other
TIMEX_BYTES = 208  # struct timex
STATUS_AT = 5 * ctypes.sizeof(ctypes.c_long)  # its `status`, behind modes, offset, freq, maxerror and esterror


class Clock:
    """Remembers whether the clock was ever synchronised: in a container, or a test machine, it never is."""

    def __init__(self) -> None:
        self.synchronised = False

    def read(self, at_ms: int) -> list[Reading]:
        status = clock_status()
        if status is None:
            return []
        loose = bool(status & STA_UNSYNC)
        self.synchronised = self.synchronised or not loose
        value = 1 if loose and self.synchronised else 0
        words = "the clock follows no other any more"
        return [Reading(check="clock.unsynchronised", subject="clock", value=value, at_ms=at_ms, text=words)]


def clock_status() -> int | None:
    """`status` of adjtimex(2), asked without changing anything; None where that cannot be asked."""
    timex = (ctypes.c_char * TIMEX_BYTES)()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return None
    return int.from_bytes(timex.raw[STATUS_AT : STATUS_AT + 4], sys.byteorder)


def processes(daemons: Iterable[str], root: Path, at_ms: int) -> list[Reading]:
    """Zombies, how many processes there may still be, and whether the daemons are there."""
    import psutil

    names: set[str] = set()
    zombies = count = 0
    for process in psutil.process_iter(["name", "status"]):
        count += 1
        zombies += process.info["status"] == psutil.STATUS_ZOMBIE
        names.add(process.info["name"] or "")
    most = _first(root / "proc/sys/kernel/pid_max")
    words = f"there are {zombies} zombies"
    readings = [Reading(check="processes.zombies", subject="processes", value=zombies, at_ms=at_ms, text=words)]
    if most:
        words = f"there are {count} processes, and {most} may be"
        used = 100 * count / most
        readings.append(
            Reading(check="processes.used_percent", subject="processes", value=used, at_ms=at_ms, text=words)
        )
    for name in daemons:
        value = 0 if name in names else 1
        words = f"no process {name} is running"
        readings.append(Reading(check="daemon.down", subject=name, value=value, at_ms=at_ms, text=words))
    return readings


def open_files(root: Path, at_ms: int) -> list[Reading]:
    try:
        taken, _, most = (root / "proc/sys/fs/file-nr").read_text().split()
    except (OSError, ValueError):
        return []
    used = 100 * int(taken) / max(int(most), 1)
    words = f"{taken} files are open, and {most} may be"
    return [Reading(check="files.used_percent", subject="files", value=used, at_ms=at_ms, text=words)]


def _first(place: Path) -> int:
    try:
        return int(place.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
