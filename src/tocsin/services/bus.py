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
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope
from tocsin.model.rule import Rule, Target
from tocsin.ports import Clock, Store

log = logging.getLogger(__name__)

ROUTER = "router"
# Events routed in one commit: enough to share an fsync among many, few enough to keep latency and memory low.
ROUTED_AT_ONCE_MAX = 2000
RETRY_PAUSE_S = 0.5

Land = Callable[[Event, Rule, Target], Log]


class Bus:
    """Accepts and routes the events of all buses. `land` turns a delivery to a log group into a change."""

    def __init__(self, *, store: Store, clock: Clock, land: Land) -> None:
        self._store = store
        self._clock = clock
        self._land = land
        self._rules: dict[BusName, RuleIndex] = {}
        self._reloading = asyncio.Lock()
        self.counts: Counter[str] = Counter()

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
        deliveries: dict[tuple[Scope, str, str], list[Log]] = {}
        for entry in batch:
            for change in self._deliveries(entry):
                deliveries.setdefault((change.scope, change.group, change.stream), []).append(change)
        changes: list[Change] = [Advance(cursor=ROUTER, expected=place, seq=batch[-1].seq)]
        for (scope, group, _), logs in deliveries.items():
            if await self._store.get(LogGroup, scope, group) is None:
                self._drop(len(logs), group)
            else:
                changes.append(_merged(logs, self._now_ms()))
        await self._store.commit(*changes)
        self.counts["routed"] += len(batch)
        self.counts["delivered"] += sum(len(change.lines) for change in changes if isinstance(change, Log))
        return batch[-1].seq

    def _deliveries(self, entry: Journaled) -> list[Log]:
        event = entry.event
        rules = self._rules.get((event.scope, event.bus))
        if rules is None or not rules.rules:
            return []
        return [self._land(event, rule, target) for rule, target in route(event.body, rules)]

    def _drop(self, number: int, group: str) -> None:
        """A target that is not there is no reason to try again (AWS: NO_RESOURCE, at once). Dead letters come later."""
        self.counts["dropped"] += number
        log.warning("log group %s does not exist: %d deliveries dropped", group, number)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _merged(logs: list[Log], ingested_ms: int) -> Log:
    """All deliveries of a batch to one stream as one change."""
    first = logs[0]
    lines = tuple(line for change in logs for line in change.lines)
    return Log(scope=first.scope, group=first.group, stream=first.stream, lines=lines, ingested_ms=ingested_ms)
