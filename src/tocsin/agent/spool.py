"""The session on the node's disk: a report is here, and synced, before it is sent, and stays until acknowledged.

The link calls it; core/link says what the lines mean. It knows files, not sockets.
"""

import logging
import os
from collections import Counter, deque
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tocsin.core import link
from tocsin.core.link import Session
from tocsin.model.link import (
    Ack,
    CommandEnded,
    CommandOutput,
    Found,
    Report,
    ScriptOutput,
)

log = logging.getLogger(__name__)

# Unacknowledged reports, as stored. Eight megabytes is a hundred thousand lines: more than anyone reads of a script,
# little enough for the node's disk and for the agent's memory, where the outbox lies as well.
SPOOL_BYTES_MAX = 8 << 20
# And their count: every acknowledgement copies the outbox. At ten a second this is a quarter of an hour of output.
SPOOL_REPORTS_MAX = 10_000
# Lines of the past (acknowledged reports, acknowledgements) before the file is written anew.
PAST_BYTES_MAX = 1 << 20

Kept = Session | Report | Ack
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode


class Spool:
    """A file of JSON lines: a session without its outbox, then reports and acknowledgements as they came.

    `session` may be replaced by the link; `settle` then keeps what changed. `safe`: the last report filed is on disk.
    """

    def __init__(self, path: Path, bytes_max: int = SPOOL_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._sizes: deque[int] = deque()  # stored bytes of each report in the outbox
        self._waiting_bytes = 0
        self.safe = True
        self._dropped: Counter[str] = Counter()  # lines of output dropped and not yet told of, by work
        self.session = self._read()
        self._file = self._opened()

    def file(self, report: Report) -> bool:
        """Number, keep and sync a report; it may be sent when this returns.

        Output that does not fit is dropped (False) and counted; starts and ends always fit: they are few and small.
        """
        if isinstance(report, ScriptOutput | CommandOutput) and not self._fits(report):
            self._dropped[report.work] += _lines(report)
            return False
        if self._dropped[report.work]:
            words = _loss(self._dropped.pop(report.work))
            if isinstance(report, CommandEnded):
                report = replace(report, detail=f"{report.detail} {words}".strip())
            else:
                self._append(_told(report, words))
        self._append(report)
        return True

    def settle(self, session: Session) -> None:
        """Take over the session after a frame was heard. An acknowledgement is not synced: losing it costs a resend."""
        acked, self.session = self.session.acked, session
        if session.acked == acked:
            return
        while len(self._sizes) > len(session.outbox):
            self._waiting_bytes -= self._sizes.popleft()
        if self._file_bytes - self._waiting_bytes > PAST_BYTES_MAX:
            self._renew()
        else:
            self._write(_encode(Ack(n=session.acked)) + b"\n")

    def close(self) -> None:
        os.close(self._file)

    def _fits(self, report: ScriptOutput | CommandOutput) -> bool:
        room = self._bytes_max - self._waiting_bytes
        return len(self._sizes) < SPOOL_REPORTS_MAX and len(_encode(report)) <= room

    def _append(self, report: Report) -> None:
        session = link.file(self.session, report)
        line = _encode(session.outbox[-1]) + b"\n"
        self.safe = self._write(line, sync=True)
        if not self.safe:
            log.error("report %d is kept in memory only: it is lost if this agent is killed now", session.filed)
        self.session = session
        self._sizes.append(len(line))
        self._waiting_bytes += len(line)

    def _write(self, line: bytes, *, sync: bool = False) -> bool:
        """Append a line whole or not at all. Blocks for the sync, a few ms: ten times a second at most, and a node
        whose disk hangs should be seen to hang."""
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(f"{written} of {len(line)} bytes written: the disk is full")
            if sync:
                os.fdatasync(self._file)
        except OSError as error:
            log.error("cannot write %s: %s", self._path, error)
            os.ftruncate(self._file, self._file_bytes)
            return False
        self._file_bytes += len(line)
        return True

    def _read(self) -> Session:
        """Fold the lines of the file. A torn last line was never sent: it is nothing. For a bad one see `refile`."""
        session = Session()
        data = self._path.read_bytes() if self._path.exists() else b""
        lines = data.split(b"\n")
        if lines[-1]:
            log.warning("%s ended in a torn line of %d bytes", self._path, len(lines[-1]))
        for number, line in enumerate(lines[:-1], 1):
            try:
                session = _fold(session, _decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.error("%s line %d cannot be read and is left out: %s", self._path, number, error)
        return session

    def _opened(self) -> int:
        """The file, written anew; where there is no room for that, the old one as it is. A node whose disk is full has
        something to tell."""
        try:
            return self._rewrite()
        except OSError as error:
            log.error("cannot renew %s, going on with the old one: %s", self._path, error)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._file_bytes = self._path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(handle, self._file_bytes)  # a torn last line is nothing
        self._sizes = deque(len(_encode(report)) + 1 for report in self.session.outbox)
        self._waiting_bytes = sum(self._sizes)
        return handle

    def _rewrite(self) -> int:
        """Write what counts to a new file, put it in the old one's place and return it, open for appending."""
        outbox = self.session.outbox
        head = replace(link.at_rest(self.session), outbox=(), filed=self.session.filed - len(outbox))
        lines = [_encode(report) + b"\n" for report in outbox]
        data = b"".join([_encode(head), b"\n", *lines])
        fresh = self._path.with_suffix(".new")
        handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write_all(handle, data)
            os.fsync(handle)
            fresh.rename(self._path)
            _sync_directory(self._path.parent)
        except OSError:
            os.close(handle)
            fresh.unlink(missing_ok=True)
            raise
        self._sizes = deque(map(len, lines))
        self._waiting_bytes = sum(self._sizes)
        self._file_bytes = len(data)
        return handle

    def _renew(self) -> None:
        try:
            renewed = self._rewrite()
        except OSError as error:
            log.error("cannot renew %s, going on with the old one: %s", self._path, error)
            return
        os.close(self._file)
        self._file = renewed


def _fold(session: Session, kept: Kept) -> Session:
    match kept:
        case Session():
            return kept
        case Ack():
            return link.acknowledge(session, kept.n)
        case _:
            return link.refile(session, kept)


def _lines(report: ScriptOutput | CommandOutput) -> int:
    return len(report.lines if isinstance(report, ScriptOutput) else report.pieces)


def _loss(lines: int) -> str:
    return f"[Tocsin] {lines} lines of output were dropped here: the server was away and the node's spool was full"


def _told(report: Report, words: str) -> Report:
    """The words in the place of the output they stand for."""
    match report:
        case CommandOutput():
            return replace(report, pieces=((_at_ms(report), f"{words}\n"),))
        case ScriptOutput():
            return replace(report, lines=((_at_ms(report), words),))
        case _:
            return ScriptOutput(n=0, work=report.work, lines=((_at_ms(report), words),))


def _at_ms(report: Report) -> int:
    match report:
        case ScriptOutput():
            return report.lines[0][0]
        case CommandOutput():
            return report.pieces[0][0]
        case Found():
            return report.finding.at_ms
        case _:
            return report.at_ms


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
