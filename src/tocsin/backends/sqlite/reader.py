"""Reads: one connection, one query, one step, whatever the number of rows. Sees every commit that has returned.

Each method blocks for as long as SQLite takes; the store decides in which thread that is.
"""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import apsw
import msgspec

from tocsin.backends.sqlite.queries import SQL
from tocsin.backends.sqlite.ticket import Kinds, demand_kind
from tocsin.model.archive import Archived, ArchiveSum
from tocsin.model.event import Event, Journaled, JournalMark
from tocsin.model.logs import LogEvent, LogQuery, LogStream
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import Record
from tocsin.model.story import Chapter, StoryLine, Told

R = TypeVar("R", bound=Record)

# Rows taken in one step. An answer of SQLite's is at most 1 GB; an event or a log line at most 1 MB.
ROWS_AT_ONCE_MAX = 1000
ROWS_AT_FIRST = 64
# What one reading of the journal may hold in memory: thousands of usual events, or a few of the largest.
JOURNAL_BYTES_MAX = 16 << 20
# SQLite orders every blob behind every text: the upper end of a range that has none.
_NO_END = b""
_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1

_encode = msgspec.json.Encoder().encode
_heads = msgspec.json.Decoder(list[tuple[int, str, str, str, str, int, int, int]]).decode
_marks = msgspec.json.Decoder(list[JournalMark]).decode
_scopes = msgspec.json.Decoder(list[tuple[str, str]]).decode
_held = msgspec.json.Decoder(list[Held]).decode
_streams = msgspec.json.Decoder(list[LogStream]).decode
_events = msgspec.json.Decoder(list[tuple[int, str, int, int, str]]).decode
_archive_sums = msgspec.json.Decoder(dict[str, ArchiveSum]).decode
_archived = msgspec.json.Decoder(list[tuple[int, int, int]]).decode
_sums = msgspec.json.Decoder(dict[str, int]).decode
_lines = msgspec.json.Decoder(list[tuple[int, str, str, str, int, Chapter, str, str]]).decode


