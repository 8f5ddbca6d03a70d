"""An outbox over a real store on a clock that is moved by hand, and a carrier that answers as it is told."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from tests.harness import WAIT_S
from tests.queues.desk import SCOPE, HandClock
from tocsin.backends.sqlite import SqliteStore
from tocsin.model.changes import Put
from tocsin.model.outbound import DELIVERED, LastResort, Outbound, Outcome, Verdict
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.times import epoch_ms
from tocsin.services.outbox import Outbox, OutboxLimits
from tocsin.services.queues import Queues
from tocsin.targets.queues import DeadLetterQueues

AGAIN = Outcome(verdict=Verdict.AGAIN, code="ERROR_FROM_TARGET", message="HTTP 503")
NEVER = Outcome(verdict=Verdict.NEVER, code="INVALID_PARAMETER", message="HTTP 400")
DLQ = f"arn:aws:sqs:us-west-2:{SCOPE.account}:dlq"


class Peer:
    """A Carrier. Each lane answers what `answers` holds for it, the last one for ever; who hangs answers nothing."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Outcome]] = defaultdict(lambda: [DELIVERED])
        self.hanging: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.flying = self.most_flying = 0
        self._news = asyncio.Event()

    async def carry(self, outbound: Outbound) -> Outcome:
        self.calls.append((outbound.lane, outbound.id))
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        self._news.set()
        try:
            if outbound.lane in self.hanging:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(0)
            answers = self.answers[outbound.lane]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        finally:
            self.flying -= 1

    def taken(self, lane: str) -> list[str]:
        return [name for of, name in self.calls if of == lane]

    async def called(self, times: int) -> None:
        """Once there were so many calls in all."""
        while len(self.calls) < times:
            self._news.clear()
            await self._news.wait()


class Post:
    """An outbox at work."""

    def __init__(self, store: SqliteStore, clock: HandClock, peer: Peer, limits: OutboxLimits) -> None:
        self.store, self.clock, self.peer = store, clock, peer
        ids = iter(range(10**6))
        self.queues = Queues(store=store, clock=clock, endpoint=lambda: "", new_id=lambda: f"m{next(ids)}")
        self.outbox = Outbox(
            store=store,
            clock=clock,
            carriers={"peer": peer},
            dead_letters=DeadLetterQueues(self.queues),
            limits=limits,
            chance=lambda: 0.5,
        )

    def made(self, lane: str, name: str, **given: Any) -> Outbound:
        now_ms = epoch_ms(self.clock.now())
        usual: dict[str, Any] = {
            "carrier": "peer",
            "origin": f"rule of {lane}",
            "body": "{}",
            "first_ms": now_ms,
            "due_ms": now_ms,
        }
        return Outbound(scope=SCOPE, lane=lane, id=name, **(usual | given))

    async def owe(self, lane: str, *names: str, announced: bool = True, **given: Any) -> None:
        outbounds = [self.made(lane, name, **given) for name in names]
        await self.store.commit(*map(Put, outbounds))
        if announced:
            self.outbox.arrived(outbounds)

    async def owed(self) -> list[Outbound]:
        return await self.store.find(Outbound)

    async def until(self, **counts: int) -> None:
        """Once the outbox has counted so many."""
        while any(self.outbox.counts[what] < count for what, count in counts.items()):
            await turn()

    async def dead(self) -> list[QueueMessage]:
        return await self.store.find(QueueMessage)


async def turn() -> None:
    """Let everybody else have a turn: the store's writer answers from its own thread."""
    await asyncio.sleep(0.001)


def last_resort(body: str = '{"id":"e"}') -> LastResort:
    return LastResort(queue_arn=DLQ, body=body, attributes={"RULE_ARN": "r", "TARGET_ARN": "t"})


@contextlib.asynccontextmanager
async def opened(
    folder: Path,
    limits: OutboxLimits | None = None,
    *,
    clock: HandClock | None = None,
    peer: Peer | None = None,
    running: bool = True,
) -> AsyncIterator[Post]:
    store = await SqliteStore.open(folder / "data", (Outbound, Queue, QueueMessage))
    try:
        post = Post(store, clock or HandClock(), peer or Peer(), limits or OutboxLimits())
        await post.queues.load()
        await post.outbox.load()
        task = asyncio.create_task(post.outbox.run()) if running else None
        try:
            yield post
        finally:
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    finally:
        await store.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, WAIT_S))
