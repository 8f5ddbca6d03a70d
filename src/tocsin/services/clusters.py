"""All clusters as last committed: who asks sees them, and every change of one goes through `_commit`.

Records, events and story are one transaction. A lock per cluster keeps requests, reports and plans from overtaking each
other. What changed is marked, for the fleet's loop (services/fleet.py) to look at.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from tocsin.core.commit import World, commit
from tocsin.model.changes import Change, Delete
from tocsin.model.cluster import Node, NodeCursor
from tocsin.model.errors import ResourceNotFound
from tocsin.model.names import Scope, split_arn
from tocsin.ports import Clock, Store
from tocsin.services.roster import Roster

Moved = Callable[[World | None, World | None, Sequence[str]], None]


def unheard(_before: World | None, _after: World | None, _touched: Sequence[str]) -> None:
    """Where nobody wants to hear."""


class Clusters:
    """`moved` is told before and after of each commit, once it is on disk, and who came, changed or went by it."""

    def __init__(self, store: Store, clock: Clock, moved: Moved) -> None:
        self._store = store
        self._clock = clock
        self._moved = moved
        self._roster = Roster()
        self._cursors: dict[str, NodeCursor] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._dirty: set[str] = set()
        self._news: dict[str, set[str]] = {}  # by cluster id: instances to be looked at
        self._wake = asyncio.Event()

    # What is.

    def world_of(self, scope: Scope, name_or_arn: str) -> World:
        """The cluster of that name or ARN. Raises ResourceNotFound in AWS's words."""
        world = self._roster.named(scope, name_or_arn)
        if world is not None:
            return world
        split = split_arn(name_or_arn)
        raise ResourceNotFound(
            f"Cluster with {'ARN' if split else 'name'} {name_or_arn} does not exist.",
        )

    def worlds(self, scope: Scope | None = None) -> list[World]:
        return self._roster.of(scope)

    def node(self, instance_id: str) -> tuple[World, Node] | None:
        return self._roster.node(instance_id)

    # What is to be looked at.

    def changed(self, instance_id: str) -> None:
        """Something about this node's machine or link is different: look at its cluster again."""
        self._mark(self._roster.home(instance_id), (instance_id,))

    def look_again(self, scope: Scope) -> None:
        """Something that concerns all clusters of a scope is different, such as an alarm."""
        for world in self.worlds(scope):
            self._mark(world.cluster.id, ())

    def _mark(self, cluster_id: str, news: Iterable[str]) -> None:
        """Look at the cluster again, and in it at these instances."""
        if cluster_id in self._roster.worlds:
            self._news.setdefault(cluster_id, set()).update(news)
            self._dirty.add(cluster_id)
            self._wake.set()

    # Commits.

    def _lock(self, cluster_id: str) -> asyncio.Lock:
        return self._locks.setdefault(cluster_id, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def _held(self, world: World) -> AsyncIterator[World]:
        """The cluster's lock, with the world as it is once the lock is had."""
        cluster = world.cluster
        async with self._lock(cluster.id):
            current = self._roster.worlds.get(cluster.id)
            if current is None:
                raise ResourceNotFound(f"Cluster with name {cluster.name} does not exist.")
            yield current

    async def _commit(self, before: World | None, after: World | None, *extra: Change) -> World | None:
        """Make the step from `before` to `after` durable: records, events, story, and `extra`, all or nothing."""
        made = commit(before, after, self._clock.now())
        world = made.world
        gone = [key for key in made.touched if world is None or key not in world.nodes]
        farewell = [Delete(self._cursors[key]) for key in gone if key in self._cursors]
        await self._store.commit(*extra, *made.changes, *farewell)
        for instance_id in gone:
            self._cursors.pop(instance_id, None)
        if world is not None:
            self._roster.keep(world, made.touched)
            self._mark(world.cluster.id, made.touched)
        elif before is not None:
            self._forget(before)
        self._moved(before, world, made.touched)
        return world

    def _forget(self, gone: World) -> None:
        self._roster.drop(gone)
        self._news.pop(gone.cluster.id, None)
        self._locks.pop(gone.cluster.id, None)  # whoever waits for it finds no cluster
