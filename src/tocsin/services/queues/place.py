"""A queue as the process knows it: its record, its line, who waits at it. And all of them, by name, id and ARN."""

import asyncio
from collections import deque

from msgspec import Struct

from tocsin.core.queues.dedup import WINDOW_MS, Dedups, Seen
from tocsin.core.queues.line import Held, Line
from tocsin.core.queues.messages import deduplication_key
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.names import Scope, split_arn
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.queue_errors import QueueDoesNotExist, RequestThrottled
from tocsin.model.records import successor
from tocsin.ports import Clock

# Sequence numbers grow with the clock, so that they go on growing when a queue was empty over a restart.
SEQUENCES_PER_MS = 1 << 20


class QueueLimits(Struct, frozen=True, kw_only=True):
    """What all queues together may hold, and how they are swept."""

    # Some 500 bytes of memory each; the bodies stay on disk.
    queue_messages_max: int = 500_000
    queues_max: int = 10_000
    # "a maximum of approximately 120,000 in flight messages" (AWS, SQS quotas); of one queue.
    in_flight_max: int = 120_000
    # Requests that wait for a message; those beyond are answered at once.
    polls_max: int = 10_000
    sweep_period_s: float = 60.0
    # One transaction; bodies of up to 1 MiB are read for some of them.
    sweep_bite: int = 50


class Place:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.line = Line(fifo=queue.fifo)
        self.dedups = Dedups()
        self.tombs: deque[QueueMessage] = deque()  # stubs of deleted messages that are still remembered
        self.unpurged = queue.purged_through > 0  # the store may hold messages that are purged
        self.gone = False
        self._sequence = 0
        self._stirred: asyncio.Future[None] | None = None

    def next_sequence(self, now_ms: int) -> int:
        self._sequence = max(self._sequence + 1, now_ms * SEQUENCES_PER_MS)
        return self._sequence

    def reached(self) -> int:
        """The last sequence number given out."""
        return self._sequence

    def take(self, message: QueueMessage) -> None:
        """A message that is on disk joins the line, or the memory of what is gone."""
        self._sequence = max(self._sequence, message.sequence)
        if message.sequence <= self.queue.purged_through or message.sequence in self.line.held:
            return
        if message.dedup_id:
            key = deduplication_key(self.queue, message.group_id, message.dedup_id)
            if self.dedups.find(key, message.sent_ms) is None:
                seen = Seen(message_id=message.message_id, sequence=message.sequence, at_ms=message.sent_ms)
                self.dedups.note(key, seen)
        if message.deleted:
            self.tombs.append(stub(self.queue, message.sequence, message.revision, message.sent_ms))
        else:
            self.line.add(held_of(message))
            self.stir()

    def farewell(self, message: QueueMessage, now_ms: int) -> Change:
        """The change that ends a message. In a FIFO queue its deduplication id outlives it."""
        if message.dedup_id and message.sent_ms + WINDOW_MS > now_ms:
            return Put(successor(message, body="", attributes={}, trace_header="", deleted=True))
        return Delete(message)

    def depart(self, held: Held, change: Change) -> None:
        """The message's farewell is on disk."""
        self.line.remove(held)
        if isinstance(change, Put):
            self.tombs.append(stub(self.queue, held.sequence, change.record.revision, held.sent_ms))
        self.stir()

    def stir(self) -> None:
        """Wake all who wait here: something changed."""
        if self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)
        self._stirred = None

    async def stirred(self, clock: Clock, seconds: float | None = None) -> None:
        """Return when something changed, or after so many seconds."""
        if self._stirred is None:
            self._stirred = asyncio.get_running_loop().create_future()
        waiting: set[asyncio.Future[None]] = {self._stirred}
        timer = None
        if seconds is not None:
            timer = asyncio.ensure_future(clock.sleep(seconds))
            waiting.add(timer)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if timer is not None:
                timer.cancel()


class Places:
    """All queues. `graves` are deleted ones whose messages are still on disk."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.by_id: dict[str, Place] = {}
        self.graves: dict[str, Queue] = {}
        self._by_name: dict[tuple[Scope, str], Place] = {}

    def add(self, place: Place) -> None:
        self.by_id[place.queue.id] = place
        self._by_name[place.queue.scope, place.queue.name] = place

    def remove(self, place: Place) -> None:
        place.gone = True
        del self.by_id[place.queue.id]
        del self._by_name[place.queue.scope, place.queue.name]
        place.stir()

    def find(self, scope: Scope, name: str) -> Place | None:
        return self._by_name.get((scope, name))

    def named(self, scope: Scope, name: str) -> Place:
        """Raises QueueDoesNotExist."""
        place = self.find(scope, name)
        if place is None:
            raise QueueDoesNotExist
        return place

    def by_arn(self, arn: str) -> Place | None:
        found = split_arn(arn)
        return self.find(found[1], found[2]) if found and found[0] == "sqs" else None

    def demand_room(self, messages: int) -> None:
        """Raises RequestThrottled when so many more would be too many in memory."""
        if sum(len(place.line.held) for place in self.by_id.values()) + messages > self.limits.queue_messages_max:
            raise RequestThrottled(
                f"All queues together hold {self.limits.queue_messages_max} messages at most. Receive some, or purge."
            )


def held_of(message: QueueMessage) -> Held:
    return Held(
        sequence=message.sequence,
        revision=message.revision,
        sent_ms=message.sent_ms,
        visible_at_ms=message.visible_at_ms,
        receives=message.receives,
        received_ms=message.received_ms,
        group_id=message.group_id,
    )


def stub(queue: Queue, sequence: int, revision: int, sent_ms: int) -> QueueMessage:
    """Enough of a message to delete it."""
    return QueueMessage(
        scope=queue.scope,
        queue_id=queue.id,
        sequence=sequence,
        revision=revision,
        message_id="",
        body="",
        sent_ms=sent_ms,
        visible_at_ms=sent_ms,
    )
