"""The Store port's law once more, in memory and without any hurry: what the property tests hold the adapters to."""

import copy
from collections import defaultdict

from tocsin.model.archive import Archive
from tocsin.model.changes import (
    Accept,
    Advance,
    Change,
    Delete,
    DropArchived,
    DropLogs,
    DropStream,
    Forget,
    Hold,
    Keep,
    Log,
    OpenStream,
    Put,
    Tell,
)
from tocsin.model.errors import Stale
from tocsin.model.event import Event
from tocsin.model.logs import LogGroup, LogStream
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import Record
from tocsin.model.story import StoryLine

Group = tuple[Scope, str]
Said = tuple[int, str, int, str]  # at, stream, ingested, message


class Memory:
    def __init__(self) -> None:
        self.records: dict[tuple[str, Scope, str], Record] = {}
        self.journal: list[tuple[int | None, Event]] = []  # a place is learned from the adapter, None until then
        self.cursors: dict[str, int] = defaultdict(int)
        self.streams: dict[Group, dict[str, tuple[int, int | None]]] = defaultdict(dict)  # created, ingested
        self.said: dict[Group, list[Said]] = defaultdict(list)
        self.story: list[StoryLine] = []
        self.held: list[Held] = []
        self.archived: dict[Group, list[tuple[int, bytes]]] = defaultdict(list)  # at, body

    def commit(self, changes: list[Change]) -> bool:
        """Whether it was kept."""
        before = copy.deepcopy(self.__dict__)
        try:
            for change in changes:
                self._take(change)
        except Stale:
            self.__dict__ = before
            return False
        return True

    def streams_of(self, group: Group) -> list[LogStream]:
        found = []
        for name, (created_ms, ingested_ms) in sorted(self.streams[group].items()):
            lines = [line for line in self.said[group] if line[1] == name]
            times = [line[0] for line in lines]
            found.append(
                LogStream(
                    name=name,
                    created_ms=created_ms,
                    first_ms=min(times, default=None),
                    last_ms=max(times, default=None),
                    ingested_ms=ingested_ms if times else None,
                    bytes=sum(len(line[3].encode()) + 26 for line in lines),
                )
            )
        return found

    def said_in(self, group: Group) -> list[Said]:
        return sorted(self.said[group], key=lambda line: line[0])

    def _take(self, change: Change) -> None:
        match change:
            case Put(record):
                self._demand(self._revision(record) == record.revision - 1)
                self.records[record.kind, record.scope, record.key] = record
            case Delete(record):
                self._demand(self._revision(record) == record.revision > 0)
                del self.records[record.kind, record.scope, record.key]
            case Accept(event):
                if (event.scope, event.bus, event.id) not in {(e.scope, e.bus, e.id) for _, e in self.journal}:
                    self.journal.append((None, event))
            case Forget(through_seq=through):
                self.held = [one for one in self.held if one.seq > through]
                self.journal = [(seq, e) for seq, e in self.journal if (1 << 30 if seq is None else seq) > through]
            case Advance(cursor=cursor, expected=expected, seq=seq):
                self._demand(self.cursors[cursor] == expected)
                self.cursors[cursor] = seq
            case Hold(held):
                self._hold(held)
            case Tell(line):
                self.story.append(line)
            case Keep(scope=scope, archive=archive, at_ms=at_ms, body=body):
                if (Archive.kind, scope, archive) in self.records:
                    self.archived[scope, archive].append((at_ms, body))
            case DropArchived(scope=scope, archive=archive, before_ms=before_ms):
                kept = [one for one in self.archived[scope, archive] if before_ms is not None and one[0] >= before_ms]
                self.archived[scope, archive] = kept
            case _:
                self._take_logs(change)

    def _hold(self, held: Held) -> None:
        if all((one.seq, one.target_id) != (held.seq, held.target_id) for one in self.held):
            self.held.append(held)

    def _take_logs(self, change: Change) -> None:
        assert isinstance(change, Log | OpenStream | DropStream | DropLogs)
        group = change.scope, change.group
        streams = self.streams[group]
        match change:
            case Log(stream=stream, lines=lines, ingested_ms=now):
                self._demand((LogGroup.kind, *group) in self.records)
                created_ms, ingested_ms = streams.setdefault(stream, (now, None))
                if lines:
                    streams[stream] = created_ms, max(ingested_ms or now, now)
                self.said[group] += [(line.at_ms, stream, now, line.message) for line in lines]
            case OpenStream(stream=stream, created_ms=created_ms):
                self._demand((LogGroup.kind, *group) in self.records and stream not in streams)
                streams[stream] = created_ms, None
            case DropStream(stream=stream):
                self._demand(stream in streams)
                del streams[stream]
                self.said[group] = [line for line in self.said[group] if line[1] != stream]
            case DropLogs(before_ms=None):
                streams.clear()
                self.said[group].clear()
            case DropLogs(before_ms=before_ms):
                assert before_ms is not None
                self.said[group] = [line for line in self.said[group] if line[0] >= before_ms]
                left = {line[1] for line in self.said[group]}
                for name, (created_ms, ingested_ms) in streams.items():
                    streams[name] = created_ms, ingested_ms if name in left else None

    def _revision(self, record: Record) -> int:
        stored = self.records.get((record.kind, record.scope, record.key))
        return 0 if stored is None else stored.revision

    @staticmethod
    def _demand(holds: bool) -> None:
        if not holds:
            raise Stale
