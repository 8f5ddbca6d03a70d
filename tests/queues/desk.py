"""Queues over a real store on a clock that is moved by hand."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.harness import WAIT_S
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.queues.messages import Draft
from tocsin.model.names import Scope
from tocsin.model.queue import Queue, QueueMessage
from tocsin.services.queues import Ask, QueueLimits, Queues, Received, Sent

SCOPE = Scope("111122223333", "us-west-2")


class HandClock:
    """Time stands until somebody moves it."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._sleeping: list[tuple[datetime, asyncio.Future[None]]] = []
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleeping.append((self._now + timedelta(seconds=seconds), future))
        self.slept.set()
        await future

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        for at, future in self._sleeping:
            if at <= self._now and not future.done():
                future.set_result(None)


class Desk:
    """The queues of one account, and what tests do with them again and again."""

    def __init__(self, store: SqliteStore, clock: HandClock, limits: QueueLimits | None = None) -> None:
        self.store, self.clock = store, clock
        self.ids = itertools.count()
        self.queues = Queues(
            store=store,
            clock=clock,
            endpoint=lambda: "http://here",
            new_id=lambda: f"id-{next(self.ids)}-{id(self)}",
            limits=limits,
        )

    async def create(self, name: str = "q", **attributes: str) -> Queue:
        return await self.queues.create(SCOPE, name, attributes, {})

    async def send(self, body: str, name: str = "q", **more: Any) -> Sent:
        [sent] = await self.queues.send(SCOPE, name, [Draft(body=body, **more)])
        if isinstance(sent, Exception):
            raise sent
        return sent

    async def receive(self, name: str = "q", most: int = 10, **ask: Any) -> list[Received]:
        return await self.queues.receive(SCOPE, name, Ask(most=most, **ask))

    async def bodies(self, name: str = "q", most: int = 10, **ask: Any) -> list[str]:
        return [one.message.body for one in await self.receive(name, most, **ask)]

    async def delete(self, *received: Received, name: str = "q") -> list[Any]:
        return list(await self.queues.delete(SCOPE, name, [one.handle for one in received]))

    async def hide(self, received: Received, seconds: int, name: str = "q") -> Any:
        [refused] = await self.queues.hide(SCOPE, name, [(received.handle, seconds)])
        return refused

    async def stored(self) -> list[QueueMessage]:
        return await self.store.find(QueueMessage)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, clock: HandClock | None = None, limits: QueueLimits | None = None
) -> AsyncIterator[Desk]:
    store = await SqliteStore.open(folder / "data", (Queue, QueueMessage))
    try:
        desk = Desk(store, clock or HandClock(), limits)
        await desk.queues.load()
        yield desk
    finally:
        await store.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, WAIT_S))
