"""The queues of the server: doors and the bus ask here; each subject has a file of its own beside this one.

The store holds the truth, a place in memory holds who is next. Both are loaded at the start and go in step: every
mutation is one commit, and memory follows it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from tocsin.core.queues.attributes import dead_letter_arn
from tocsin.core.queues.line import Counts
from tocsin.core.queues.messages import Draft, check_draft, deduplication_id, deduplication_key
from tocsin.model.errors import TocsinError
from tocsin.model.names import Scope
from tocsin.model.queue import MessageAttribute, Queue, QueueMessage
from tocsin.model.queue_errors import QueueDoesNotExist, QueueError
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.queues.keeping import Keeping
from tocsin.services.queues.place import Place, Places, QueueLimits
from tocsin.services.queues.receiving import Ask, Received, Receiving
from tocsin.services.queues.sending import Sending, Sent, built
from tocsin.services.queues.settling import Settling
from tocsin.services.queues.sweeping import Sweeping

log = logging.getLogger(__name__)

LOADED_AT_ONCE = 64  # bodies are read along: 64 MiB at worst


class Queues:
    """`endpoint` is what queue URLs begin with; `new_id` makes the ids of queues and messages."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        endpoint: Callable[[], str],
        new_id: Callable[[], str],
        limits: QueueLimits | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._endpoint = endpoint
        self._new_id = new_id
        self._places = Places(limits or QueueLimits())
        self._keeping = Keeping(store, clock, self._places, new_id)
        self._sending = Sending(store, clock, self._places, new_id)
        self._receiving = Receiving(store, clock, self._places)
        self._settling = Settling(store, clock, self._places)
        self._sweeping = Sweeping(store, self._places)

    async def load(self) -> None:
        """Line up what the store holds. Called once, before anything else."""
        for queue in await self._store.find(Queue):
            if queue.deleted:
                self._places.graves[queue.id] = queue
                continue
            place = Place(queue)
            self._places.add(place)
            after = ""
            while found := await self._store.find(
                QueueMessage, queue.scope, prefix=f"{queue.id}/", after=after, limit=LOADED_AT_ONCE
            ):
                for message in found:
                    place.take(message)
                after = found[-1].key

    async def run(self) -> None:
        """Sweep, rest, and again, until cancelled."""
        while True:
            try:
                await self.sweep(self._clock.now())
            except TocsinError as away:
                log.warning("housekeeping waits for the store: %s", away)
            await self._clock.sleep(self._places.limits.sweep_period_s)

    async def sweep(self, now: datetime) -> int:
        """Remove what is over from the disk; how many messages that were."""
        return await self._sweeping.sweep(epoch_ms(now))

    # queues
    def named(self, scope: Scope, name: str) -> Queue:
        """Raises QueueDoesNotExist."""
        return self._places.named(scope, name).queue

    def all_of(self, scope: Scope, prefix: str = "") -> list[Queue]:
        """By name."""
        queues = [place.queue for place in self._places.by_id.values() if place.queue.scope == scope]
        return sorted((queue for queue in queues if queue.name.startswith(prefix)), key=lambda queue: queue.name)

    def sources_of(self, queue: Queue) -> list[Queue]:
        """The queues whose dead letters go to this one."""
        return [source for source in self.all_of(queue.scope) if dead_letter_arn(source) == queue.arn]

    def queue_by_arn(self, arn: str) -> Queue | None:
        place = self._places.by_arn(arn)
        return place.queue if place else None

    def url(self, queue: Queue) -> str:
        return f"{self._endpoint()}/{queue.scope.account}/{queue.name}"

    def counts(self, queue: Queue) -> Counts:
        place = self._places.by_id.get(queue.id)
        return place.line.counts(epoch_ms(self._clock.now())) if place else Counts(0, 0, 0)

    async def create(self, scope: Scope, name: str, attributes: Mapping[str, str], tags: Mapping[str, str]) -> Queue:
        return await self._keeping.create(scope, name, attributes, tags)

    async def set_attributes(self, scope: Scope, name: str, attributes: Mapping[str, str]) -> None:
        await self._keeping.set_attributes(scope, name, attributes)

    async def retag(self, scope: Scope, name: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """`change` makes the new tags of the old ones."""
        place = self._places.named(scope, name)
        await self._keeping.change(place, lambda queue: successor(queue, tags=change(queue.tags)))

    async def purge(self, scope: Scope, name: str) -> None:
        await self._keeping.purge(scope, name)

    async def delete_queue(self, scope: Scope, name: str) -> None:
        await self._keeping.delete(scope, name)

    # messages
    async def send(self, scope: Scope, name: str, drafts: Sequence[Draft]) -> list[Sent | QueueError]:
        return await self._sending.send(scope, name, drafts)

    async def receive(self, scope: Scope, name: str, ask: Ask) -> list[Received]:
        return await self._receiving.receive(scope, name, ask)

    async def delete(self, scope: Scope, name: str, handles: Sequence[str]) -> list[QueueError | None]:
        return await self._settling.delete(scope, name, handles)

    async def hide(self, scope: Scope, name: str, asked: Sequence[tuple[str, int]]) -> list[QueueError | None]:
        """ChangeMessageVisibility: (handle, seconds) each."""
        return await self._settling.hide(scope, name, asked)

    # the bus
    def message_to(
        self,
        queue: Queue,
        body: str,
        attributes: Mapping[str, MessageAttribute],
        *,
        now_ms: int,
        group_id: str = "",
        dedup_id: str = "",
    ) -> QueueMessage:
        """A message for the caller's own commit, as a Put; `arrived` afterwards.

        One whose deduplication id was used is a record of no effect, and may be committed all the same. Raises
        QueueError (an AwsError) when the queue would refuse it, is gone, or is full.
        """
        place = self._places.by_id.get(queue.id)
        if place is None:
            raise QueueDoesNotExist
        draft = Draft(body=body, attributes=dict(attributes), group_id=group_id, dedup_id=dedup_id)
        check_draft(place.queue, draft)
        self._places.demand_room(1)
        return built(place, draft, self._new_id(), now_ms, deleted=_repeats(place, draft, now_ms))

    def arrived(self, message: QueueMessage) -> None:
        """The message is on disk: whoever waits for it gets it."""
        place = self._places.by_id.get(message.queue_id)
        if place is not None:
            place.take(message)


def _repeats(place: Place, draft: Draft, now_ms: int) -> bool:
    if not place.queue.fifo:
        return False
    key = deduplication_key(place.queue, draft.group_id, deduplication_id(place.queue, draft))
    return place.dedups.find(key, now_ms) is not None
