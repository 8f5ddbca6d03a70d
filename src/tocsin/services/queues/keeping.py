"""Queues themselves: made, changed, purged, deleted. Each is one commit; what it leaves on disk the sweep clears."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from tocsin.core.queues.attributes import check_name, check_redrive, check_same, checked, merged, redrive
from tocsin.model.changes import Delete, Put
from tocsin.model.names import Scope
from tocsin.model.queue import Queue
from tocsin.model.queue_errors import OverLimit, PurgeQueueInProgress, QueueDoesNotExist
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.deciding import decided
from tocsin.services.queues.place import Place, Places

PURGE_REST_MS = 60_000  # "allows only one PurgeQueue operation every 60 seconds" (AWS)


class Keeping:
    def __init__(self, store: Store, clock: Clock, places: Places, new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._new_id = new_id

    async def create(self, scope: Scope, name: str, attributes: Mapping[str, str], tags: Mapping[str, str]) -> Queue:
        """The new queue, or the one of this name when the attributes given are its own. Raises QueueNameExists."""
        fifo = attributes.get("FifoQueue", "").lower() == "true"
        check_name(name, fifo=fifo)
        wanted = checked(attributes, fifo=fifo)

        async def attempt() -> Queue:
            existing = self._places.find(scope, name)
            if existing is not None:
                check_same(existing.queue, wanted)
                return existing.queue
            now_ms = epoch_ms(self._clock.now())
            queue = Queue(
                scope=scope,
                name=name,
                id=self._new_id(),
                created_ms=now_ms,
                modified_ms=now_ms,
                attributes=merged({}, wanted),
                tags=dict(tags),
            )
            self._check(queue)
            if len(self._places.by_id) >= self._places.limits.queues_max:
                raise OverLimit(f"There are {self._places.limits.queues_max} queues already. Delete some.")
            await self._store.commit(Put(queue))
            self._places.add(Place(queue))
            return queue

        return await decided(attempt)

    async def set_attributes(self, scope: Scope, name: str, attributes: Mapping[str, str]) -> None:
        place = self._places.named(scope, name)
        wanted = checked(attributes, fifo=place.queue.fifo)

        def change(queue: Queue) -> Queue:
            after = successor(
                queue, attributes=merged(queue.attributes, wanted), modified_ms=epoch_ms(self._clock.now())
            )
            if "RedrivePolicy" in wanted:
                self._check(after)
            return after

        await self.change(place, change)

    async def change(self, place: Place, change: Callable[[Queue], Queue]) -> None:
        """Store what `change` makes of the queue; it is asked again when another change was faster."""

        async def attempt() -> None:
            if place.gone:
                raise QueueDoesNotExist
            after = change(place.queue)
            await self._store.commit(Put(after))
            if after.revision > place.queue.revision:
                place.queue = after
            place.stir()

        await decided(attempt)

    async def purge(self, scope: Scope, name: str) -> None:
        """All messages there are now are gone, those in flight too."""
        place = self._places.named(scope, name)
        now_ms = epoch_ms(self._clock.now())

        def change(queue: Queue) -> Queue:
            if queue.purged_ms and now_ms < queue.purged_ms + PURGE_REST_MS:
                raise PurgeQueueInProgress(
                    f"Only one PurgeQueue operation on {name} is allowed every {PURGE_REST_MS // 1000} seconds."
                )
            return successor(queue, purged_ms=now_ms, purged_through=place.reached())

        await self.change(place, change)
        for held in place.line.clear():  # those that came while it was committed stay
            if held.sequence > place.queue.purged_through:
                held.claimed = False
                place.line.add(held)
        place.dedups.clear()
        place.tombs.clear()
        place.unpurged = True
        place.stir()

    async def delete(self, scope: Scope, name: str) -> None:
        place = self._places.named(scope, name)

        async def attempt() -> Queue:
            if place.gone:
                raise QueueDoesNotExist
            grave = replace(place.queue, deleted=True, revision=1)
            await self._store.commit(Delete(place.queue), Put(grave))
            return grave

        grave = await decided(attempt)
        self._places.remove(place)
        self._places.graves[grave.id] = grave

    def _check(self, queue: Queue) -> None:
        policy = redrive(queue)
        target = self._places.by_arn(policy.arn) if policy else None
        check_redrive(queue, target.queue if target else None)
