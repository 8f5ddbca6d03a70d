"""A script's output on its way into reports: bytes to lines, lines to batches, within bounds.

scripts.py feeds it; it hands on ScriptOutput reports. It knows no processes and no sockets.
"""

import asyncio
from collections.abc import Callable

from tocsin.model.link import Report, ScriptOutput

# A longer line is split: consoles and log stores choke on lines of megabytes, and a frame has a limit.
LINE_BYTES_MAX = 16 << 10
# A batch goes out after this time, or when it has this size: people watch, and every batch costs one sync of the disk.
BATCH_S = 0.1
BATCH_BYTES_MAX = 64 << 10
LINE_COST_BYTES = 32  # what a line costs in a frame besides its text, so that empty lines fill a batch too


class Splitter:
    """Cuts bytes into lines of text. Whatever is no UTF-8 is replaced, and so is NUL, which some stores cannot hold."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [_text(part) for line in whole for part in _parts(line)]
        *full, self._rest = _parts(self._rest)
        return lines + [_text(part) for part in full]

    def finish(self) -> list[str]:
        """The last line, when it did not end in a newline."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _parts(line: bytes) -> list[bytes]:
    """At least one part, none longer than LINE_BYTES_MAX, cut between characters."""
    parts = []
    while len(line) > LINE_BYTES_MAX:
        cut = LINE_BYTES_MAX
        while cut > LINE_BYTES_MAX - 4 and line[cut] & 0xC0 == 0x80:  # a continuation byte; a character has at most 4
            cut -= 1
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


class Transcript:
    """The output of one work. `say` adds a line of our own, `feed` bytes of the script's, of which at most
    `bytes_max` are kept; the rest is counted."""

    def __init__(self, work: str, bytes_max: int, file: Callable[[Report], object], now_ms: Callable[[], int]) -> None:
        self._work = work
        self._room = bytes_max
        self._bytes_max = bytes_max
        self._left_out = 0
        self._file = file
        self._now_ms = now_ms
        self._splitter = Splitter()
        self._lines: list[tuple[int, str]] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def say(self, line: str) -> None:
        self._add([line])

    def feed(self, data: bytes) -> None:
        kept = data[: self._room]
        self._room -= len(kept)
        self._left_out += len(data) - len(kept)
        self._add(self._splitter.feed(kept))

    def finish(self) -> None:
        """The script's output is complete."""
        self._add(self._splitter.finish())
        if self._left_out:
            self.say(f"[Tocsin] {self._left_out} bytes of output were left out: the limit is {self._bytes_max}")

    def flush(self) -> None:
        """Hand on what is there. Nothing is handed on later unless more is said."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines, self._size = tuple(self._lines), [], 0
            self._file(ScriptOutput(n=0, work=self._work, lines=lines))

    def _add(self, lines: list[str]) -> None:
        now_ms = self._now_ms()
        for line in lines:
            self._lines.append((now_ms, line))
            self._size += len(line.encode()) + LINE_COST_BYTES
            if self._size >= BATCH_BYTES_MAX:
                self.flush()
        if self._lines and not self._timer:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self.flush)
