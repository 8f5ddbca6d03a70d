"""The kernel's log, /dev/kmsg, by readiness: a record is read when it is written, and nothing is polled.

A record is `priority,sequence,microseconds,flags;text`, continued by lines that begin with a blank. The priority holds
the facility: 0 is the kernel, and only it writes 0 (facts/health.md §6.1).
"""

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from tocsin.agent.sources.files import FollowedFile
from tocsin.model.health import Line

log = logging.getLogger(__name__)

SOURCE = "kmsg"
RECORD_BYTES_MAX = 8192  # the kernel gives a record whole or not at all, and none is longer
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FACILITY_SHIFT = 3
LEVEL_MASK = 7


def parse(record: str, boot: str, at_ms: int) -> Line | None:
    """A record as a line; None when it is none. `at_ms` is when it was written."""
    head, separator, text = record.partition(";")
    fields = head.split(",")
    if not separator or len(fields) < 3 or not (fields[0].isdecimal() and fields[1].isdecimal()):
        return None
    priority = int(fields[0])
    return Line(
        source=SOURCE,
        text=text.partition("\n")[0],
        at_ms=at_ms,
        facility=priority >> FACILITY_SHIFT,
        level=priority & LEVEL_MASK,
        place=f"{boot}:{fields[1]}",
    )


def sequence(place: str, boot: str) -> int:
    """The sequence number of a remembered place; -1 when it is of another boot, or none."""
    known, _, number = place.rpartition(":")
    return int(number) if known == boot and number.isdecimal() else -1


class KernelLog:
    """`after` is the place that was reported last; what stands behind it is read anew. `take` gets every new line."""

    def __init__(self, path: Path, boot: str, after: str, take: Callable[[Line], None]) -> None:
        self._path = path
        self._boot = boot
        self._after = sequence(after, boot)
        self._take = take
        self._file: FollowedFile | None = None
        self._fd = -1

    def open(self) -> None:
        """Begin to read. Raises OSError when the log cannot be opened. A path that is a plain file is followed."""
        if self._path.is_char_device():
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            asyncio.get_running_loop().add_reader(self._fd, self._ready)
            return
        self._path.touch(mode=0o600)
        self._file = FollowedFile(self._path, self._written, from_start=True)
        self._file.open()

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self._file:
            self._file.close()

    def _ready(self) -> None:
        overrun = False
        while True:
            try:
                record = os.read(self._fd, RECORD_BYTES_MAX)
            except BlockingIOError:
                if overrun:
                    log.warning(
                        "%s: records were overwritten before they were read; faults in them went by", self._path
                    )
                return
            except OSError as error:
                if error.errno != errno.EPIPE:  # EPIPE: records were overwritten before we came; the next read goes on
                    log.error("cannot read %s: %s", self._path, error)
                    self.close()
                    return
                overrun = True
                continue
            self._hand_on(record.decode(errors="replace"), None)

    def _written(self, text: str) -> None:
        self._hand_on(text, time.time_ns() // 1_000_000)

    def _hand_on(self, record: str, at_ms: int | None) -> None:
        line = parse(record, self._boot, _written_at_ms(record) if at_ms is None else at_ms)
        if line and sequence(line.place, self._boot) > self._after:
            self._take(line)


def _written_at_ms(record: str) -> int:
    """When the kernel wrote it: microseconds since boot, on a clock that stands still while the machine sleeps."""
    micros = record.split(",", 3)[2] if record.count(",") >= 2 else ""
    boot_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
    return boot_ms + int(micros) // 1000 if micros.isdecimal() else time.time_ns() // 1_000_000


def kernel_boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
