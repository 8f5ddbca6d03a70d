"""The outbox in virtual time: peers that fail in every way, a store that refuses, a server that falls; then all heals.

TOCSIN_OUTBOX_SEEDS (12) says how many lives are played.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from tests.outbox.post import last_resort
from tests.queues.desk import SCOPE
from tests.simulation.test_simulation import ShakyStore
from tests.simulation.virtual import VirtualClock, VirtualLoop, run
from tests.simulation.yard import Faults
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.audit import World, audit
from tocsin.model.changes import Put
from tocsin.model.outbound import DELIVERED, Outbound, Outcome, RetryPolicy, Verdict
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.times import epoch_ms
from tocsin.ports import Store
from tocsin.services import outbox
from tocsin.services.outbox import Outbox, OutboxLimits
from tocsin.services.queues import Queues
from tocsin.targets.queues import DeadLetterQueues

SEEDS = int(os.environ.get("TOCSIN_OUTBOX_SEEDS", "12"))
LANES = ("a", "b", "b/c", "d")
LIMITS = OutboxLimits(
    in_flight_max=3, lane_in_flight_max=4, lane_in_flight_own=1, known_max=5, lane_known_own=3, lane_owed_max=10_000
)


class ChancyPeer:
    """A Carrier that delivers, mostly."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.taken: Counter[str] = Counter()
        self.refused: set[str] = set()

    async def carry(self, outbound: Outbound) -> Outcome:
        chance, strike = self.faults.chance, self.faults.strike
        await asyncio.sleep(chance.uniform(0, 60 if strike(0.1) else 0.1))
        if strike(0.05):
            return Outcome(verdict=Verdict.NOT_YET, after_s=chance.uniform(0, 5))
        if strike(0.05):
            self.refused.add(outbound.id)
            return Outcome(verdict=Verdict.NEVER, code="INVALID_PARAMETER", message="no")
        if strike(0.3):
            after_s = chance.choice([None, None, 0.5, 90.0])
            return Outcome(verdict=Verdict.AGAIN, code="TIMEOUT", message="late", after_s=after_s)
        if strike(0.03):
            raise RuntimeError("a bug")
        self.taken[outbound.id] += 1
        return DELIVERED


class Life:
    """One outbox from its first start to its rest, over as many falls as there are."""

    def __init__(self, seed: int, loop: VirtualLoop, store: SqliteStore) -> None:
        self.chance = random.Random(seed)
        self.faults = Faults(self.chance)
        self.clock = VirtualClock(loop)
        self.real, self.loop = store, loop
        self.store = cast("Store", ShakyStore(store, loop, self.faults))
        self.peer = ChancyPeer(self.faults)
        self.owed: dict[str, Outbound] = {}
        self.dropped = 0

    async def start(self) -> None:
        self.queues = Queues(store=self.store, clock=self.clock, endpoint=lambda: "", new_id=self._id)
        self.outbox = Outbox(
            store=self.store,
            clock=self.clock,
            carriers={"peer": self.peer},
            dead_letters=DeadLetterQueues(self.queues),
            limits=LIMITS,
            chance=self.chance.random,
        )
        on, self.faults.on = self.faults.on, False
        await self.queues.load()
        await self.outbox.load()
        self.faults.on = on
        self.task = asyncio.create_task(self.outbox.run())

    def _id(self) -> str:
        return f"m-{self.chance.getrandbits(60):x}"

    async def fall(self) -> None:
        """As by kill -9: whatever is under way is cut, and commits that are with the disk may or may not be told."""
        for attempt in self.outbox._attempts:
            attempt.cancel()
        self.task.cancel()
        await asyncio.gather(self.task, *self.outbox._attempts, return_exceptions=True)
        await cast("Any", self.store).settled()
        self.dropped += self.outbox.counts["dropped"]

    async def owe(self) -> None:
        """Some more, as the router does: on disk first, told afterwards, unless the server falls in between."""
        now_ms = epoch_ms(self.clock.now())
        fresh = [
            Outbound(
                scope=SCOPE,
                lane=self.chance.choice(LANES),
                id=f"{len(self.owed) + number:05}",
                carrier="peer",
                origin="rule",
                body="{}",
                first_ms=now_ms,
                due_ms=now_ms,
                retry=RetryPolicy(attempts_max=self.chance.choice([1, 3, 186]), age_s_max=3600),
                last_resort=last_resort(f"{len(self.owed) + number:05}"),
            )
            for number in range(self.chance.randrange(1, 12))
        ]
        with self.loop.real():
            await self.real.commit(*map(Put, fresh))
        self.owed |= {one.id: one for one in fresh}
        await asyncio.sleep(0)
        self.outbox.arrived(fresh)

    async def live(self) -> None:
        self.faults.on = False
        await self.start()
        await self.queues.create(SCOPE, "dlq", {}, {})
        self.faults.on = True
        for _ in range(self.chance.randrange(10, 30)):
            await self.owe()
            await asyncio.sleep(self.chance.uniform(0, 30))
            if self.chance.random() < 0.2:
                await self.fall()
                await self.start()
        self.faults.on = False
        for _ in range(4000):  # at most an hour and a bit: no delivery is owed for longer
            if not self.outbox.waiting:
                break
            await asyncio.sleep(1)
        await self.fall()

    async def judge(self) -> None:
        with self.loop.real():
            left = tuple(await self.real.find(Outbound))
            dead = {one.body for one in await self.real.find(QueueMessage)}
        assert audit(World(clusters=(), nodes=(), outbounds=left)) == []
        assert left == (), "nothing is owed any more"
        assert self.outbox.waiting == 0
        assert self.owed.keys() == self.peer.taken.keys() | dead, "delivered or dead-lettered"
        assert self.dropped == 0


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_goes_wrong_everything_owed_is_delivered_or_a_dead_letter(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "READ_AT_ONCE", 2)  # so that lanes are read on and on
    loop = VirtualLoop()

    async def main() -> None:
        with loop.real():
            store = await SqliteStore.open(tmp_path / "data", (Outbound, Queue, QueueMessage))
        try:
            life = Life(seed, loop, store)
            await life.live()
            await life.judge()
        finally:
            with loop.real():
                await store.close()

    run(main(), loop)
