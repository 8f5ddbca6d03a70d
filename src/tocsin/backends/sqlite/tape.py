"""The tape: what a group of commits writes, as few SQL statements as possible. Decided already; nothing can be stale.

Rows of all commits gather into one statement (`write_tape`). Only removals of many rows stand as statements of their
own between what came before and what comes after them.
"""

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.backends.sqlite.facts import Key
from tocsin.backends.sqlite.queries import SQL
from tocsin.model.changes import Accept, Keep, Log
from tocsin.model.event import Event, Journaled
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.story import StoryLine

# AWS counts a log event as its UTF-8 bytes and 26 more (PutLogEvents, API reference).
LOG_EVENT_OVERHEAD_BYTES = 26

_encode = msgspec.json.Encoder().encode

Statement = tuple[str, tuple[Any, ...]]


class Numbers(Struct):
    """The last number given out of each sort."""

    seq: int
    line: int
    stream: int
    group: int
    archive: int
    archived: int
    journal_bytes: int


class StreamSum(Struct):
    """What a group of commits adds to one stream; in the order of the `streams` columns of the tape."""

    id: int
    group_id: int
    name: str
    created_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    ingested_ms: int | None = None
    bytes: int = 0


class ArchiveAdds(Struct):
    """What a group of commits adds to one archive; in the order of the `archives` columns of the tape."""

    id: int
    account: str
    region: str
    name: str
    events: int = 0
    bytes: int = 0


def mark(event_id: str) -> int:
    """60 bits of an id, for the journal's index. Of a UUID the leading ones, so that ids in the order of time (UUIDv7)
    fill the index from left to right: random ones cost a page each once the index is large."""
    try:
        return int(event_id[:8] + event_id[9:13] + event_id[14:17], 16)
    except ValueError:
        return zlib.crc32(event_id.encode())


