"""The outbox: whatever is owed to the outside, delivered, tried again, or given up into a dead-letter queue.

Who owes something commits it and then tells `arrived`. Carriers make the attempts; what became of one is committed
before the delivery is forgotten, so a crash repeats attempts and loses nothing. core/lanes says whose turn it is.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from tocsin.core.lanes import Lane, LaneLimits, Lanes, Read, Try
from tocsin.core.settle import Done, RetryAt, crowded_out, overdue, settle
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.delivery import Landed
from tocsin.model.errors import Stale, StoreUnavailable, Throttling
from tocsin.model.names import Scope
from tocsin.model.outbound import DeadLetter, Outbound, Outcome, Verdict, lane_prefix
from tocsin.model.times import epoch_ms
from tocsin.ports import Carrier, Clock, DeadLetters, Store
from tocsin.services.waiting import news_or_pause

log = logging.getLogger(__name__)

# Deliveries read from a lane in one go; their bodies are read along, 1 MiB each at worst.
READ_AT_ONCE = 32
STORE_PAUSE_S = 0.5
# Who owed something may have gone away before telling. Some 30 microseconds a lane.
LOOK_EVERY_S = 60.0
# For attempts under way at a stop. What is cut is tried again at the next start.
STOP_GRACE_S = 0.5
# Targets of rules, and subscriptions, that are counted by themselves.
ORIGINS_COUNTED_MAX = 10_000


class OutboxLimits(LaneLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be owed, and how much is tried at once."""

    # About 2 GB on disk. Beyond it nothing that would be owed on is accepted.
    owed_max: int = 1_000_000
    # Beyond it the lane's oldest are given up, so that one dead peer does not use up what all may owe.
    lane_owed_max: int = 250_000


class LaneView(Struct, frozen=True, kw_only=True):
    """A lane as people see it. `oldest` is its first delivery; the times are epoch milliseconds, None for never."""

    lane: str
    owed: int
    in_flight: int
    oldest: Outbound
    next_try_ms: int | None
    failing_since_ms: int | None


Epilogue = Callable[[Outbound, Done | RetryAt | DeadLetter, str, int], Awaitable[Sequence[Change]]]


async def without_words(*_: object) -> Sequence[Change]:
    """Of most deliveries nothing is told but to who counts."""
    return ()


