"""Messages on their way in: judged, built, committed together, and only then in the line."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from tocsin.core.queues.attributes import number
from tocsin.core.queues.dedup import Seen
from tocsin.core.queues.messages import Draft, check_draft, deduplication_id, deduplication_key
from tocsin.model.changes import Put
from tocsin.model.names import Scope
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.queue_errors import QueueDoesNotExist, QueueError
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.queues.place import Place, Places


class Sent(Struct, frozen=True, kw_only=True):
    """What became of a draft. A repeated one is answered with the message it repeats."""

    message_id: str
    sequence: int


class Sending:
    def __init__(self, store: Store, clock: Clock, places: Places, new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._new_id = new_id

    async def send(self, scope: Scope, name: str, drafts: Sequence[Draft]) -> list[Sent | QueueError]:
        """One answer for each draft: those that may not be are refused, the others are on disk when this returns."""
        place = self._places.named(scope, name)
        judged = [_judged(place.queue, draft) for draft in drafts]
        self._places.demand_room(sum(error is None for error in judged))
        good = [draft for draft, error in zip(drafts, judged, strict=True) if error is None]
        await self._others_settled(place, good)
        if place.gone:
            raise QueueDoesNotExist
        sent = iter(await self._commit(place, good))
        return [error or next(sent) for error in judged]

    async def _others_settled(self, place: Place, drafts: Sequence[Draft]) -> None:
        """Wait while another sender's message of the same deduplication id may still fail."""
        keys = [_key(place.queue, draft) for draft in drafts if place.queue.fifo]
        while any((seen := place.dedups.find(key, epoch_ms(self._clock.now()))) and seen.pending for key in keys):
            await place.stirred(self._clock)

    async def _commit(self, place: Place, drafts: Sequence[Draft]) -> list[Sent]:
        now_ms = epoch_ms(self._clock.now())
        answers: list[Sent] = []
        messages: list[QueueMessage] = []
        reserved: list[tuple[str, Seen]] = []
        for draft in drafts:
            key = _key(place.queue, draft)
            seen = place.dedups.find(key, now_ms) if key else None
            if seen is not None:
                answers.append(Sent(message_id=seen.message_id, sequence=seen.sequence))
                continue
            message = built(place, draft, self._new_id(), now_ms)
            messages.append(message)
            answers.append(Sent(message_id=message.message_id, sequence=message.sequence))
            if key:
                seen = Seen(message_id=message.message_id, sequence=message.sequence, at_ms=now_ms, pending=True)
                place.dedups.note(key, seen)
                reserved.append((key, seen))
        try:
            await self._store.commit(*map(Put, messages))
        except BaseException:
            for key, seen in reserved:
                place.dedups.forget(key, seen)
            place.stir()
            raise
        for _, seen in reserved:
            seen.pending = False
        for message in messages:
            place.take(message)
        place.stir()
        return answers


def built(place: Place, draft: Draft, message_id: str, now_ms: int, *, deleted: bool = False) -> QueueMessage:
    """The record of a draft, next in the queue."""
    queue = place.queue
    delay_s = number(queue, "DelaySeconds") if draft.delay_s is None or queue.fifo else draft.delay_s
    return QueueMessage(
        scope=queue.scope,
        queue_id=queue.id,
        sequence=place.next_sequence(now_ms),
        message_id=message_id,
        body="" if deleted else draft.body,
        attributes={} if deleted else draft.attributes,
        sent_ms=now_ms,
        visible_at_ms=now_ms + delay_s * 1000,
        trace_header=draft.trace_header,
        sender=draft.sender,
        group_id=draft.group_id,
        dedup_id=deduplication_id(queue, draft),
        deleted=deleted,
    )


def _judged(queue: Queue, draft: Draft) -> QueueError | None:
    try:
        check_draft(queue, draft)
    except QueueError as refused:
        return refused
    return None


def _key(queue: Queue, draft: Draft) -> str:
    return deduplication_key(queue, draft.group_id, deduplication_id(queue, draft)) if queue.fifo else ""
