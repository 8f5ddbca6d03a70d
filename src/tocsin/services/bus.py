"""The bus: accept events into the journal, follow the journal, route, deliver. It never calls the fleet.

The router's place in the journal is a cursor that commits together with the deliveries it stands for: after a crash
it goes on where it was, and a delivery into our own store is made exactly once.
"""

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tocsin.core.archives import Archives, archives_owed, let_through
from tocsin.core.routing import BusName, RuleIndex, matched, route
from tocsin.core.settle import dead_letter
from tocsin.model.archive import Archive, Replay
from tocsin.model.changes import Accept, Advance, Change
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.errors import Throttling
from tocsin.model.event import Event, Journaled
from tocsin.model.names import Scope, target_kind
from tocsin.model.rule import Rule
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, DeadLetters, InsideTarget, Store
from tocsin.services.noise import Noise
from tocsin.services.sifting import Sifting
from tocsin.services.tally import Tally

log = logging.getLogger(__name__)

ROUTER = "router"
# Events routed in one commit: enough to share an fsync among many, few enough to keep latency and memory low.
ROUTED_AT_ONCE_MAX = 2000
RETRY_PAUSE_S = 0.5
# Events accepted between two looks at how many wait: a look costs as much as an event.
LOOKED_AT_AFTER = 500


