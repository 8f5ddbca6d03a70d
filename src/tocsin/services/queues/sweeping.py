"""What is over leaves the disk, in bites: messages past their retention, purged ones, those of deleted queues."""

from collections.abc import Sequence

from tocsin.core.queues.attributes import number
from tocsin.core.queues.dedup import WINDOW_MS
from tocsin.model.changes import Delete
from tocsin.model.errors import Stale
from tocsin.model.queue import Queue, QueueMessage
from tocsin.ports import Store
from tocsin.services.queues.place import Place, Places, stub


class Sweeping:
    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._places = places
        self._bite = places.limits.sweep_bite

    async def sweep(self, now_ms: int) -> int:
        """How many messages are gone from the disk. Raises StoreUnavailable."""
        gone = 0
        for place in list(self._places.by_id.values()):
            gone += await self._expire(place, now_ms)
            gone += await self._forget(place, now_ms)
            if place.unpurged:
                gone += await self._clear(place.queue, place.queue.purged_through)
                place.unpurged = False
        for grave in list(self._places.graves.values()):
            gone += await self._clear(grave, None)
            await self._delete([grave])
            del self._places.graves[grave.id]
        return gone

    async def _expire(self, place: Place, now_ms: int) -> int:
        gone, queue = 0, place.queue
        before_ms = now_ms - number(queue, "MessageRetentionPeriod") * 1000
        while aged := place.line.aged(before_ms, self._bite):
            try:
                await self._delete([stub(queue, one.sequence, one.revision, one.sent_ms) for one in aged])
                for one in aged:
                    place.line.remove(one)
            finally:
                place.line.release(aged)
                place.line.keep_aging(aged)
            gone += len(aged)
        return gone

    async def _forget(self, place: Place, now_ms: int) -> int:
        """Deduplication ids whose five minutes are over."""
        gone = 0
        while place.tombs and place.tombs[0].sent_ms + WINDOW_MS <= now_ms:
            bite = list(place.tombs)[: self._bite]
            over = [tomb for tomb in bite if tomb.sent_ms + WINDOW_MS <= now_ms]
            await self._delete(over)
            for tomb in over:
                place.tombs.remove(tomb)
            gone += len(over)
        return gone

    async def _clear(self, queue: Queue, through: int | None) -> int:
        """Delete what the store holds of a queue: all, or up to a sequence number."""
        gone, prefix = 0, f"{queue.id}/"
        while found := await self._store.find(QueueMessage, queue.scope, prefix=prefix, limit=self._bite):
            doomed = [message for message in found if through is None or message.sequence <= through]
            await self._delete(doomed)
            gone += len(doomed)
            if len(doomed) < len(found):
                break
        return gone

    async def _delete(self, records: Sequence[Queue | QueueMessage]) -> None:
        """All of them, whatever became of them meanwhile."""
        try:
            await self._store.commit(*map(Delete, records))
        except Stale:
            for record in records:
                await self._delete_as_stored(record)

    async def _delete_as_stored(self, record: Queue | QueueMessage) -> None:
        stored = await self._store.get(type(record), record.scope, record.key)
        if stored is not None:
            try:
                await self._store.commit(Delete(stored))
            except Stale:
                return  # the next sweep
