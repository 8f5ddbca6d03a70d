"""What the fleet has in mind: every cluster as last committed, who belongs where, and when each is due.

Each answer costs what it is about, not the size of the fleet.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.plan import Plan
from tocsin.model.cluster import Node
from tocsin.model.names import Scope, split_arn


class Roster:
    def __init__(self) -> None:
        self.worlds: dict[str, World] = {}  # by cluster id
        self._ids: dict[tuple[Scope, str], str] = {}  # by name
        self._homes: dict[str, str] = {}  # instance id -> cluster id
        self._due: list[tuple[datetime, str]] = []  # a heap; what no longer holds is passed over

    def named(self, scope: Scope, name_or_arn: str) -> World | None:
        split = split_arn(name_or_arn)
        if split is None:
            return self.worlds.get(self._ids.get((scope, name_or_arn), ""))
        world = self.worlds.get(split[2].removeprefix("cluster/"))
        return world if world and (world.cluster.scope, world.cluster.arn) == (scope, name_or_arn) else None

    def of(self, scope: Scope | None) -> list[World]:
        return [world for world in self.worlds.values() if scope in (None, world.cluster.scope)]

    def home(self, instance_id: str) -> str:
        """The id of the instance's cluster; "" when it has none."""
        return self._homes.get(instance_id, "")

    def node(self, instance_id: str) -> tuple[World, Node] | None:
        world = self.worlds.get(self.home(instance_id))
        return (world, world.nodes[instance_id]) if world and instance_id in world.nodes else None

    def keep(self, world: World, touched: Iterable[str]) -> None:
        """Have the cluster as it now is. `touched` are the instances that came, changed or went."""
        cluster = world.cluster
        before = self.worlds.get(cluster.id)
        self.worlds[cluster.id] = world
        self._ids[cluster.scope, cluster.name] = cluster.id
        for instance_id in touched:
            if instance_id in world.nodes:
                self._homes[instance_id] = cluster.id
            else:
                self._homes.pop(instance_id, None)
        if world.wake_at and (before is None or before.wake_at != world.wake_at):
            heapq.heappush(self._due, (world.wake_at, cluster.id))

    def drop(self, world: World) -> None:
        cluster = world.cluster
        self.worlds.pop(cluster.id, None)
        self._ids.pop((cluster.scope, cluster.name), None)
        for instance_id in world.nodes:
            self._homes.pop(instance_id, None)

    def due(self, now: datetime) -> set[str]:
        """The clusters whose time has come, once each."""
        found = set()
        while self._due and self._due[0][0] <= now:
            wake_at, cluster_id = heapq.heappop(self._due)
            world = self.worlds.get(cluster_id)
            if world and world.wake_at == wake_at:
                found.add(cluster_id)
        return found

    def pause(self, now: datetime) -> float | None:
        """Seconds until a cluster may be due; None when none will be."""
        return max(0.0, (self._due[0][0] - now).total_seconds()) if self._due else None


def after(made: Plan, before: World) -> World | None:
    """The world as it was planned; None when it is gone."""
    if made.cluster is None:
        return None
    return replace(
        before, cluster=made.cluster, nodes=made.nodes, waiting=made.waiting, held=made.held, wake_at=made.wake_at
    )