class Outbox:
    """`carriers` by the name that outbounds call them; `chance` gives numbers of [0, 1)."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        carriers: Mapping[str, Carrier],
        dead_letters: DeadLetters,
        limits: OutboxLimits,
        chance: Callable[[], float],
        epilogue: Epilogue = without_words,
    ) -> None:
        """`epilogue` has the changes that tell of a delivery's end, for the commit that ends it."""
        self._store = store
        self._clock = clock
        self._carriers = carriers
        self._dead_letters = dead_letters
        self._limits = limits
        self._chance = chance
        self._epilogue = epilogue
        self._lanes = Lanes(limits)
        self._woken = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._look_at_ms = 0
        self.counts: Counter[str] = Counter(
            arrived=0, attempts=0, delivered=0, retried=0, dead_lettered=0, dropped=0, crowded_out=0, throttled=0
        )
        # By origin and target.
        self.by_origin: dict[tuple[str, str], Counter[str]] = {}
        # Likewise, of those that are delivered or given up: the time from their being owed, together.
        self.ended_ms: Counter[tuple[str, str]] = Counter()

    @property
    def waiting(self) -> int:
        """How many deliveries are owed."""
        return self._lanes.owed

    @property
    def full(self) -> bool:
        """Whether so much is owed that nothing more may be."""
        return self.waiting >= self._limits.owed_max

    def demand_room(self) -> None:
        """Raises Throttling when the outbox is full."""
        if self.full:
            self.counts["throttled"] += 1
            raise Throttling(
                f"Rate exceeded: {self.waiting} deliveries are owed to targets that do not take them "
                "(outbox.owed_max). `tocsin deliveries` names them."
            )

    async def load(self) -> None:
        """Find out what is owed: before anything else, and now and then, for what nobody told of."""
        for scope in await self._store.scopes(Outbound):
            after = ""
            while found := await self._store.find(Outbound, scope, after=after, limit=1):
                prefix = lane_prefix(found[0].lane)
                self._lanes.stored((scope, found[0].lane), await self._store.count(Outbound, scope, prefix))
                after = f"{prefix}\U0010ffff"
        self._look_at_ms = epoch_ms(self._clock.now()) + round(LOOK_EVERY_S * 1000)

    def arrived(self, outbounds: Iterable[Outbound]) -> None:
        """These are on disk: take them up."""
        for one in outbounds:
            self._lanes.owe((one.scope, one.lane), one.key, one.due_ms)
            self._count(one, "arrived")
        self._woken.set()

    async def run(self) -> None:
        """Deliver for ever. When it is cancelled, attempts under way get a moment to end."""
        try:
            while True:
                self._woken.clear()
                try:
                    if epoch_ms(self._clock.now()) >= self._look_at_ms:
                        await self.load()
                    await self._steps()
                except Exception:
                    log.exception("the outbox cannot read what is owed; trying again")
                    await self._clock.sleep(STORE_PAUSE_S)
                    continue
                await self._rest()
        finally:
            await self._stop()

    async def _steps(self) -> None:
        while (step := self._lanes.next(epoch_ms(self._clock.now()))) is not None:
            match step:
                case Read(lane):
                    await self._read(lane)
                case Try(lane, key):
                    task = asyncio.create_task(self._attempt(lane, key))
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)

    async def _read(self, lane: Lane) -> None:
        """The next deliveries of a lane, from where it was read to."""
        scope, name = lane.name
        lane.more = False  # those that arrive meanwhile say so themselves
        try:
            found = await self._store.find(
                Outbound, scope, prefix=lane_prefix(name), after=lane.read_to, limit=READ_AT_ONCE
            )
        except BaseException:
            lane.more = True
            raise
        for one in found:
            if not self._lanes.know(lane, one.key, one.due_ms):
                lane.more = True
                return
        lane.more = lane.more or len(found) == READ_AT_ONCE

    async def _rest(self) -> None:
        """Until something arrives or ends, or is due."""
        alarm_ms = min(self._look_at_ms, self._lanes.alarm_ms or self._look_at_ms)
        pause_s = max(0, alarm_ms - epoch_ms(self._clock.now())) / 1000
        await news_or_pause(self._woken, self._clock, pause_s)

    async def _stop(self) -> None:
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=STOP_GRACE_S)
        for task in self._attempts:
            task.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _attempt(self, lane: Lane, key: str) -> None:
        """One attempt at one delivery, and what follows from it."""
        try:
            await self._try(lane, key)
        except Exception:
            log.exception("an attempt at %s failed on our side; trying again", key)
            if key in lane.flying:
                self._lanes.again(lane, key, epoch_ms(self._clock.now()) + round(STORE_PAUSE_S * 1000))
        finally:
            self._woken.set()

    async def _try(self, lane: Lane, key: str) -> None:
        outbound = await self._store.get(Outbound, lane.name[0], key)
        if outbound is None:  # settled before it was announced, or somebody else removed it
            self._lanes.gone(lane, key, owed=False)
            return
        if lane.owed - lane.leaving > self._limits.lane_owed_max:
            await self._crowd_out(lane, outbound)
            return
        late = overdue(outbound, epoch_ms(self._clock.now()))
        if late is not None:
            await self._settled(lane, outbound, late)
            return
        outcome = await self._carried(outbound)
        now_ms = epoch_ms(self._clock.now())
        if outcome.verdict is Verdict.NOT_YET:
            self._lanes.rest(lane, now_ms + round((outcome.after_s or 0) * 1000))
            self._lanes.again(lane, key, outbound.due_ms)
            return
        self._note(lane, outcome, now_ms)
        self._count(outbound, "attempts")
        await self._settled(lane, outbound, settle(outbound, outcome, now_ms, self._chance()), outcome.message)

    async def _crowd_out(self, lane: Lane, outbound: Outbound) -> None:
        lane.leaving += 1
        try:
            self._count(outbound, "crowded_out")
            await self._settled(lane, outbound, crowded_out(outbound, self._limits.lane_owed_max))
        finally:
            lane.leaving -= 1

    async def _carried(self, outbound: Outbound) -> Outcome:
        carrier = self._carriers.get(outbound.carrier)
        if carrier is None:  # what carries it may be configured again
            message = f"Nothing here carries deliveries by {outbound.carrier}."
            return Outcome(verdict=Verdict.AGAIN, code="INTERNAL_ERROR", message=message)
        try:
            return await carrier.carry(outbound)
        except Exception as error:
            log.exception("carrying %s by %s failed", outbound.key, outbound.carrier)
            return Outcome(verdict=Verdict.AGAIN, code="INTERNAL_ERROR", message=f"{type(error).__name__}: {error}")

    def _note(self, lane: Lane, outcome: Outcome, now_ms: int) -> None:
        """Since when a lane fails is told to people."""
        if outcome.verdict is Verdict.DELIVERED:
            lane.failing_since_ms = 0
        elif not lane.failing_since_ms:
            lane.failing_since_ms = now_ms

    async def _settled(self, lane: Lane, outbound: Outbound, fate: Done | RetryAt | DeadLetter, said: str = "") -> None:
        """Commit what became of a delivery, however long the store takes, and only then go on.

        `said` is what the receiver answered.
        """
        while True:
            try:
                landed = await self._landed(outbound, fate)
                told = await self._epilogue(outbound, fate, said, epoch_ms(self._clock.now()))
                await self._store.commit(*landed.changes, *told)
            except Stale:  # somebody was faster: what is there now counts
                await self._anew(lane, outbound.key)
                return
            except (StoreUnavailable, Throttling) as error:
                log.warning("the outbox waits for the store: %s", error)
                await self._clock.sleep(STORE_PAUSE_S)
                continue
            landed.committed()
            self._forget(lane, outbound, fate, buried=len(landed.changes) > 1)
            return

    async def _anew(self, lane: Lane, key: str) -> None:
        """Go on from what the store holds of a delivery."""
        stored = await self._store.get(Outbound, lane.name[0], key)
        if stored is None:
            self._lanes.gone(lane, key)
        else:
            self._lanes.again(lane, key, stored.due_ms)

    async def _landed(self, outbound: Outbound, fate: Done | RetryAt | DeadLetter) -> Landed:
        """The changes of a fate: the delivery goes or is kept; what is given up goes to its queue with it."""
        match fate:
            case RetryAt(after):
                return Landed(changes=(Put(after),))
            case DeadLetter() if fate.last_resort is not None:
                buried = await self._dead_letters.bury([fate], epoch_ms(self._clock.now()))
                changes: tuple[Change, ...] = (Delete(outbound), *buried.changes)
                return Landed(changes=changes, committed=buried.committed)
        return Landed(changes=(Delete(outbound),))

    def _forget(self, lane: Lane, outbound: Outbound, fate: Done | RetryAt | DeadLetter, *, buried: bool) -> None:
        match fate:
            case RetryAt(after):
                self._lanes.again(lane, outbound.key, after.due_ms)
                self._count(outbound, "retried")
                return
            case Done():
                self._count(outbound, "delivered")
            case DeadLetter():
                self._count(outbound, "dead_lettered" if buried else "dropped")
                if not buried:
                    self._tell_dropped(outbound, fate)
        if _whose(outbound) in self.by_origin:
            self.ended_ms[_whose(outbound)] += max(0, epoch_ms(self._clock.now()) - outbound.first_ms)
        self._lanes.gone(lane, outbound.key)

    def _tell_dropped(self, outbound: Outbound, letter: DeadLetter) -> None:
        """Of the many that a dead peer costs, the first, the second, the fourth, and so on are logged."""
        dropped = self.by_origin.get(_whose(outbound), self.counts)["dropped"]
        if dropped & (dropped - 1) == 0:
            log.warning("%d deliveries of %s dropped, the last: %s", dropped, letter.origin, letter.message)

    def _count(self, outbound: Outbound, what: str) -> None:
        self.counts[what] += 1
        whose = _whose(outbound)
        if whose in self.by_origin or len(self.by_origin) < ORIGINS_COUNTED_MAX:
            self.by_origin.setdefault(whose, Counter())[what] += 1

    async def lanes(self, scope: Scope) -> list[LaneView]:
        """What is owed in an account and region, by lane. Lanes that owe nothing are left out."""
        views = []
        for lane in [one for one in self._lanes.by_name.values() if one.name[0] == scope]:
            oldest = await self._store.find(Outbound, scope, prefix=lane_prefix(lane.name[1]), limit=1)
            if oldest:
                views.append(_view(lane, oldest[0]))
        return sorted(views, key=lambda view: view.lane)


def _whose(outbound: Outbound) -> tuple[str, str]:
    return outbound.origin, outbound.target


def _view(lane: Lane, oldest: Outbound) -> LaneView:
    first = lane.first()
    since_ms = lane.failing_since_ms or (oldest.first_ms if oldest.attempts else 0)
    return LaneView(
        lane=lane.name[1],
        owed=max(lane.owed, 1),
        in_flight=len(lane.flying),
        oldest=oldest,
        next_try_ms=max(first[0], lane.rests_until_ms) if first else None,
        failing_since_ms=since_ms or None,
    )
