"""What a consumer does with a message it received: delete it, or have it hidden for longer or shorter."""

from collections.abc import Sequence

from tocsin.core.queues.handles import Handle, not_a_handle, read_handle
from tocsin.core.queues.line import Held
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import Stale
from tocsin.model.names import Scope
from tocsin.model.queue_errors import InvalidParameterValue, MessageNotInflight, QueueError, invalid_value
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.deciding import decided
from tocsin.services.queues.place import Place, Places, stub
from tocsin.services.queues.receiving import in_step, reconcile, stored

VISIBILITY_S_LONGEST = 43_200  # 12 hours, from the receive on


class Settling:
    def __init__(self, store: Store, clock: Clock, places: Places) -> None:
        self._store = store
        self._clock = clock
        self._places = places

    async def delete(self, scope: Scope, name: str, handles: Sequence[str]) -> list[QueueError | None]:
        """None for each handle that is settled. One of a message long gone, or received again since, does no harm."""
        place = self._places.named(scope, name)

        async def attempt() -> list[QueueError | None]:
            doomed: dict[int, Held] = {}
            answers = [self._doom(place, text, doomed) for text in handles]
            await self._end(place, list(doomed.values()))
            return answers

        return await decided(attempt)

    def _doom(self, place: Place, text: str, doomed: dict[int, Held]) -> QueueError | None:
        try:
            handle, held = _found(place, text)
        except QueueError as refused:
            return refused
        if held is None:
            return None
        current = held.receives == handle.receives
        if place.queue.fifo and (not current or held.visible_at_ms <= epoch_ms(self._clock.now())):
            return invalid_value(text, "ReceiptHandle", "The receipt handle has expired.")
        if current:
            doomed[held.sequence] = held
        return None

    async def _end(self, place: Place, doomed: list[Held]) -> None:
        now_ms, queue = epoch_ms(self._clock.now()), place.queue
        try:
            changes: list[Change] = []
            for held in doomed:
                if queue.fifo:
                    changes.append(place.farewell(await stored(self._store, place, held), now_ms))
                else:
                    changes.append(Delete(stub(queue, held.sequence, held.revision, held.sent_ms)))
            await self._store.commit(*changes)
        except Stale:
            await reconcile(self._store, place, doomed)
            raise
        for held, change in zip(doomed, changes, strict=True):
            place.depart(held, change)

    async def hide(self, scope: Scope, name: str, asked: Sequence[tuple[str, int]]) -> list[QueueError | None]:
        """Have each message, by its handle, hidden for so many seconds from now; 0 gives it back."""
        place = self._places.named(scope, name)

        async def attempt() -> list[QueueError | None]:
            wanted: dict[int, tuple[Held, int]] = {}
            answers = [self._want(place, text, seconds, wanted) for text, seconds in asked]
            await self._change(place, list(wanted.values()))
            return answers

        return await decided(attempt)

    def _want(self, place: Place, text: str, seconds: int, wanted: dict[int, tuple[Held, int]]) -> QueueError | None:
        if not 0 <= seconds <= VISIBILITY_S_LONGEST:
            reason = f"VisibilityTimeout must be an integer between 0 and {VISIBILITY_S_LONGEST}."
            return invalid_value(seconds, "VisibilityTimeout", reason)
        try:
            handle, held = _found(place, text)
        except QueueError as refused:
            return refused
        now_ms = epoch_ms(self._clock.now())
        if held is None or held.receives != handle.receives:
            reason = "Message does not exist or is not available for visibility timeout change."
            return invalid_value(text, "ReceiptHandle", reason)
        if held.visible_at_ms <= now_ms:
            return MessageNotInflight("The specified message isn't in flight.")
        if now_ms + seconds * 1000 > held.received_ms + VISIBILITY_S_LONGEST * 1000:
            return InvalidParameterValue(
                f"Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_S_LONGEST} seconds]"
            )
        wanted[held.sequence] = held, now_ms + seconds * 1000
        return None

    async def _change(self, place: Place, wanted: list[tuple[Held, int]]) -> None:
        try:
            after = [
                successor(await stored(self._store, place, held), visible_at_ms=visible_at_ms)
                for held, visible_at_ms in wanted
            ]
            await self._store.commit(*map(Put, after))
        except Stale:
            await reconcile(self._store, place, [held for held, _ in wanted])
            raise
        for (held, _), message in zip(wanted, after, strict=True):
            in_step(place, held, message)
        place.stir()


def _found(place: Place, text: str) -> tuple[Handle, Held | None]:
    """Raises ReceiptHandleIsInvalid for what is no handle of this queue."""
    handle = read_handle(text)
    if handle.queue_id != place.queue.id:
        raise not_a_handle(text)
    return handle, place.line.held.get(handle.sequence)
