"""Targets inside our own store: a delivery is a change that commits together with the bus's place in the journal.

So a delivery to a log group happens exactly once, whatever crashes when. Each target lands a batch at once.
"""

import functools
from collections.abc import Iterable, Sequence

from tocsin.core.loggrants import may_write
from tocsin.core.transform import log_line
from tocsin.model.changes import Log
from tocsin.model.delivery import Delivery, Landed, Refused, by_target
from tocsin.model.logs import LogGroup, LogLine, LogPolicy
from tocsin.model.names import Scope, delivery_stream, log_group_of
from tocsin.ports import Store

# Streams are named again after this many others; naming one costs a few microseconds.
STREAMS_REMEMBERED_MAX = 10_000

LogPlace = tuple[Scope, str, str]


@functools.lru_cache(STREAMS_REMEMBERED_MAX)
def log_place(rule_arn: str, target_id: str, target_arn: str) -> LogPlace:
    """Scope and name of the target's log group, and the stream."""
    place = log_group_of(target_arn)
    assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
    return *place, delivery_stream(rule_arn, target_id)


class LogGroups:
    """The event as one line, at the time of its acceptance; or what an input transformer made, in the form AWS asks."""

    def __init__(self, store: Store, *, granted: bool = True) -> None:
        """`granted`: every rule may write to every log group. Else a resource policy must let it, as on AWS."""
        self._store = store
        self._granted = granted

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        lines: dict[LogPlace, list[LogLine]] = {}
        owed: dict[LogPlace, list[Delivery]] = {}
        refused: list[Refused] = []
        for some in by_target(deliveries):
            place = log_place(some[0].rule.arn, some[0].target.id, some[0].target.arn)
            for one in some:
                line = _line(one)
                if line is None:
                    refused.append(_unfit(one))
                    continue
                lines.setdefault(place, []).append(line)
                owed.setdefault(place, []).append(one)
        for (scope, group), places in _by_group(lines).items():
            missing = await self._store.get(LogGroup, scope, group) is None
            documents = [] if missing or self._granted else await self._policies(scope)
            for place in places:
                if missing:
                    refused += [_missing(one) for one in owed[place]]
                elif self._granted or _granted(owed[place][0], documents):
                    continue
                else:
                    refused += [_not_granted(one) for one in owed[place]]
                del lines[place]
        changes = tuple(
            Log(scope=scope, group=group, stream=stream, lines=tuple(written), ingested_ms=now_ms)
            for (scope, group, stream), written in lines.items()
        )
        return Landed(changes=changes, refused=tuple(refused))

    async def _policies(self, scope: Scope) -> list[str]:
        return [policy.document for policy in await self._store.find(LogPolicy, scope)]


def _by_group(places: Iterable[LogPlace]) -> dict[tuple[Scope, str], list[LogPlace]]:
    found: dict[tuple[Scope, str], list[LogPlace]] = {}
    for place in places:
        found.setdefault(place[:2], []).append(place)
    return found


def _line(delivery: Delivery) -> LogLine | None:
    if not delivery.from_template:
        return LogLine(delivery.event.at_ms, delivery.payload.decode())
    line = log_line(delivery.payload, delivery.event.at_ms)
    return LogLine(*line) if line else None


def _granted(delivery: Delivery, documents: Sequence[str]) -> bool:
    """One delivery stands for all of its place: they are of one rule and target."""
    return may_write(documents, delivery.rule.arn, delivery.target)


def _unfit(delivery: Delivery) -> Refused:
    message = 'A log group takes {"timestamp": milliseconds, "message": "text"} from an input transformer.'
    return Refused(delivery=delivery, code="INVALID_PARAMETER", message=message)


def _missing(delivery: Delivery) -> Refused:
    group = log_place(delivery.rule.arn, delivery.target.id, delivery.target.arn)[1]
    return Refused(delivery=delivery, code="NO_RESOURCE", message=f"The log group {group} does not exist.")


def _not_granted(delivery: Delivery) -> Refused:
    group = log_place(delivery.rule.arn, delivery.target.id, delivery.target.arn)[1]
    message = f"No resource policy of CloudWatch Logs lets EventBridge write to the log group {group}."
    return Refused(delivery=delivery, code="NO_PERMISSIONS", message=message)
