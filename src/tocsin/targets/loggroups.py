"""Targets inside our own store: a delivery is a change that commits together with the bus's place in the journal.

So a delivery to a log group happens exactly once, whatever crashes when. Each target lands a batch at once.
"""

import functools
from collections.abc import Sequence

from tocsin.core.transform import log_line
from tocsin.model.changes import Log
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.logs import LogGroup, LogLine
from tocsin.model.names import Scope, derived_uuid, log_group_of
from tocsin.ports import Store

# Streams are named again after this many others; naming one costs a few microseconds.
STREAMS_REMEMBERED_MAX = 10_000

LogPlace = tuple[Scope, str, str]


@functools.lru_cache(STREAMS_REMEMBERED_MAX)
def log_place(rule_arn: str, target_id: str, target_arn: str) -> LogPlace:
    """Scope and name of the target's log group, and the stream: one for each rule and target, UUID-shaped as on AWS.

    Source: facts/hyperpod.md §10.2.
    """
    place = log_group_of(target_arn)
    assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
    return *place, derived_uuid(rule_arn, target_id)


class LogGroups:
    """The event as one line, at the time of its acceptance; or what an input transformer made, in the form AWS asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        lines: dict[LogPlace, list[LogLine]] = {}
        owed: dict[LogPlace, list[Delivery]] = {}
        refused: list[Refused] = []
        for one in deliveries:
            line = _line(one)
            if line is None:
                message = 'A log group takes {"timestamp": milliseconds, "message": "text"} from an input transformer.'
                refused.append(Refused(delivery=one, code="INVALID_PARAMETER", message=message))
                continue
            place = log_place(one.rule.arn, one.target.id, one.target.arn)
            lines.setdefault(place, []).append(line)
            owed.setdefault(place, []).append(one)
        for scope, group in {(scope, group) for scope, group, _ in lines}:
            if await self._store.get(LogGroup, scope, group) is None:
                for place in [place for place in lines if place[:2] == (scope, group)]:
                    del lines[place]
                    refused += [_missing(one, group) for one in owed[place]]
        changes = tuple(
            Log(scope=scope, group=group, stream=stream, lines=tuple(written), ingested_ms=now_ms)
            for (scope, group, stream), written in lines.items()
        )
        return Landed(changes=changes, refused=tuple(refused))


def _line(delivery: Delivery) -> LogLine | None:
    if not delivery.from_template:
        return LogLine(delivery.event.at_ms, delivery.payload.decode())
    line = log_line(delivery.payload, delivery.event.at_ms)
    return LogLine(*line) if line else None


def _missing(delivery: Delivery, group: str) -> Refused:
    return Refused(delivery=delivery, code="NO_RESOURCE", message=f"The log group {group} does not exist.")
