"""Topics over a real store, on a clock that is moved by hand; what is owed to the outside is looked at, not carried."""

import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.queues.desk import SCOPE, HandClock
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.topics.messages import Draft
from tocsin.model.outbound import Outbound
from tocsin.model.times import epoch_ms
from tocsin.model.topic import Subscription, Topic
from tocsin.server.kinds import KINDS
from tocsin.services.queues import Queues
from tocsin.services.topics import Prepared, Signer, Topics, TopicsLimits
from tocsin.services.topics.signing import made

kept = functools.cache(made)


class Desk:
    def __init__(self, store: SqliteStore, clock: HandClock, limits: TopicsLimits) -> None:
        self.store, self.clock = store, clock
        self.woken: list[Outbound] = []
        ids = itertools.count()
        self.queues = Queues(store=store, clock=clock, endpoint=lambda: "http://here", new_id=lambda: f"{next(ids)}")
        self.topics = Topics(
            store=store,
            clock=clock,
            queues=self.queues,
            signer=Signer(kept),
            address=lambda: "http://here",
            new_id=lambda: f"id-{next(ids)}-{id(self)}",
            wake=self.woken.extend,
            limits=limits,
        )

    @property
    def now_ms(self) -> int:
        return epoch_ms(self.clock.now())

    async def topic(self, name: str = "t", **attributes: str) -> Topic:
        return await self.topics.create(SCOPE, name, attributes, {}, "")

    async def subscribed(self, topic: Topic, protocol: str, endpoint: str, **attributes: str) -> Subscription:
        """A subscription that its owner confirmed. What asked him is taken off the desk."""
        asked = await self.topics.subscriptions.subscribe(topic, protocol, endpoint, attributes, self.now_ms)
        self.woken.clear()
        return await self.topics.subscriptions.confirm(SCOPE, topic.name, asked.token, self.now_ms)

    async def publish(self, *texts: str, topic: str = "t") -> Prepared:
        return await self.topics.publish(SCOPE, topic, [Draft(message=text) for text in texts])

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        await self.topics.sweep(self.now_ms)

    def bodies(self) -> Sequence[str]:
        """Of what was handed to the outbox, without footers."""
        return [one.body.partition("\n\n--\n")[0] for one in self.woken]


@contextlib.asynccontextmanager
async def opened(
    folder: Path, clock: HandClock | None = None, limits: TopicsLimits | None = None
) -> AsyncIterator[Desk]:
    store = await SqliteStore.open(folder / "data", KINDS)
    try:
        desk = Desk(store, clock or HandClock(), limits or TopicsLimits())
        await desk.queues.load()
        await desk.topics.load()
        yield desk
    finally:
        await store.close()
