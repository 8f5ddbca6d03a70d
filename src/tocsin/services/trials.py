"""One message through the whole path, for who wants to know whether anybody is told: to a topic, or to one channel.

Our own API asks; what became of the deliveries, `outcomes` tells.
"""

from collections.abc import Callable

from msgspec import Struct

from tocsin.core.topics.messages import Draft, published
from tocsin.model.chat import ChatConfiguration, chat_scope
from tocsin.model.names import Scope, topic_of
from tocsin.model.times import epoch_ms
from tocsin.model.topic import Topic
from tocsin.ports import Clock, Store
from tocsin.services.chats import Chats
from tocsin.services.topics import Hop, Topics
from tocsin.services.topics.publishing import hops_of

SUBJECT = "A test from Tocsin"
TEXT = (
    "This message was sent to {to} by `tocsin notify test`. Nothing happened: it shows that what is sent there "
    "reaches you."
)
# What a message to a channel alone is said to come from: there need not be a topic.
NO_TOPIC = "tocsin-notify-test"
UNCONFIRMED = "It was asked to confirm its subscription, and did not yet."
UNCONFIRMED_MAX = 1_000  # subscriptions of a topic that are looked at for it: more than a person reads


class Trial(Struct, frozen=True):
    """`to` is the ARN of the topic or channel."""

    to: str
    message_id: str
    hops: tuple[Hop, ...]


class Trials:
    def __init__(self, store: Store, clock: Clock, topics: Topics, chats: Chats, new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._topics = topics
        self._chats = chats
        self._new_id = new_id

    async def send(self, scope: Scope, to: str) -> Trial | None:
        """`to` is the name or ARN of a topic, or of a chat's channel; None when there is neither."""
        topic = await self._topic(scope, to)
        if topic is not None:
            sent = await self._topics.publish(topic.scope, topic.name, [self._draft(topic)])
            return Trial(topic.arn, sent.sent[0].message_id, (*sent.hops, *await self._unconfirmed(topic)))
        channel = await self._channel(scope, to)
        return await self._to_channel(scope, channel) if channel else None

    async def _unconfirmed(self, topic: Topic) -> list[Hop]:
        """Those who would hear it, had they confirmed: the commonest reason why nobody gets a mail."""
        found = await self._topics.subscriptions_of(topic.scope, f"{topic.name}/", "", UNCONFIRMED_MAX)
        return [
            Hop(
                subscription_arn="", protocol=one.protocol, endpoint=one.endpoint, became="unconfirmed", why=UNCONFIRMED
            )
            for one in found
            if not one.confirmed
        ]

    async def _topic(self, scope: Scope, to: str) -> Topic | None:
        place = topic_of(to) if to.startswith("arn:") else (scope, to)
        return await self._topics.find(*place) if place and place[0] == scope else None

    def _draft(self, topic: Topic) -> Draft:
        """One that no earlier trial's deduplication swallows."""
        group, dedup = ("tocsin-notify-test", self._new_id()) if topic.fifo else ("", "")
        return Draft(message=TEXT.format(to=topic.name), subject=SUBJECT, group_id=group, dedup_id=dedup)

    async def _channel(self, scope: Scope, to: str) -> ChatConfiguration | None:
        found = await self._store.find(ChatConfiguration, chat_scope(scope.account))
        return next((one for one in found if to in (one.name, one.arn)), None)

    async def _to_channel(self, scope: Scope, channel: ChatConfiguration) -> Trial:
        now_ms, message_id = epoch_ms(self._clock.now()), self._new_id()
        none = Topic(scope=scope, name=NO_TOPIC, created_ms=now_ms)
        draft = Draft(message=TEXT.format(to=channel.name), subject=SUBJECT)
        message = published(none, draft, message_id=message_id, at_ms=now_ms)
        landed = await self._chats.to_channel(channel, message, now_ms)
        await self._store.commit(*landed.changes)
        landed.committed()
        return Trial(channel.arn, message_id, tuple(hops_of(landed)))
