"""The topics of the server: the door, the bus and the pages ask here; each subject has a file of its own beside this.

The store holds all of it. A publication is one commit: the messages of queues, what is owed to the outside, and what
the memory of a FIFO topic keeps.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.core.topics import attributes as law
from tocsin.core.topics.messages import Draft
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import TocsinError
from tocsin.model.names import Scope
from tocsin.model.outbound import Outbound
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.model.topic import Subscription, Topic
from tocsin.model.topic_errors import TopicLimitExceeded, no_topic
from tocsin.ports import Clock, Listeners, Store
from tocsin.services.deciding import decided
from tocsin.services.flows import RETRY_PAUSE_S
from tocsin.services.queues import Queues
from tocsin.services.tagging import first_tags, last_tags, tags_of
from tocsin.services.topics.fanout import Fanout
from tocsin.services.topics.feedback import Feedback
from tocsin.services.topics.links import Links
from tocsin.services.topics.mailing import Mailing
from tocsin.services.topics.publishing import Prepared, Publishing
from tocsin.services.topics.settings import TopicsLimits
from tocsin.services.topics.signing import Signer
from tocsin.services.topics.subscribing import Subscribing

log = logging.getLogger(__name__)


class Topics:
    """`address` is where readers of messages reach this server. `wake` hears of outbound deliveries on disk.

    `demand_room` raises Throttling when no more of them may be owed.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        queues: Queues,
        signer: Signer,
        address: Callable[[], str],
        new_id: Callable[[], str],
        wake: Callable[[Sequence[Outbound]], None],
        listeners: Listeners | None = None,
        limits: TopicsLimits | None = None,
        console_link: str = "",
        document: str = INVESTIGATION,
        demand_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wake = wake
        self._demand_room = demand_room
        self._limits = limits or TopicsLimits()
        self.counts: Counter[str] = Counter(published=0, delivered=0, filtered=0, held=0, digests=0, dropped=0)
        self.signer = signer
        links = Links(address, console_link, document)
        self._mailing = Mailing(store, links, self._limits, self.counts)
        fanout = Fanout(queues, self._mailing, signer, links)
        self.feedback = Feedback(store)
        self._publishing = Publishing(store, queues, fanout, self.counts, wake, listeners, self.feedback)
        self.subscriptions = Subscribing(store, queues, fanout, self._mailing, self._limits, new_id, wake)

    async def load(self) -> None:
        """Take up what the store holds. Called once, before anything else."""
        await self._publishing.load()
        await self._mailing.load(epoch_ms(self._clock.now()))

    async def run(self) -> None:
        """Send digests when they are due, forget what is over, until cancelled."""
        while True:
            self._mailing.flows.stirred.clear()
            try:
                await self.sweep(epoch_ms(self._clock.now()))
            except TocsinError as away:
                log.warning("digests wait for the store: %s", away)
                await self._clock.sleep(RETRY_PAUSE_S)
            await self._mailing.flows.rest(self._clock)

    async def sweep(self, now_ms: int) -> None:
        await self._mailing.flush(now_ms, self._wake)
        await self._publishing.forget(now_ms)
        await self.subscriptions.forget(now_ms)

    # topics
    async def named(self, scope: Scope, name: str) -> Topic:
        """Raises NotFound."""
        found = await self._store.get(Topic, scope, name)
        if found is None:
            raise no_topic()
        return found

    async def find(self, scope: Scope, name: str) -> Topic | None:
        return await self._store.get(Topic, scope, name)

    async def all_of(self, scope: Scope, after: str, limit: int) -> list[Topic]:
        """By name, beyond `after`."""
        return await self._store.find(Topic, scope, after=after, limit=limit)

    async def subscriptions_of(self, scope: Scope, prefix: str, after: str, limit: int) -> list[Subscription]:
        """By key, beyond `after`; of one topic with its name and a slash as prefix."""
        return await self._store.find(Subscription, scope, prefix=prefix, after=after, limit=limit)

    async def told(self, topic: Topic) -> dict[str, str]:
        """Its attributes as GetTopicAttributes tells them."""
        found = await self._store.find(Subscription, topic.scope, prefix=f"{topic.name}/")
        confirmed = sum(one.confirmed for one in found)
        return law.told(topic, confirmed, len(found) - confirmed)

    async def create(
        self, scope: Scope, name: str, attributes: Mapping[str, str], tags: Mapping[str, str], protection: str
    ) -> Topic:
        """The new topic, or the one of this name when what is asked is as it is. Raises InvalidParameter."""
        fifo = attributes.get("FifoTopic", "").lower() == "true"
        law.check_name(name, fifo=fifo)
        wanted = law.checked(attributes, fifo=fifo)

        async def attempt() -> Topic:
            existing = await self._store.get(Topic, scope, name)
            if existing is not None:
                law.check_same(existing, wanted, tags, await tags_of(self._store, scope, existing.arn))
                return existing
            if len(await self._store.find(Topic, scope, limit=self._limits.topics_max)) >= self._limits.topics_max:
                raise TopicLimitExceeded(f"There are {self._limits.topics_max} topics already. Delete some.")
            topic = Topic(
                scope=scope,
                name=name,
                created_ms=epoch_ms(self._clock.now()),
                attributes=law.merged({}, wanted),
                data_protection=protection,
            )
            await self._store.commit(Put(topic), *await first_tags(self._store, scope, topic.arn, dict(tags)))
            return topic

        return await decided(attempt)

    async def change(self, scope: Scope, name: str, change: Callable[[Topic], Topic]) -> None:
        """Store what `change` makes of the topic; it is asked again when another change was faster."""

        async def attempt() -> None:
            await self._store.commit(Put(change(await self.named(scope, name))))

        await decided(attempt)

    async def set_attribute(self, scope: Scope, name: str, attribute: str, value: str) -> None:
        def change(topic: Topic) -> Topic:
            wanted = law.checked({attribute: value}, fifo=topic.fifo)
            return successor(topic, attributes=law.merged(topic.attributes, wanted))

        await self.change(scope, name, change)

    async def delete(self, scope: Scope, name: str) -> None:
        """With all its subscriptions. Who deletes what is not there has what he wants."""

        async def attempt() -> None:
            topic = await self._store.get(Topic, scope, name)
            if topic is None:
                return
            tags = await last_tags(self._store, scope, topic.arn)
            await self._store.commit(Delete(topic), *tags, *await self.subscriptions.endings(topic))

        await decided(attempt)

    # messages
    async def prepare(self, topic: Topic, drafts: Sequence[tuple[str, Draft]], now_ms: int) -> Prepared:
        """What publishing these means, for the caller's own commit; `committed` afterwards. The drafts are checked."""
        return await self._publishing.prepare(topic, drafts, now_ms)

    async def publish(self, scope: Scope, name: str, drafts: Sequence[Draft]) -> Prepared:
        """Publish checked drafts: all is on disk when this returns. Raises NotFound, Throttling."""
        self._demand_room()

        async def attempt() -> Prepared:
            topic = await self.named(scope, name)
            now_ms = epoch_ms(self._clock.now())
            prepared = await self.prepare(topic, [(self._new_id(), draft) for draft in drafts], now_ms)
            await self._store.commit(*prepared.changes)
            prepared.committed()
            return prepared

        return await decided(attempt)
