"""What nodes report, committed: the effect on the node and the report's number are one transaction.

Reports that wait for the same cluster's lock go to the disk together; one at fault fails alone.
"""

from collections.abc import Callable

from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.model.changes import Change, Put
from tocsin.model.cluster import Node, cursor_of
from tocsin.ports import Clock, Store
from tocsin.services.clusters import Clusters, Moved
from tocsin.services.reported import Reported, folded

# Reports of one cluster in one commit: enough to share the disk, and with their output some megabytes.
REPORTS_TOGETHER_MAX = 200


class Hearing(Clusters):
    def __init__(self, store: Store, clock: Clock, moved: Moved) -> None:
        super().__init__(store, clock, moved)
        self._reports: dict[str, list[Reported]] = {}  # by cluster id: those that wait for its lock

    def heard_through(self, instance_id: str) -> int:
        """The number of the node's last committed report."""
        cursor = self._cursors.get(instance_id)
        return cursor.n if cursor else 0

    async def report(self, instance_id: str, n: int, change: Callable[[Node], Node], *extra: Change) -> None:
        """Commit a report's effect on its node and its number together. What was committed before is passed over.

        `extra` are further changes of the report, such as lines of a log.
        """
        found = self.node(instance_id)
        if found is None:
            return
        mine = Reported(instance_id, n, change, extra)
        waiting = self._reports.setdefault(found[0].cluster.id, [])
        waiting.append(mine)
        async with self._held(found[0]) as world:
            if not mine.settled:
                others = [one for one in waiting if one is not mine]
                waiting[:] = others[REPORTS_TOGETHER_MAX - 1 :]
                await self._take_reports(world, [mine, *others[: REPORTS_TOGETHER_MAX - 1]])
            if mine.failure:
                raise mine.failure

    async def _take_reports(self, world: World, together: list[Reported]) -> None:
        """Commit what waits for the cluster's lock as one; if that cannot be, each by itself: one may be at fault."""
        try:
            await self._commit_reports(world, together)
        except Exception as error:
            if len(together) == 1:
                together[0].failure = error
            for one in together if len(together) > 1 else ():
                await self._take_reports(self._roster.worlds[world.cluster.id], [one])
        for one in together:
            one.settled = True

    async def _commit_reports(self, world: World, together: list[Reported]) -> None:
        nodes, moved, changes = folded(together, world.nodes, self._cursors)
        if moved:
            after = replace(world, nodes=world.nodes | nodes)
            await self._commit(world, after, *map(Put, moved.values()), *changes)
            self._cursors |= moved

    async def keep(self, instance_id: str, n: int, *changes: Change) -> bool:
        """Commit what a report leads to that changes nothing of its cluster, so without the cluster's lock: reports of
        many nodes share a trip to the disk. False when its number is known, or its node is not."""
        found, cursor = self.node(instance_id), self._cursors.get(instance_id)
        if found is None or n <= self.heard_through(instance_id):
            return False
        old = cursor or cursor_of(found[1])
        moved = replace(old, n=n, revision=old.revision + 1)
        await self._store.commit(Put(moved), *changes)
        self._cursors[instance_id] = moved
        return True

    def _forget(self, gone: World) -> None:
        super()._forget(gone)
        self._reports.pop(gone.cluster.id, None)
