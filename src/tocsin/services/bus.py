"""The bus: accept events into the journal, follow the journal, route, deliver. It never calls the fleet.

The router's place in the journal is a cursor that commits together with the deliveries it stands for: after a crash
it goes on where it was, and a delivery into our own store is made exactly once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable

from tocsin.core.routing import Bus as BusName
from tocsin.core.routing import RuleIndex, route
from tocsin.model.changes import Accept, Advance, Change, Log
from tocsin.model.event import Event, Journaled
from tocsin.model.logs import LogGroup, LogLine
from tocsin.model.names import Scope
from tocsin.model.rule import Rule
from tocsin.ports import Clock, Store

log = logging.getLogger(__name__)

ROUTER = "router"
# Events routed in one commit: enough to share an fsync among many, few enough to keep latency and memory low.
ROUTED_AT_ONCE_MAX = 2000
RETRY_PAUSE_S = 0.5

# (rule ARN, target id, target ARN) -> (scope, log group, log stream)
Place = Callable[[str, str, str], tuple[Scope, str, str]]


class Bus:
    """Accepts and routes the events of all buses. `place` says where deliveries to a log group are written."""

    def __init__(self, *, store: Store, clock: Clock, place: Place) -> None:
        self._store = store
        self._clock = clock
        self._place = place
        self._rules: dict[BusName, RuleIndex] = {}
        self._reloading = asyncio.Lock()
        self.counts: Counter[str] = Counter(routed=0, delivered=0, dropped=0, unreadable=0)

    async def load(self) -> None:
        """Index the rules of every bus."""
        by_bus: dict[BusName, list[Rule]] = {}
        for rule in await self._store.find(Rule):
            by_bus.setdefault((rule.scope, rule.bus), []).append(rule)
        self._rules = {bus: RuleIndex.of(rules) for bus, rules in by_bus.items()}

    async def reload(self, scope: Scope, bus: str) -> None:
        """Take up changed rules, before their change is answered: build the index fresh, then swap one reference."""
        async with self._reloading:
            self._rules[scope, bus] = RuleIndex.of(await self._store.find(Rule, scope, prefix=f"{bus}/"))

    async def accept(self, events: Iterable[Event]) -> None:
        """Make the events durable. They are routed soon after; raises Throttling or StoreUnavailable, nothing kept."""
        await self._store.commit(*map(Accept, events))

    async def run(self) -> None:
        """Follow the journal for ever."""
        place = await self._store.cursor(ROUTER)
        while True:
            await self._store.grown(place)
            try:
                place = await self._advance(place)
            except Exception:
                log.exception("routing from %d failed; trying again", place)
                await self._clock.sleep(RETRY_PAUSE_S)
                place = await self._store.cursor(ROUTER)

    async def _advance(self, place: int) -> int:
        """Route the next events and commit their deliveries with the new place."""
        batch = await self._store.journal(place, ROUTED_AT_ONCE_MAX)
        if not batch:
            return place
        changes: list[Change] = [Advance(cursor=ROUTER, expected=place, seq=batch[-1].seq)]
        counted = Counter(routed=len(batch))
        ingested_ms = int(self._clock.now().timestamp() * 1000)
        for (scope, group, stream), lines in self._deliveries(batch, counted).items():
            if await self._store.get(LogGroup, scope, group) is None:
                # No reason to try again (AWS: NO_RESOURCE, at once). Dead letters come later.
                log.warning("log group %s does not exist: %d deliveries dropped", group, len(lines))
                counted["dropped"] += len(lines)
                continue
            owed = Log(scope=scope, group=group, stream=stream, lines=tuple(lines), ingested_ms=ingested_ms)
            changes.append(owed)
            counted["delivered"] += len(lines)
        await self._store.commit(*changes)
        self.counts.update(counted)
        return batch[-1].seq

    def _deliveries(self, batch: list[Journaled], counted: Counter[str]) -> dict[tuple[Scope, str, str], list[LogLine]]:
        """What each log stream is owed, in the order of the journal."""
        owed: dict[tuple[Scope, str, str], list[LogLine]] = {}
        for entry in batch:
            event = entry.event
            rules = self._rules.get((event.scope, event.bus))
            if rules is None or not rules.rules:
                continue
            try:
                matched = route(event.body, rules)
            except Exception:  # an event nobody can read must not keep those behind it from being delivered
                log.exception("event %s cannot be routed: it is passed over", event.id)
                counted["unreadable"] += 1
                continue
            for rule, target in matched:
                line = LogLine(event.at_ms, event.body.decode())
                owed.setdefault(self._place(rule.arn, target.id, target.arn), []).append(line)
        return owed