class Tape:
    """Takes rows in order; `finish` gives the statements. Takes its numbers from `numbers`."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.rows = 0  # that the statements touch when no event is a repeat
        self.removes = False  # the statements remove rows nobody counted
        self.journaled: list[Journaled] = []  # when no event is a repeat, and nothing is removed
        self._statements: list[Statement] = []
        self._begin()

    def _begin(self) -> None:
        self._bodies: list[bytes] = []
        self._bytes = 1  # SQL counts from 1
        self._records: dict[Key, tuple[int, bytes | None]] = {}
        self._journal: list[tuple[Any, ...]] = []
        self._names: set[tuple[Scope, str, str]] = set()  # of the events
        self._groups: list[tuple[Any, ...]] = []
        self._streams: dict[int, StreamSum] = {}
        self._lines: list[tuple[Any, ...]] = []
        self._cursors: dict[str, int] = {}
        self._story: list[tuple[Any, ...]] = []
        self._archives: dict[int, ArchiveAdds] = {}
        self._archived: list[tuple[int, ...]] = []
        self._held: list[tuple[Any, ...]] = []
        self._pings = 0

    def events(self, changes: Iterable[Accept]) -> None:
        for change in changes:
            self.event(change.event)

    def event(self, event: Event) -> None:
        scope, name = event.scope, event.id
        if (scope, event.bus, name) in self._names:  # the statement itself sees only the events before it
            return
        self._names.add((scope, event.bus, name))
        begin, size = self._body(event.body)
        self.numbers.seq += 1
        self.numbers.journal_bytes += size
        self._journal.append(
            (
                self.numbers.seq,
                scope.account,
                scope.region,
                event.bus,
                name,
                event.at_ms,
                mark(name),
                begin,
                size,
                event.by_hand,
                self.numbers.journal_bytes,
            )
        )
        self.journaled.append(Journaled(seq=self.numbers.seq, event=event))

    def record(self, key: Key, revision: int, body: bytes | None) -> None:
        """Write the record, or remove it where there is no body. The last word on a key counts."""
        self._records[key] = revision, body

    def group(self, number: int, scope: Scope, name: str) -> None:
        self._groups.append((number, scope.account, scope.region, name))

    def stream(self, number: int, group_id: int, name: str, created_ms: int) -> None:
        self._streams[number] = StreamSum(number, group_id, name, created_ms)

    def lines(self, stream_id: int, group_id: int, change: Log) -> None:
        if not change.lines:
            return
        total = self._streams.get(stream_id)
        if total is None:  # the stream exists: its name and birth are only there to fit the row
            total = self._streams[stream_id] = StreamSum(stream_id, group_id, change.stream, change.ingested_ms)
        times = [line.at_ms for line in change.lines]
        first, last = min(times), max(times)
        total.first_ms = first if total.first_ms is None else min(total.first_ms, first)
        total.last_ms = last if total.last_ms is None else max(total.last_ms, last)
        total.ingested_ms = max(total.ingested_ms or change.ingested_ms, change.ingested_ms)
        begin = self._bytes
        rows = [(line.at_ms, *self._body(line.message.encode())) for line in change.lines]
        total.bytes += self._bytes - begin + LOG_EVENT_OVERHEAD_BYTES * len(rows)
        self._lines.append((self.numbers.line + 1, group_id, stream_id, change.ingested_ms, rows))
        self.numbers.line += len(times)
        self.rows += len(times)

    def _body(self, body: bytes) -> tuple[int, int]:
        """Take long bytes in, and say where they begin and how many they are."""
        begin, size = self._bytes, len(body)
        self._bodies.append(body)
        self._bytes += size
        return begin, size

    def cursor(self, name: str, seq: int) -> None:
        self._cursors[name] = seq

    def story(self, line: StoryLine) -> None:
        self._story.append(
            (
                line.scope.account,
                line.scope.region,
                line.cluster_id,
                line.cluster_name,
                line.instance_id,
                line.at_ms,
                line.chapter,
                line.what,
                line.why,
            )
        )

    def keep(self, archive_id: int, change: Keep) -> None:
        scope = change.scope
        added = self._archives.get(archive_id)
        if added is None:
            added = self._archives[archive_id] = ArchiveAdds(archive_id, scope.account, scope.region, change.archive)
        added.events += 1
        added.bytes += len(change.body)
        self.numbers.archived += 1
        self._archived.append((self.numbers.archived, archive_id, change.at_ms, *self._body(change.body)))

    def hold(self, held: Held) -> None:
        self._held.append((held.seq, held.rule_arn, held.target_id, held.gate, held.why))

    def ping(self) -> None:
        self._pings += 1

    def forget(self, through_seq: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["forget"], (through_seq,)),
            (SQL["forget_held"], (through_seq,)),
        )

    def drop_stream(self, stream_id: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["drop_stream_events"], (stream_id,)),
            (SQL["drop_stream"], (stream_id,)),
        )

    def drop_group(self, group_id: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["drop_group_events"], (group_id,)),
            (SQL["drop_group_streams"], (group_id,)),
            (SQL["drop_group"], (group_id,)),
        )

    def drop_old_lines(self, group_id: int, before_ms: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["discount_old_events"], (group_id, before_ms)),
            (SQL["drop_old_events"], (group_id, before_ms)),
            (SQL["recount_streams"], (group_id, before_ms)),
        )

    def drop_archive(self, archive_id: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["drop_archived"], (archive_id,)),
            (SQL["drop_archive"], (archive_id,)),
        )

    def drop_old_archived(self, archive_id: int, before_ms: int) -> None:
        self._remove(
            (SQL["keep_counters"], ()),
            (SQL["discount_old_archived"], (archive_id, before_ms)),
            (SQL["drop_old_archived"], (archive_id, before_ms)),
        )

    def finish(self) -> list[Statement]:
        self._flush()
        return self._statements

    def _remove(self, *statements: Statement) -> None:
        self._flush()
        self.removes = True
        self._statements.extend(statements)

    def _flush(self) -> None:
        records, gone = self._record_rows()
        archives = [msgspec.structs.astuple(added) for added in self._archives.values()]
        told = (self._story, archives, self._archived, self._held)
        parts = (records, gone, self._journal, self._groups, self._streams, self._cursors, *told)
        rows = sum(map(len, parts))
        if not rows and not self._pings:
            return
        self.rows += rows + bool(self._pings)
        streams = [msgspec.structs.astuple(total) for total in self._streams.values()]
        columns = (records, gone, self._journal, self._groups, streams, self._lines, list(self._cursors.items()))
        texts = [_encode(column).decode() if column else "[]" for column in (*columns, *told)]
        self._statements.append((SQL["write_tape"], (b"".join(self._bodies), *texts, self._pings)))
        self._begin()

    def _record_rows(self) -> tuple[list[tuple[Any, ...]], list[Key]]:
        records: list[tuple[Any, ...]] = []
        gone: list[Key] = []
        for key, (revision, body) in self._records.items():
            if body is None:
                gone.append(key[1:])
                continue
            records.append((*key[1:], revision, *self._body(body)))
        return records, gone
