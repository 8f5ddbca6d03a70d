"""Receives: the line says who is next, one commit makes it so. Who finds nothing waits to be stirred, not by asking."""

from collections.abc import Iterable

from msgspec import Struct

from tocsin.core.queues.attributes import number, redrive
from tocsin.core.queues.handles import Handle, handle_text
from tocsin.core.queues.line import Held, Picked
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import Stale
from tocsin.model.names import Scope
from tocsin.model.queue import QueueMessage
from tocsin.model.queue_errors import OverLimit, QueueDoesNotExist
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.queues.place import Place, Places, stub

FULL_REST_MS = 1_000  # with too many in flight: how soon to look whether some came back


class Ask(Struct, frozen=True, kw_only=True):
    """A receive. None: as the queue's attributes say. `most` is 1 to 10, the seconds are in AWS's ranges."""

    most: int = 1
    visibility_s: int | None = None
    wait_s: int | None = None


class Received(Struct, frozen=True):
    message: QueueMessage
    handle: str


class Receiving:
    def __init__(self, store: Store, clock: Clock, places: Places) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._polls = 0

    async def receive(self, scope: Scope, name: str, ask: Ask) -> list[Received]:
        """Messages, now hidden from others; none when none came in time. Raises QueueDoesNotExist, OverLimit."""
        place = self._places.named(scope, name)
        wait_s = number(place.queue, "ReceiveMessageWaitTimeSeconds") if ask.wait_s is None else ask.wait_s
        until_ms = epoch_ms(self._clock.now()) + wait_s * 1000
        if self._polls >= self._places.limits.polls_max:
            until_ms = 0
        self._polls += 1
        try:
            while not (received := await self._take(place, ask)):
                now_ms = epoch_ms(self._clock.now())
                opens_ms = place.line.opens_ms(now_ms)
                if opens_ms is not None and opens_ms <= now_ms and self._room(place):
                    continue  # more became ready while dead letters were moved, or another was faster
                if now_ms >= until_ms:
                    break
                if opens_ms is None:
                    opens_ms = until_ms
                elif opens_ms <= now_ms:
                    opens_ms = now_ms + FULL_REST_MS
                next_ms = min(until_ms, opens_ms)
                await place.stirred(self._clock, (next_ms - now_ms) / 1000)
        finally:
            self._polls -= 1
        return received

    async def _take(self, place: Place, ask: Ask) -> list[Received]:
        if place.gone:
            raise QueueDoesNotExist
        if not self._room(place):
            if place.queue.fifo:  # "Amazon SQS returns no error messages" (AWS, SQS FIFO quotas)
                return []
            raise OverLimit("The maximum number of in flight messages is reached. Delete some before you receive more.")
        now_ms = epoch_ms(self._clock.now())
        policy = redrive(place.queue)
        target = self._places.by_arn(policy.arn) if policy else None
        picked = place.line.pick(
            now_ms,
            ask.most,
            sent_after_ms=now_ms - number(place.queue, "MessageRetentionPeriod") * 1000,
            receives_max=policy.receives if policy and target else 0,
        )
        if not picked.all():
            return []
        try:
            return await self._commit(place, target, picked, now_ms, ask.visibility_s)
        except Stale:
            await reconcile(self._store, place, picked.all())
            return []
        except BaseException:
            place.line.release(picked.all())
            place.stir()
            raise

    async def _commit(
        self, place: Place, target: Place | None, picked: Picked, now_ms: int, visibility_s: int | None
    ) -> list[Received]:
        if visibility_s is None:
            visibility_s = number(place.queue, "VisibilityTimeout")
        taken = [_received(await stored(self._store, place, one), now_ms, visibility_s) for one in picked.takes]
        dead = [await stored(self._store, place, one) for one in picked.dead]
        farewells = [place.farewell(message, now_ms) for message in dead]
        moved = [_moved(place, target, message, now_ms) for message in dead if target is not None]
        dropped = [Delete(stub(place.queue, one.sequence, one.revision, one.sent_ms)) for one in picked.expired]
        changes: list[Change] = [*map(Put, taken), *farewells, *map(Put, moved), *dropped]
        await self._store.commit(*changes)
        for one, message in zip(picked.takes, taken, strict=True):
            in_step(place, one, message)
        for one, farewell in zip(picked.dead, farewells, strict=True):
            place.depart(one, farewell)
        for one in picked.expired:
            place.line.remove(one)
        for message in moved:
            assert target is not None
            target.take(message)
        place.stir()  # others may have to wait for another moment now
        return [Received(message, _handle(message)) for message in taken]

    def _room(self, place: Place) -> bool:
        most = self._places.limits.in_flight_max
        return len(place.line.held) < most or place.line.counts(epoch_ms(self._clock.now())).in_flight < most


async def stored(store: Store, place: Place, held: Held) -> QueueMessage:
    """The message with its body. Raises Stale when it is not as the line knows it."""
    key = stub(place.queue, held.sequence, held.revision, held.sent_ms).key
    message = await store.get(QueueMessage, place.queue.scope, key)
    if message is None or message.deleted or message.revision != held.revision:
        raise Stale(f"message {key} is not at revision {held.revision}")
    return message


def in_step(place: Place, held: Held, message: QueueMessage) -> None:
    """The line knows the message as it is stored now; a claim on it ends."""
    held.revision = message.revision
    held.visible_at_ms = message.visible_at_ms
    held.receives = message.receives
    held.received_ms = message.received_ms
    place.line.changed(held)


async def reconcile(store: Store, place: Place, doubtful: Iterable[Held]) -> None:
    """Another commit was faster on one of these: look at them again."""
    for held in doubtful:
        key = stub(place.queue, held.sequence, held.revision, held.sent_ms).key
        message = await store.get(QueueMessage, place.queue.scope, key)
        if message is None or message.deleted:
            place.line.remove(held)
        else:
            in_step(place, held, message)
    place.stir()


def _received(message: QueueMessage, now_ms: int, visibility_s: int) -> QueueMessage:
    return successor(
        message,
        receives=message.receives + 1,
        received_ms=now_ms,
        first_received_ms=message.first_received_ms or now_ms,
        visible_at_ms=now_ms + visibility_s * 1000,
    )


def _moved(place: Place, target: Place, message: QueueMessage, now_ms: int) -> QueueMessage:
    """The dead letter. In a standard queue it keeps its age (AWS, dead-letter queues and retention)."""
    return QueueMessage(
        scope=target.queue.scope,
        queue_id=target.queue.id,
        sequence=target.next_sequence(now_ms),
        message_id=message.message_id,
        body=message.body,
        attributes=message.attributes,
        sent_ms=now_ms if target.queue.fifo else message.sent_ms,
        visible_at_ms=now_ms,
        trace_header=message.trace_header,
        sender=message.sender,
        group_id=message.group_id,
        dedup_id=message.dedup_id,
        source_arn=place.queue.arn,
    )


def _handle(message: QueueMessage) -> str:
    return handle_text(Handle(message.queue_id, message.sequence, message.receives))
