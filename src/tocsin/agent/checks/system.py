"""The system as a whole: clock, processes, open files, daemons."""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tocsin.model.health import Reading

# A machine that has just booted is still starting its daemons (facts/health.md §1.3).
BOOT_GRACE_S = 300.0
STA_UNSYNC = 0x40  # linux/timex.h: the kernel's clock follows no other
TIMEX_BYTES = 208  # struct timex
LONG_BYTES = ctypes.sizeof(ctypes.c_long)
# Behind modes, offset and freq; behind these, maxerror and esterror.
MAXERROR_AT, STATUS_AT = 3 * LONG_BYTES, 5 * LONG_BYTES
# chrony sets STA_UNSYNC although it keeps the clock, so that the kernel leaves the hardware's alone. The error tells:
# it grows by itself up to this where nobody sets it.
MAXERROR_US = 16_000_000
# What a daemon that keeps the clock has while it runs: systemd-timesyncd, chrony, ntpd and NTPsec.
TIME_KEEPERS = ("run/systemd/timesync", "run/chrony/chronyd.pid", "run/chronyd.pid", "run/ntpd.pid", "run/ntpsec.pid")


class Clock:
    """Remembers whether the clock was ever synchronised. In a container or a test machine it never is, nor meant to be;
    where a daemon is there to keep it, it is to be synchronised once the machine had time to boot."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self.synchronised = False

    def read(self, at_ms: int) -> list[Reading]:
        loose = clock_is_loose()
        if loose is None:
            return []
        self.synchronised = self.synchronised or not loose
        value = int(loose and (self.synchronised or self._kept()))
        since = " any more" if self.synchronised else ", though a daemon should keep it"
        words = f"the clock follows no other{since}"
        return [Reading(check="clock.unsynchronised", subject="clock", value=value, at_ms=at_ms, text=words)]

    def _kept(self) -> bool:
        booted = _uptime_s(self._root) >= BOOT_GRACE_S
        return booted and any((self._root / one).exists() for one in TIME_KEEPERS)


def clock_is_loose() -> bool | None:
    """Whether adjtimex(2), asked without changing anything, says that nobody keeps the clock; None: it does not say."""
    timex = (ctypes.c_char * TIMEX_BYTES)()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return None
    status = int.from_bytes(timex.raw[STATUS_AT : STATUS_AT + 4], sys.byteorder)
    error_us = int.from_bytes(timex.raw[MAXERROR_AT : MAXERROR_AT + LONG_BYTES], sys.byteorder, signed=True)
    return bool(status & STA_UNSYNC) and error_us >= MAXERROR_US


class Daemon(Struct, kw_only=True):
    """What is remembered of a daemon: its process (0: none was seen yet), and how often it was another one."""

    pid: int = 0
    restarts: int = 0


class Processes:
    """Remembers the process of each daemon: one that is started again and again is never long away."""

    def __init__(self, daemons: Iterable[str], root: Path = Path("/")) -> None:
        self._daemons = tuple(daemons)
        self._root = root
        self.seen: dict[str, Daemon] = {}

    def read(self, at_ms: int) -> list[Reading]:
        """Zombies, how many processes there may still be, and whether the daemons are there."""
        import psutil

        eldest: dict[str, tuple[float, int]] = {}  # of several: workers come and go
        zombies = count = 0
        for process in psutil.process_iter(["name", "status"]):
            count += 1
            zombies += process.info["status"] == psutil.STATUS_ZOMBIE
            name = process.info["name"] or ""
            if name in self._daemons:
                eldest[name] = min((process.create_time(), process.pid), eldest.get(name, (float("inf"), 0)))
        pids = {name: pid for name, (_, pid) in eldest.items()}
        return [*_counted(count, zombies, self._root, at_ms), *self._of_daemons(pids, at_ms)]

    def _of_daemons(self, pids: dict[str, int], at_ms: int) -> Iterable[Reading]:
        if 0 < _uptime_s(self._root) < BOOT_GRACE_S:
            return
        for name in self._daemons:
            words = f"no process {name} is running"
            down = 0 if name in pids else 1
            yield Reading(check="daemon.down", subject=name, value=down, at_ms=at_ms, text=words)
            seen = self.seen.setdefault(name, Daemon())
            pid = pids.get(name, seen.pid)
            seen.restarts += seen.pid not in (0, pid)
            seen.pid = pid
            words = f"{name} was started anew {seen.restarts} times so far"
            yield Reading(check="daemon.restarts", subject=name, value=seen.restarts, at_ms=at_ms, text=words)


def _counted(count: int, zombies: int, root: Path, at_ms: int) -> list[Reading]:
    most = _first(root / "proc/sys/kernel/pid_max")
    words = f"there are {zombies} zombies"
    readings = [Reading(check="processes.zombies", subject="processes", value=zombies, at_ms=at_ms, text=words)]
    if most:
        words = f"there are {count} processes, and {most} may be"
        used = 100 * count / most
        readings.append(
            Reading(check="processes.used_percent", subject="processes", value=used, at_ms=at_ms, text=words)
        )
    return readings


def memory_errors(root: Path, at_ms: int) -> list[Reading]:
    """What the memory controllers have counted (EDAC), where the kernel drives them."""
    readings = []
    for controller in sorted(root.glob("sys/devices/system/edac/mc/mc*")):
        for check, file, what in (("edac.corrected", "ce_count", ""), ("edac.uncorrected", "ue_count", " not")):
            count = _first(controller / file)
            words = f"{controller.name} counts {count} memory errors that could{what} be corrected"
            readings.append(Reading(check=check, subject=controller.name, value=count, at_ms=at_ms, text=words))
    return readings


def open_files(root: Path, at_ms: int) -> list[Reading]:
    try:
        taken, _, most = (root / "proc/sys/fs/file-nr").read_text().split()
    except (OSError, ValueError):
        return []
    used = 100 * int(taken) / max(int(most), 1)
    words = f"{taken} files are open, and {most} may be"
    return [Reading(check="files.used_percent", subject="files", value=used, at_ms=at_ms, text=words)]


def _uptime_s(root: Path) -> float:
    """0 where it is not known."""
    try:
        return float((root / "proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0


def _first(place: Path) -> int:
    try:
        return int(place.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
