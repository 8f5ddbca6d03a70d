"""What the store has of clusters: their worlds at a start, and their Cluster Events. The fleet reads it."""

from collections import defaultdict

from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.model.cluster import Cluster, Node
from tocsin.model.cluster_event import ClusterEvent, events_prefix
from tocsin.ports import Store


async def worlds_in(store: Store) -> list[World]:
    """Every cluster with its nodes, as last committed."""
    members: dict[str, dict[str, Node]] = defaultdict(dict)
    for node in await store.find(Node):
        members[node.cluster_id][node.instance_id] = node
    return [
        World(cluster=cluster, nodes=Members(members[cluster.id]), events_told=await _told(store, cluster))
        for cluster in await store.find(Cluster)
    ]


async def events_in(store: Store, cluster: Cluster) -> list[ClusterEvent]:
    """The Cluster Events that are kept of it, the oldest first."""
    return await store.find(ClusterEvent, cluster.scope, prefix=events_prefix(cluster.id))


async def _told(store: Store, cluster: Cluster) -> int:
    """How many there ever were: they are numbered on."""
    return max((event.n for event in await events_in(store, cluster)), default=0) if cluster.continuous else 0
