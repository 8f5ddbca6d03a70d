"""What archives are owed of an event, what a replay makes of an archived one, and which rules may have that.

Called by the bus for every journaled event, and by the replays for every event they put back. No store, no wire.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from tocsin.core.matcher import Index
from tocsin.core.patterns import Pattern, parse
from tocsin.core.routing import BusName
from tocsin.model.archive import Archive, Archived, Replay
from tocsin.model.changes import Change, Keep
from tocsin.model.delivery import Delivery, Refused
from tocsin.model.event import Event
from tocsin.model.names import derived_uuid
from tocsin.model.times import epoch_ms

# The envelope's member that marks a replayed event, and the one it stands before (facts/peers.md §3.2).
_REPLAYED = b'"replay-name":'
_BEFORE = b',"resources":'


class _Head(Struct, frozen=True):
    """What matters here of an envelope."""

    time: str
    replay_name: str = msgspec.field(name="replay-name", default="")


_head = msgspec.json.Decoder(_Head).decode


class Archives(Struct, frozen=True):
    """All archives, ready to match, by bus; and the rules that replays are limited to. A change builds a new one."""

    of_bus: Mapping[BusName, tuple[Index[str] | None, tuple[str, ...]]] = {}
    filters: Mapping[tuple[BusName, str], frozenset[str]] = {}

    @staticmethod
    def of(archives: Iterable[Archive], replays: Iterable[Replay]) -> "Archives":
        by_bus: dict[BusName, list[Archive]] = {}
        for archive in archives:
            by_bus.setdefault((archive.scope, archive.bus), []).append(archive)
        of_bus = {
            bus: (
                _index([(one.name, parse(one.pattern)) for one in some if one.pattern]),
                tuple(one.name for one in some if not one.pattern),
            )
            for bus, some in by_bus.items()
        }
        filters = {((one.scope, one.bus), one.name): frozenset(one.filter_arns) for one in replays if one.filter_arns}
        return Archives(of_bus, filters)


def _index(patterns: list[tuple[str, Pattern]]) -> Index[str] | None:
    """None where nothing is asked of events: they need not be parsed."""
    return Index.build(patterns) if patterns else None


def archives_owed(event: Event, archives: Archives) -> list[Change]:
    """What the archives of the event's bus take of it. Replayed events, and those nobody can read, are not archived."""
    found = archives.of_bus.get((event.scope, event.bus))
    if found is None:
        return []
    index, takes_all = found
    try:
        if replay_of(event.body):
            return []
        names = [*takes_all, *(index.match(index.load(event.body)) if index else ())]
        at_ms = told_ms(event) if names else 0
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return []
    return [Keep(scope=event.scope, archive=name, at_ms=at_ms, body=event.body) for name in names]


def let_through(
    event: Event, owed: tuple[list[Delivery], list[Refused]], archives: Archives
) -> tuple[list[Delivery], list[Refused]]:
    """Of what an event owes, what its replay is meant for: all, where it is no replayed event or its replay has no
    filter. Filters name rules of the replay's own bus: where the event went on to another, they have had their say."""
    name = replay_of(event.body) if archives.filters else ""
    rules = archives.filters.get(((event.scope, event.bus), name)) if name else None
    if rules is None:
        return owed
    deliveries, refused = owed
    return [one for one in deliveries if one.rule.arn in rules], [
        one for one in refused if one.delivery.rule.arn in rules
    ]


def replayed(replay: Replay, archived: Archived, now_ms: int) -> Event:
    """The event that a replay makes of an archived one. Its id is derived: made twice, it is journaled once."""
    old, _, rest = archived.body.partition(b',"detail-type":')
    event_id = derived_uuid("replay", replay.arn, replay.started_ms, archived.id)
    begin, _, _ = old.rpartition(b',"id":')
    head, before, tail = (b',"detail-type":' + rest).partition(_BEFORE)
    name = msgspec.json.encode(replay.name)
    body = b"".join((begin, b',"id":"', event_id.encode(), b'"', head, b",", _REPLAYED, name, before, tail))
    return Event(scope=replay.scope, bus=replay.bus, id=event_id, at_ms=now_ms, body=body)


def replay_of(body: bytes) -> str:
    """The name of the replay that put the event back; empty for others. Most are told apart without being parsed."""
    return _head(body).replay_name if _REPLAYED in body else ""


def told_ms(event: Event) -> int:
    """The time an event's envelope tells, or that of its acceptance where it tells none that can be read."""
    try:
        return epoch_ms(datetime.fromisoformat(_head(event.body).time))
    except (msgspec.DecodeError, ValueError):
        return event.at_ms
