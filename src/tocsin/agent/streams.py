"""A command step's stdout or stderr on its way into reports: exact pieces of at most a line, batched, within bounds.

commands.py feeds it; it hands on CommandOutput reports. Unlike a lifecycle script's output, which is read as lines of
a log, a command's output is also an answer: put together, the pieces are what it wrote, line ends and all.
"""

import asyncio
import codecs
import re
from collections.abc import Callable

from msgspec.structs import replace

from tocsin.agent.output import BATCH_BYTES_MAX, BATCH_S, LINE_BYTES_MAX, LINE_COST_BYTES
from tocsin.model.link import CommandOutput, Report

_PIECE_CHARS = LINE_BYTES_MAX // 4  # a character has at most four bytes
_PIECE = re.compile(rf"[^\n]{{0,{_PIECE_CHARS - 1}}}\n|[^\n]{{{_PIECE_CHARS}}}")


class Stream:
    """`name` is stdout or stderr. Of what is fed at most `bytes_max` are kept; the rest is counted and told."""

    def __init__(
        self,
        empty: CommandOutput,
        bytes_max: int,
        file: Callable[[Report], object],
        now_ms: Callable[[], int],
    ) -> None:
        """`empty` says which stream of which step of which work it is."""
        self._empty = empty
        self._room = self._bytes_max = bytes_max
        self._left_out = 0
        self._file = file
        self._now_ms = now_ms
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._pieces: list[tuple[int, str]] = []
        self._size = 0  # of the pieces
        self._told = 0  # bytes handed on
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        kept = data[: self._room]
        self._room -= len(kept)
        self._left_out += len(data) - len(kept)
        self._add(self._decoder.decode(kept))

    def finish(self) -> None:
        """The output is complete; nothing is handed on later."""
        self._add(self._decoder.decode(b"", final=True))
        self._take(self._rest)
        self._rest = ""
        if self._left_out:
            self._take(f"[Tocsin] {self._left_out} bytes of output were left out: the limit is {self._bytes_max}\n")
        self._flush()

    def _add(self, text: str) -> None:
        text = self._rest + text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        end = 0
        for found in _PIECE.finditer(text):
            end = found.end()
            self._take(found[0])
        self._rest = text[end:]
        if self._pieces and not self._timer:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self._flush)

    def _take(self, piece: str) -> None:
        if not piece:
            return
        self._pieces.append((self._now_ms(), piece))
        self._size += len(piece.encode()) + LINE_COST_BYTES
        if self._size >= BATCH_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._pieces:
            pieces, self._pieces, self._size = tuple(self._pieces), [], 0
            self._file(replace(self._empty, at=self._told, pieces=pieces))
            self._told += sum(len(text.encode()) for _, text in pieces)
