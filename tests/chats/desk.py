"""Chats from a message to a stand-in's door, over a real store and the real outbox, on a clock moved by hand."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import aiohttp

from tests.chats.stand_in import StandIn, standing_in
from tests.harness import WAIT_S
from tests.outbox.post import turn
from tests.queues.desk import SCOPE, HandClock
from tocsin.backends.sqlite import SqliteStore
from tocsin.model.changes import Put
from tocsin.model.chat import ChatConfiguration, ChatThread, HeldPost, Provider, chat_scope
from tocsin.model.delivery import Landed
from tocsin.model.names import topic_arn
from tocsin.model.outbound import Outbound
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.times import epoch_ms
from tocsin.model.topic import TopicMessage
from tocsin.ports import Carrier
from tocsin.services.chats import Chats
from tocsin.services.outbox import Outbox, OutboxLimits
from tocsin.services.queues import Queues
from tocsin.targets.chats import Address, Addresses, ChatCarrier
from tocsin.targets.chats.posting import Poster
from tocsin.targets.queues import DeadLetterQueues

ALERTS = topic_arn(SCOPE, "alerts")
POST_LIMIT_S = 2.0  # for a chat that hangs; the others answer sooner on any machine
BOT = "/api/chat.postMessage"
SECRET = "xoxb-S3cret"


def health(status: str, instance: str = "i-1", reason: str = "r") -> str:
    """A Node Health Event."""
    summary = {"HealthStatus": status, "HealthStatusReason": reason, "RepairAction": "Replace", "Recommendation": ""}
    detail = {"ClusterName": "c", "ClusterArn": "arn:c", "InstanceId": instance, "HealthSummary": summary}
    return json.dumps({"detail-type": "SageMaker HyperPod Cluster Node Health Event", "detail": detail})


class Desk:
    def __init__(
        self, store: SqliteStore, clock: HandClock, chat: StandIn, carrier: ChatCarrier, per_minute: int
    ) -> None:
        self.store, self.clock, self.chat = store, clock, chat
        self.ids = itertools.count()
        queues = Queues(store=store, clock=clock, endpoint=lambda: "", new_id=lambda: f"m{next(self.ids)}")
        self.carriers: dict[str, Carrier] = {"chat": carrier}
        self.outbox = Outbox(
            store=store,
            clock=clock,
            carriers=self.carriers,
            dead_letters=DeadLetterQueues(queues),
            limits=OutboxLimits(),
            chance=lambda: 0.5,
        )
        self.chats = Chats(store=store, clock=clock, arrived=self.outbox.arrived, per_minute=per_minute)

    async def configure(
        self, name: str, provider: Provider = Provider.SLACK, topics: tuple[str, ...] = (ALERTS,), **more: Any
    ) -> ChatConfiguration:
        spec = {"SlackTeamId": "T1", "SlackChannelId": f"C{name}"} if provider is Provider.SLACK else {}
        made = ChatConfiguration(
            scope=chat_scope(SCOPE.account),
            provider=provider,
            name=name,
            created_ms=0,
            topics=topics,
            spec=spec,
            **more,
        )
        await self.store.commit(Put(made))
        self.chats.changed()
        return made

    async def heard(self, text: str, message_id: str) -> Landed:
        now_ms = epoch_ms(self.clock.now())
        message = TopicMessage(topic_arn=ALERTS, message_id=message_id, at_ms=now_ms, message=text)
        return await self.chats.heard(ALERTS, message, now_ms)

    async def publish(self, text: str) -> None:
        landed = await self.heard(text, f"m{next(self.ids)}")
        if landed.changes:
            await self.store.commit(*landed.changes)
        landed.committed()

    async def until(self, **counts: int) -> None:
        """Once the outbox has counted so many, as if no time had passed."""
        while self._behind(counts):
            await turn()

    async def until_with_time(self, **counts: int) -> None:
        """The same while time goes by."""
        while self._behind(counts):
            self.clock.move(1)
            await turn()

    def _behind(self, counts: dict[str, int]) -> bool:
        return any(self.outbox.counts[what] < count for what, count in counts.items())

    async def sweep(self) -> None:
        """What the chats' loop does when it is time."""
        await self.chats.sweep(epoch_ms(self.clock.now()))

    async def owed(self) -> list[Outbound]:
        return await self.store.find(Outbound)

    async def threads(self) -> list[ChatThread]:
        return await self.store.find(ChatThread)


@contextlib.asynccontextmanager
async def opened(folder: Path, per_minute: int = 0, **addresses: Address) -> AsyncIterator[Desk]:
    """`addresses` are channels'; those of a desk's usual channels are made up. Without `per_minute` no digests."""
    store = await SqliteStore.open(
        folder / "data", (Outbound, Queue, QueueMessage, ChatConfiguration, ChatThread, HeldPost)
    )
    clock = HandClock()
    async with standing_in() as chat, aiohttp.ClientSession() as session:
        channels = {
            "hook": Address(webhook=f"{chat.url}/hook"),
            "other": Address(webhook=f"{chat.url}/other"),
            "teams": Address(webhook=f"{chat.url}/teams"),
            "chime": Address(webhook=f"{chat.url}/chime"),
            **addresses,
        }
        carrier = ChatCarrier(
            store=store,
            clock=clock,
            poster=Poster(session, POST_LIMIT_S),
            addresses=Addresses(channels=channels, workspaces={"T1": Address(token=SECRET)}),
            slack_api=f"{chat.url}/api",
        )
        desk = Desk(store, clock, chat, carrier, per_minute)
        await desk.outbox.load()
        await desk.chats.load()
        task = asyncio.create_task(desk.outbox.run())
        try:
            yield desk
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, WAIT_S))