class Reader:
    def __init__(self, connection: apsw.Connection, kinds: Kinds) -> None:
        self._connection = connection
        self._kinds = kinds
        self._one = {name: msgspec.json.Decoder(kind) for name, kind in kinds.items()}
        self._many = {name: msgspec.json.Decoder(list[kind]) for name, kind in kinds.items()}  # type: ignore[valid-type]

    def close(self) -> None:
        self._connection.close()

    def get(self, kind: type[R], scope: Scope, key: str) -> R | None:
        demand_kind(kind, self._kinds)
        row = self._row("get", (kind.kind, scope.account, scope.region, key))
        return None if row is None else cast("R", self._one[kind.kind].decode(row[0]))

    def find(self, kind: type[R], scope: Scope | None, prefix: str, after: str, limit: int | None) -> list[R]:
        demand_kind(kind, self._kinds)
        bounds = (kind.kind, *key_range(prefix, after), _sql_limit(limit))
        if scope is None:
            row = self._row("find_everywhere", bounds)
        else:
            row = self._row("find_in_scope", (*bounds, scope.account, scope.region))
        return [] if row is None or row[0] is None else cast("list[R]", self._many[kind.kind].decode(row[0]))

    def scopes(self, kind: type[R]) -> list[Scope]:
        demand_kind(kind, self._kinds)
        row = self._row("scopes", (kind.kind,))
        assert row is not None
        return [Scope(account, region) for account, region in _scopes(row[0])]

    def count(self, kind: type[R], scope: Scope, prefix: str) -> int:
        demand_kind(kind, self._kinds)
        row = self._row("count", (kind.kind, *key_range(prefix, ""), scope.account, scope.region))
        assert row is not None
        return cast("int", row[0])

    def cursor(self, name: str) -> int:
        row = self._row("cursor", (name,))
        return 0 if row is None else row[0]

    def held(self, after: int, through: int) -> list[Held]:
        row = self._row("held", (after, through))
        assert row is not None
        return _held(row[0])

    def journal_bounds(self) -> tuple[int, int]:
        row = self._row("journal_bounds", ())
        assert row is not None
        first, last, ever = row
        last = max(last or 0, ever)
        if not last:
            return 0, 0
        return (last + 1 if first is None else first), last

    def journal(self, after: int, limit: int) -> list[Journaled]:
        found: list[Journaled] = []
        bites = _Bites(limit, JOURNAL_BYTES_MAX)
        while bites.rows:
            slice_ = self._journal_slice(found[-1].seq if found else after, bites.rows)
            found += slice_
            bites.took(len(slice_), sum(len(entry.event.body) for entry in slice_))
        return found

    def _journal_slice(self, after: int, rows: int) -> list[Journaled]:
        row = self._row("journal", (after, rows))
        assert row is not None
        heads, bodies = row
        scopes: dict[tuple[str, str], Scope] = {}
        entries: list[Journaled] = []
        begin = 0
        for seq, account, region, bus, name, at_ms, by_hand, size in _heads(heads):
            scope = scopes.get((account, region))
            if scope is None:
                scope = scopes[account, region] = Scope(account, region)
            body = bodies[begin : begin + size]
            begin += size
            event = Event(scope=scope, bus=bus, id=name, at_ms=at_ms, body=body, by_hand=bool(by_hand))
            entries.append(Journaled(seq=seq, event=event))
        return entries

    def journal_marks(self, after: int, limit: int) -> list[JournalMark]:
        row = self._row("journal_marks", (after, limit))
        assert row is not None
        return _marks(row[0])

    def log_streams(self, scope: Scope, group: str, prefix: str, after: str, limit: int | None) -> list[LogStream]:
        row = self._row(
            "log_streams", (scope.account, scope.region, group, *key_range(prefix, after), _sql_limit(limit))
        )
        assert row is not None
        return _streams(row[0])

    def log_events(self, query: LogQuery) -> list[LogEvent]:
        names = None if query.streams is None else _encode(query.streams).decode()
        scope = query.scope
        row = self._row(
            "log_stream_ids", (scope.account, scope.region, query.group, *key_range(query.stream_prefix, ""), names)
        )
        if row is None or row[1] == "[]":
            return []
        group_id, stream_ids = row
        if names is None and not query.stream_prefix:
            return self._log_events("log_events_of_group", group_id, query, ())
        if "," not in stream_ids:
            return self._log_events("log_events_of_stream", int(stream_ids[1:-1]), query, ())
        return self._log_events("log_events_of_streams", group_id, query, (stream_ids,))

    def _log_events(self, name: str, of: int, query: LogQuery, more: tuple[Any, ...]) -> list[LogEvent]:
        sql = SQL[name].format(direction="DESC" if query.backwards else "ASC")
        low, high = _time_range(query)
        found: list[LogEvent] = []
        bites = _Bites(query.limit, query.bytes_max)
        while bites.rows:
            [(text,)] = self._execute(sql, (of, *low, *high, bites.rows, *more))
            events = _events(text)
            found += [
                LogEvent(id=number, stream=stream, at_ms=at_ms, ingested_ms=ingested_ms, message=message)
                for number, stream, at_ms, ingested_ms, message in events
            ]
            bites.took(len(events), sum(len(event[4]) for event in events))
            if bites.rows:
                last = found[-1].at_ms, found[-1].id
                low, high = (low, last) if query.backwards else (last, high)
        return found

    def log_bytes(self, scope: Scope, groups: Sequence[str]) -> dict[str, int]:
        row = self._row("log_bytes", (scope.account, scope.region, _encode(list(dict.fromkeys(groups))).decode()))
        assert row is not None
        return _sums(row[0])

    def archived(
        self, scope: Scope, archive: str, start_ms: int | None, end_ms: int | None, after: tuple[int, int], limit: int
    ) -> list[Archived]:
        low = max(after, (_INT64_MIN if start_ms is None else start_ms, -1))
        high = _INT64_MAX if end_ms is None else end_ms
        found: list[Archived] = []
        bites = _Bites(limit, JOURNAL_BYTES_MAX)
        while bites.rows:
            row = self._row("archived", (scope.account, scope.region, archive, *low, high, bites.rows))
            assert row is not None
            heads, bodies = _archived(row[0]), row[1]
            begin = 0
            for number, at_ms, size in heads:
                found.append(Archived(id=number, at_ms=at_ms, body=bodies[begin : begin + size]))
                begin += size
            bites.took(len(heads), begin)
            if bites.rows:
                low = found[-1].at_ms, found[-1].id
        return found

    def archive_sums(self, scope: Scope, archives: Sequence[str]) -> dict[str, ArchiveSum]:
        row = self._row("archive_sums", (scope.account, scope.region, _encode(list(dict.fromkeys(archives))).decode()))
        assert row is not None
        return _archive_sums(row[0])

    def story(
        self, scope: Scope, cluster: str, instance_id: str, after: int, before: int | None, limit: int
    ) -> list[Told]:
        name = "story_of_node" if instance_id else "story_of_cluster" if cluster else "story_of_scope"
        beyond, direction, place = (">", "ASC", after) if before is None else ("<", "DESC", before)
        sql = SQL[name].format(beyond=beyond, direction=direction)
        found: list[Told] = []
        while len(found) < limit:
            rows = min(limit - len(found), ROWS_AT_ONCE_MAX)
            values = (scope.account, scope.region, place, rows, cluster, instance_id)
            [(text,)] = self._execute(sql, values[: {"story_of_scope": 4, "story_of_cluster": 5}.get(name, 6)])
            lines = _lines(text)
            found += [
                Told(
                    seq=seq,
                    line=StoryLine(
                        scope=scope,
                        cluster_id=cluster_id,
                        cluster_name=cluster_name,
                        instance_id=instance,
                        at_ms=at_ms,
                        chapter=chapter,
                        what=what,
                        why=why,
                    ),
                )
                for seq, cluster_id, cluster_name, instance, at_ms, chapter, what, why in lines
            ]
            if len(lines) < rows:
                break
            place = found[-1].seq
        return found if before is None else found[::-1]

    def _row(self, name: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """The only row of a query, or None."""
        rows = self._execute(SQL[name], values)
        assert len(rows) <= 1
        return rows[0] if rows else None

    def _execute(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()


class _Bites:
    """How many rows to take next: few at first, more once they prove small, none when there is enough or no more."""

    def __init__(self, rows_max: int, bytes_max: int | None) -> None:
        self._left = rows_max
        self._bytes_left = bytes_max
        self._step = ROWS_AT_ONCE_MAX if bytes_max is None else ROWS_AT_FIRST
        self.rows = min(self._left, self._step)

    def took(self, rows: int, size: int) -> None:
        self._left -= rows
        more = rows == self.rows
        if self._bytes_left is not None:
            self._bytes_left -= size
            more = more and self._bytes_left > 0
        self._step = min(4 * self._step, ROWS_AT_ONCE_MAX)
        self.rows = min(self._left, self._step) if more else 0


def key_range(prefix: str, after: str) -> tuple[str, str | bytes]:
    """[lowest, end) of the keys that begin with `prefix` and lie beyond `after`, for SQLite's order of texts.

    SQLite compares UTF-8 bytes, which is the order of code points, which is Python's.
    """
    lowest = max(prefix, f"{after}\0") if after else prefix
    return lowest, _end_of(prefix)


def _end_of(prefix: str) -> str | bytes:
    """The least text beyond all that begin with the prefix."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return _NO_END
    point = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if 0xD800 <= point < 0xE000 else point)  # surrogates are no characters


def _time_range(query: LogQuery) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (at_ms, id) that events must lie beyond, and those they must lie before. Ids are positive."""
    low = (_INT64_MIN, -1) if query.start_ms is None else (query.start_ms, -1)
    high = (_INT64_MAX, _INT64_MAX) if query.end_ms is None else (query.end_ms, -1)
    if query.after is None:
        return low, high
    return (low, min(high, query.after)) if query.backwards else (max(low, query.after), high)


def _sql_limit(limit: int | None) -> int:
    return -1 if limit is None else max(limit, 0)