class Bus:
    """Accepts and routes the events of all buses. `targets` are those inside our own store, by what an ARN names.

    `rules_changed` is called when rules with schedules were changed. `demand_room` raises Throttling when deliveries
    can be owed no more; `unrouted_max` is how many events may wait to be routed before no more are accepted.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        targets: Mapping[str, InsideTarget],
        dead_letters: DeadLetters | None = None,
        rules_changed: Callable[[], None] | None = None,
        noise: Noise | None = None,
        demand_room: Callable[[], None] = lambda: None,
        unrouted_max: int = 200_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._dead_letters = dead_letters
        self._rules_changed = rules_changed
        self._noise = noise or Noise(store)
        self._outbox_room = demand_room
        self._unrouted_max = unrouted_max
        self._rules: dict[BusName, RuleIndex] = {}
        self._changed: set[BusName] = set()
        self._archives = Archives()
        self._reloading = asyncio.Lock()
        self._room = 0  # events that may be accepted before it is looked again whether too many wait
        self._routed = 0  # all up to this place, targets' wakes included
        self._further = asyncio.Event()  # set, and another one's turn, whenever it moved
        self.tally = Tally()
        self.counts: Counter[str] = Counter(
            routed=0, delivered=0, dropped=0, dead_lettered=0, unreadable=0, throttled=0
        )

    async def load(self) -> None:
        """Index the rules of every bus."""
        by_bus: dict[BusName, list[Rule]] = {}
        rules = await self._store.find(Rule)
        for rule in rules:
            by_bus.setdefault((rule.scope, rule.bus), []).append(rule)
        self._rules = {bus: RuleIndex.of(rules) for bus, rules in by_bus.items()}
        await self._noise.load(rules)
        await self.reload_archives()
        self._routed = await self._store.cursor(ROUTER)

    async def reload(self, scope: Scope, bus: str, *, timed: bool = False) -> None:
        """Rules were changed: they are taken up before the next event is routed, however many changes that were.

        `timed`: one of them has a schedule, or had one.
        """
        self._changed.add((scope, bus))
        if timed and self._rules_changed:
            self._rules_changed()

    async def refreshed(self) -> None:
        """Take up what was changed now, for those who want to look at it."""
        async with self._noise.turn:
            await self._refresh()

    async def _refresh(self) -> None:
        """Build the indexes of changed buses fresh, then swap one reference each. Within a turn."""
        changed, self._changed = self._changed, set()
        try:
            for scope, bus in changed:
                rules = await self._store.find(Rule, scope, prefix=f"{bus}/")
                self._rules[scope, bus] = RuleIndex.of(rules)
                await self._noise.reload(scope, bus, rules)
        except BaseException:
            self._changed |= changed
            raise

    async def reload_archives(self) -> None:
        """Take up changed archives and replays, before their change is answered."""
        async with self._reloading:
            self._archives = Archives.of(await self._store.find(Archive), await self._store.find(Replay))

    async def accept(self, events: Iterable[Event]) -> None:
        """Make the events durable. They are routed soon after; raises Throttling or StoreUnavailable, nothing kept."""
        accepted = [Accept(event) for event in events]
        self._outbox_room()
        if len(accepted) > self._room:
            await self._demand_room()
        self._room -= len(accepted)
        await self._store.commit(*accepted)

    async def _demand_room(self) -> None:
        """Raises Throttling when so much waits that accepting more would only make it wait longer.

        Else it is known how many may come until it is looked at again.
        """
        waiting = (await self._store.journal_bounds())[1] - self._routed
        if waiting >= self._unrouted_max:
            self.counts["throttled"] += 1
            raise Throttling(f"Rate exceeded: {waiting} events wait to be routed (events.unrouted_max). Try again.")
        self._room = min(self._unrouted_max - waiting, LOOKED_AT_AFTER)

    async def caught_up(self) -> bool:
        """Whether every journaled event is routed, and what it owes inside our store delivered."""
        return self._routed >= (await self._store.journal_bounds())[1]

    async def routed(self, place: int) -> None:
        """Return once all up to a place in the journal is routed, and what it owes inside our store delivered."""
        while self._routed < place:
            await self._further.wait()

    async def run(self) -> None:
        """Follow the journal for ever, whatever the store says: a read may fail like a commit."""
        place: int | None = None  # not known: the store tells
        while True:
            try:
                if place is None:
                    place = await self._store.cursor(ROUTER)
                    await self._noise.load(await self._store.find(Rule))
                self._routed = place
                self._further.set()
                self._further = asyncio.Event()
                await self._store.grown(place)
                async with self._noise.turn:
                    place = await self._advance(place)
            except Exception:
                log.exception("routing from %s failed; trying again", place)
                place = None
                await self._clock.sleep(RETRY_PAUSE_S)

    async def _advance(self, place: int) -> int:
        """Route the next events and commit their deliveries with the new place."""
        batch = await self._store.journal(place, ROUTED_AT_ONCE_MAX)
        if not batch:
            return place
        await self._refresh()
        counted = Counter(routed=len(batch))
        sifting = None if self._noise.quiet else self._noise.sifting()
        deliveries, refused = self._owed(batch, counted, sifting)
        changes: list[Change] = [Advance(cursor=ROUTER, expected=place, seq=batch[-1].seq)]
        if self._archives.of_bus:
            changes += [kept for entry in batch for kept in archives_owed(entry.event, self._archives)]
        if sifting:
            deliveries += sifting.digests(epoch_ms(self._clock.now()))
            changes += sifting.changes()
        await self._deliver(deliveries, refused, counted, changes)
        if sifting:
            sifting.committed()
        return batch[-1].seq

    async def deliver(self, deliveries: list[Delivery], *changes: Change) -> None:
        """Make deliveries that no event in the journal owes, together with the changes that go with them."""
        await self._deliver(deliveries, [], Counter(), list(changes))

    async def _deliver(
        self, deliveries: list[Delivery], refused: list[Refused], counted: Counter[str], changes: list[Change]
    ) -> None:
        """Commit what the targets make of the deliveries, and the changes."""
        now_ms = epoch_ms(self._clock.now())
        owed: dict[str, list[Delivery]] = {}
        kind_of = functools.cache(target_kind)  # many deliveries, few targets
        for delivery in deliveries:
            owed.setdefault(kind_of(delivery.target.arn), []).append(delivery)
        landed = [await self._targets[kind].land(some, now_ms) for kind, some in owed.items()]
        refused += [one for some in landed for one in some.refused]
        counted["delivered"] += len(deliveries) - sum(len(some.refused) for some in landed)
        landed += await self._buried(refused, now_ms, counted)
        await self._store.commit(*changes, *(change for some in landed for change in some.changes))
        for some in landed:
            some.committed()
        self.counts.update(counted)
        self.tally.made(deliveries, epoch_ms(self._clock.now()))

    def _owed(
        self, batch: list[Journaled], counted: Counter[str], sifting: Sifting | None
    ) -> tuple[list[Delivery], list[Refused]]:
        """The deliveries in the order of the journal, and those that are unfit to be sent."""
        owed: list[Delivery] = []
        unfit: list[Refused] = []
        matches: dict[BusName, list[str]] = {}
        for entry in batch:
            event = entry.event
            rules = self._rules.get((event.scope, event.bus))
            if rules is None or not rules.owed:
                continue
            try:
                keys = matched(event, rules)
                deliveries, refused = let_through(event, route(event, rules, keys), self._archives)
            except Exception:  # an event nobody can read must not keep those behind it from being delivered
                log.exception("event %s cannot be routed: it is passed over", event.id)
                counted["unreadable"] += 1
                continue
            if keys:
                matches.setdefault((event.scope, event.bus), []).extend(keys)
            unfit += refused
            owed += sifting.through(entry.seq, deliveries) if sifting else deliveries
        for (scope, bus), found in matches.items():
            self.tally.matched(scope, bus, found)
        return owed, unfit

    async def _buried(self, refused: list[Refused], now_ms: int, counted: Counter[str]) -> list[Landed]:
        """Put refused deliveries into their dead-letter queues; what has none, or a queue that is gone, is dropped."""
        by_target: dict[int, list[Refused]] = {}
        for one in refused:
            by_target.setdefault(id(one.delivery.target), []).append(one)
        landed: list[Landed] = []
        for some in by_target.values():
            letters = [dead_letter(one) for one in some]
            buried = await self._dead_letters.bury(letters, now_ms) if self._dead_letters else Landed()
            landed.append(buried)
            counted["dead_lettered"] += len(buried.changes)
            counted["dropped"] += len(some) - len(buried.changes)
            self.tally.refused(some, len(buried.changes))
        if counted["dropped"]:
            last = refused[-1]
            log.warning(
                "%d deliveries dropped, the last of rule %s: %s",
                counted["dropped"],
                last.delivery.rule.name,
                last.message,
            )
        return landed
