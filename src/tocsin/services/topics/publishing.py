"""Messages on their way in: checked, recognised when they are repeated, fanned out, committed together."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from tocsin.core.queues.dedup import WINDOW_MS
from tocsin.core.topics.messages import Draft, deduplication_id, deduplication_key, published
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.chat import HeldPost
from tocsin.model.delivery import Landed
from tocsin.model.errors import Stale
from tocsin.model.names import Scope
from tocsin.model.outbound import Outbound
from tocsin.model.records import successor
from tocsin.model.topic import Publication, Subscription, Topic, TopicMessage
from tocsin.ports import Listeners, Store
from tocsin.services.queues import Queues
from tocsin.services.statuses import StatusHistory
from tocsin.services.topics.fanout import Fanout, Hop, Owed
from tocsin.services.topics.feedback import Feedback

# Sequence numbers grow with the clock, so that they go on growing over a restart.
SEQUENCES_PER_MS = 1 << 20
FORGOTTEN_AT_ONCE = 500


class Sent(Struct, frozen=True):
    """`sequence` is empty but in FIFO topics. A repeated message is answered with the one it repeats."""

    message_id: str
    sequence: str = ""


class Prepared(Struct, frozen=True, kw_only=True):
    """A publication that is to be committed; `committed` is called when it is."""

    sent: tuple[Sent, ...]
    hops: tuple[Hop, ...]
    changes: tuple[Change, ...]
    committed: Callable[[], None]


class Publishing:
    def __init__(
        self,
        store: Store,
        queues: Queues,
        fanout: Fanout,
        counts: Counter[str],
        wake: Callable[[Sequence[Outbound]], None],
        listeners: Listeners | None,
        feedback: Feedback,
    ) -> None:
        self._store = store
        self._statuses = StatusHistory(store)
        self._queues = queues
        self._fanout = fanout
        self._counts = counts
        self._wake = wake
        self._listeners = listeners
        self._feedback = feedback
        self._sequences: dict[tuple[Scope, str], int] = {}
        self._remembered: deque[Publication] = deque()

    async def load(self) -> None:
        """Take up which publications are to be forgotten, and when."""
        self._remembered = deque(sorted(await self._store.find(Publication), key=lambda one: one.at_ms))

    async def prepare(self, topic: Topic, drafts: Sequence[tuple[str, Draft]], now_ms: int) -> Prepared:
        """What publishing these means: (message id, checked draft) each. Writes nothing."""
        subscriptions = await self._store.find(Subscription, topic.scope, prefix=f"{topic.name}/")
        owed, sent, memory = Owed(), [], dict[str, Publication]()
        landed = []
        for message_id, draft in drafts:
            answer, repeated = await self._numbered(topic, message_id, draft, now_ms, memory)
            sent.append(answer)
            if repeated:
                owed.counted["repeated"] += 1
                continue
            message = published(topic, draft, message_id=message_id, at_ms=now_ms, sequence=answer.sequence)
            owed.counted["published"] += 1
            owed.previous = await self._previous(topic, subscriptions, message)
            await self._fanout.sign_ahead(topic, subscriptions, message)
            self._fanout.fan_out(topic, subscriptions, message, owed)
            if self._listeners is not None:
                heard = await self._listeners.heard(topic.arn, message, now_ms)
                landed.append(heard)
                owed.hops += hops_of(heard)
        changes = [*map(Put, memory.values()), *owed.changes, *(change for one in landed for change in one.changes)]
        changes += await self._feedback.changes(owed.ended, now_ms)

        def committed() -> None:
            self._remembered.extend(memory.values())
            self._counts.update(owed.counted)
            for queued in owed.queued:
                self._queues.arrived(queued)
            self._wake(owed.outbounds)
            for one in landed:
                one.committed()

        return Prepared(sent=tuple(sent), hops=tuple(owed.hops), changes=tuple(changes), committed=committed)

    async def _previous(self, topic: Topic, subscriptions: list[Subscription], message: TopicMessage) -> str:
        """The status before a State Change, where somebody reads it."""
        read = any(one.attributes.get("MailFormat") == "html" for one in subscriptions)
        return await self._statuses.before(topic.scope, message.text_for("email")) if read else ""

    async def _numbered(
        self, topic: Topic, message_id: str, draft: Draft, now_ms: int, memory: dict[str, Publication]
    ) -> tuple[Sent, bool]:
        """Id and sequence number, and whether they are those of a message that this one repeats."""
        if not topic.fifo:
            return Sent(message_id), False
        key = deduplication_key(topic, draft.group_id, deduplication_id(topic, draft))
        name = hashlib.sha256(key.encode()).hexdigest()
        before = await self._store.get(Publication, topic.scope, f"{topic.name}/{name}")
        seen = memory.get(name) or before
        if seen is not None and seen.at_ms + WINDOW_MS > now_ms:
            return Sent(seen.message_id, seen.sequence), True
        sequence = self._next_sequence(topic, now_ms)
        if before is not None:
            memory[name] = successor(before, message_id=message_id, sequence=sequence, at_ms=now_ms)
        else:
            memory[name] = Publication(
                scope=topic.scope,
                topic=topic.name,
                dedup=name,
                message_id=message_id,
                sequence=sequence,
                at_ms=now_ms,
            )
        return Sent(message_id, sequence), False

    def _next_sequence(self, topic: Topic, now_ms: int) -> str:
        place = (topic.scope, topic.name)
        self._sequences[place] = max(self._sequences.get(place, 0) + 1, now_ms * SEQUENCES_PER_MS)
        return f"{self._sequences[place]:020d}"

    async def forget(self, now_ms: int) -> None:
        """Remove what was remembered for its time."""
        while over := self._over(now_ms):
            try:
                await self._store.commit(*map(Delete, over))
            except Stale:  # one was published again: one by one
                await self._forget_each(over)

    def _over(self, now_ms: int) -> list[Publication]:
        over: list[Publication] = []
        while self._remembered and len(over) < FORGOTTEN_AT_ONCE:
            if self._remembered[0].at_ms + WINDOW_MS > now_ms:
                break
            over.append(self._remembered.popleft())
        return over

    async def _forget_each(self, over: Sequence[Publication]) -> None:
        for one in over:
            try:
                await self._store.commit(Delete(one))
            except Stale:
                continue  # it lives on under its next revision


def hops_of(heard: Landed) -> list[Hop]:
    """Who listens besides the subscriptions."""
    hops = []
    for change in heard.changes:
        match change:
            case Put(Outbound() as one):
                hop = Hop(
                    subscription_arn="",
                    protocol=one.carrier,
                    endpoint=one.origin,
                    became="handed over",
                    outbound_id=one.id,
                )
                hops.append(hop)
            case Put(HeldPost() as held):
                why = "Too many posts in a minute: the next digest lists it."
                hop = Hop(subscription_arn="", protocol="chat", endpoint=held.configuration, became="held", why=why)
                hops.append(hop)
    return hops
