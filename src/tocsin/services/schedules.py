"""Schedules: rules that fire by the clock. Each firing is a Scheduled Event in the journal; the bus routes it.

The time of a rule's last firing is a cursor that commits together with the event, so no time fires twice. Times that
were missed while no server ran fire once, with the latest of them.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta

from tocsin.core.routing import SCHEDULED_EVENT, SCHEDULED_SOURCE
from tocsin.core.schedule import Schedule, next_after, parse
from tocsin.model.changes import Accept, Advance
from tocsin.model.errors import Stale, StoreUnavailable, Throttling
from tocsin.model.event import Event, envelope
from tocsin.model.names import derived_uuid
from tocsin.model.rule import Rule, RuleState
from tocsin.model.times import epoch_ms, iso_second
from tocsin.ports import Clock, Store

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 1.0
# How far back missed times are looked for. Whoever was down for longer hears of the last day's.
CATCH_UP_S_MAX = 86_400


class Schedules:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Rules are different now: look at them again."""
        self._changed.set()

    async def run(self) -> None:
        """Fire what is due, rest until the next is, for ever."""
        while True:
            self._changed.clear()
            try:
                due = await self.fire(self._clock.now())
            except (Stale, StoreUnavailable, Throttling) as error:
                log.warning("schedules wait: %s", error)
                await self._clock.sleep(RETRY_PAUSE_S)
                continue
            pause_s = max(0.0, (due - self._clock.now()).total_seconds()) if due else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    async def fire(self, now: datetime) -> datetime | None:
        """Fire every rule that is due, and answer when the next one will be; None when none ever will."""
        coming: list[datetime] = []
        for rule in await self._store.find(Rule):
            if not rule.schedule or rule.state is RuleState.DISABLED:
                continue
            schedule, anchor = parse(rule.schedule), datetime.fromtimestamp(rule.scheduled_ms / 1000, UTC)
            cursor = f"schedule/{rule.arn}/{rule.scheduled_ms}"
            fired = await self._store.cursor(cursor)
            base = max(datetime.fromtimestamp(fired, UTC), anchor, now - timedelta(seconds=CATCH_UP_S_MAX))
            due = _latest_due(schedule, base, anchor, now)
            if due is not None:
                seconds = int(due.timestamp())
                await self._store.commit(
                    Accept(scheduled_event(rule, due, now)), Advance(cursor=cursor, expected=fired, seq=seconds)
                )
            following = next_after(schedule, due or base, anchor)
            if following is not None:
                coming.append(following)
        return min(coming, default=None)


def _latest_due(schedule: Schedule, base: datetime, anchor: datetime, now: datetime) -> datetime | None:
    """The latest time beyond `base` that is not beyond `now`."""
    latest = None
    while (due := next_after(schedule, latest or base, anchor)) is not None and due <= now:
        latest = due
    return latest


def scheduled_event(rule: Rule, at: datetime, now: datetime) -> Event:
    """What a firing tells (shape: facts/peers.md §3.2). Its id follows from rule and time."""
    event_id = derived_uuid(rule.arn, rule.scheduled_ms, int(at.timestamp()))
    body = envelope(
        scope=rule.scope,
        id=event_id,
        source=SCHEDULED_SOURCE,
        detail_type=SCHEDULED_EVENT,
        time=iso_second(at),
        resources=[rule.arn],
        detail={},
    )
    return Event(scope=rule.scope, bus=rule.bus, id=event_id, at_ms=epoch_ms(now), body=body)
