"""A log file, followed through inotify: read when it is written, across truncation and rotation.

No package offers inotify to asyncio without a thread; the three calls it takes are made here.
"""

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
# Of a line without an end; a writer that never ends its line is not kept in memory for ever.
LINE_BYTES_MAX = 16 << 10
# From linux/inotify.h: content changed; in the folder: a file was made or moved here.
IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100
EVENTS_BYTES = 4096


class FollowedFile:
    """`take` gets each line, without its end. `from_start`: what is there already is read as well."""

    def __init__(self, path: Path, take: Callable[[str], None], *, from_start: bool = False) -> None:
        self._path = path
        self._take = take
        self._from_start = from_start
        self._notify = -1
        self._file = -1
        self._rest = b""

    def open(self) -> None:
        """Begin to follow. A file that is not there yet is taken up when it comes. Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._notify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        folder = os.fsencode(self._path.parent)
        if self._notify < 0 or libc.inotify_add_watch(self._notify, folder, IN_MODIFY | IN_MOVED_TO | IN_CREATE) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(self._path.parent))
        self._reopen(from_start=self._from_start)
        asyncio.get_running_loop().add_reader(self._notify, self._ready)
        self._read()

    def close(self) -> None:
        if self._notify >= 0:
            asyncio.get_running_loop().remove_reader(self._notify)
            os.close(self._notify)
        if self._file >= 0:
            os.close(self._file)
        self._notify = self._file = -1

    def _reopen(self, *, from_start: bool) -> None:
        try:
            fresh = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        if self._file >= 0:
            os.close(self._file)
        self._file, self._rest = fresh, b""
        if not from_start:
            os.lseek(fresh, 0, os.SEEK_END)

    def _ready(self) -> None:
        try:
            os.read(self._notify, EVENTS_BYTES)
        except BlockingIOError:
            return
        self._read()
        if self._replaced():
            self._reopen(from_start=True)
            self._read()

    def _replaced(self) -> bool:
        """Whether another file bears the name by now, or this one was emptied."""
        try:
            there = self._path.stat()
        except OSError:
            return False
        if self._file < 0:
            return True
        ours = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino) or there.st_size < os.lseek(
            self._file, 0, os.SEEK_CUR
        )

    def _read(self) -> None:
        while self._file >= 0 and (data := os.read(self._file, READ_BYTES)):
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[:LINE_BYTES_MAX]
            for line in lines:
                self._take(line.decode(errors="replace"))
