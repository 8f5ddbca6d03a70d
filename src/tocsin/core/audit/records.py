"""Records: what clusters, nodes and machines must be at every moment, each by itself and to each other."""

from collections.abc import Iterable

from tocsin.core.audit.world import Note, World, twins
from tocsin.model.cluster import Cluster, ClusterStatus, GroupStatus, Health, Node, NodeStatus
from tocsin.model.names import derived_instance_id

_GROUPS_OF: dict[ClusterStatus, frozenset[GroupStatus]] = {
    ClusterStatus.IN_SERVICE: frozenset({GroupStatus.IN_SERVICE, GroupStatus.DEGRADED}),
    ClusterStatus.FAILED: frozenset({GroupStatus.FAILED}),
    ClusterStatus.DELETING: frozenset({GroupStatus.DELETING}),
}


def clusters(world: World) -> Iterable[Note]:
    names = ((one.scope, one.name) for one in world.clusters)
    yield from twins("a cluster's name is its own", names)
    yield from twins("a cluster's id is its own", (one.arn for one in world.clusters))
    for cluster in world.clusters:
        about, status = cluster.name, cluster.status
        yield from twins("a group's name is its own in the cluster", ((about, group.name) for group in cluster.groups))
        lawful = _GROUPS_OF.get(status)
        if cluster.continuous and status is ClusterStatus.IN_SERVICE:
            lawful = frozenset(GroupStatus) - {GroupStatus.FAILED, GroupStatus.SYSTEM_UPDATING}
        for group in cluster.groups:
            if lawful is not None and group.status not in lawful:
                yield Note(f"no such group in a cluster that is {status}", about, f"{group.name} is {group.status}")
        if not cluster.groups:
            yield Note("a cluster has groups", about)
        if status in (ClusterStatus.FAILED, ClusterStatus.ROLLING_BACK) and not cluster.failure_message:
            yield Note("who fails says why", about, f"{status} without FailureMessage")
        if status in (ClusterStatus.UPDATING, ClusterStatus.SYSTEM_UPDATING) and not cluster.before:
            yield Note("an update knows where to go back to", about)
        if status in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED, ClusterStatus.DELETING) and cluster.before:
            yield Note("what is over is not gone back to", about, f"{status} keeps groups of before")


def nodes(world: World) -> Iterable[Note]:
    homes = {(cluster.scope, cluster.id): cluster for cluster in world.clusters}
    yield from twins("an instance id is its own", (node.instance_id for node in world.nodes))
    yield from twins("an address is its own in the cluster", ((node.cluster_id, node.address) for node in world.nodes))
    staying = (node for node in world.nodes if node.status is not NodeStatus.SHUTTING_DOWN)
    yield from twins("two nodes share no place", ((node.cluster_id, node.name) for node in staying))
    for node in world.nodes:
        cluster = homes.get((node.scope, node.cluster_id))
        if cluster is None:
            yield Note("a node belongs to a living cluster", node.instance_id, f"{node.cluster_id} is not there")
            continue
        if node.group not in {group.name for group in cluster.groups}:
            yield Note("a node belongs to a group of its cluster", node.instance_id, node.group)
        yield from _node_itself(node)
    yield from _ordered(world, homes.values())
    yield from _replaced(world)


def _ordered(world: World, clusters: Iterable[Cluster]) -> Iterable[Note]:
    lawful = {derived_instance_id(one.id, number) for one in clusters for number in range(1, one.launches + 1)}
    for node in world.nodes:
        if node.instance_id not in lawful:
            yield Note("an instance was ordered by its cluster", node.instance_id, f"not among those of {node.name}")


def _replaced(world: World) -> Iterable[Note]:
    nodes = {node.instance_id: node for node in world.nodes}
    for node in world.nodes:
        old = nodes.get(node.replaces)
        if old is not None and old.status is not NodeStatus.SHUTTING_DOWN:
            yield Note("who is replaced leaves", old.instance_id, f"{old.status}, replaced by {node.instance_id}")


def _node_itself(node: Node) -> Iterable[Note]:
    """What the members of one record say of each other."""
    status, sick = node.status, node.health is Health.UNHEALTHY
    found = bool(node.faults or node.advice)  # its last fault may be over, and its health not yet settled
    lawful = {
        "places count from 1": node.index >= 1,
        "who runs has joined": status is not NodeStatus.RUNNING or node.joined,
        "who is on the way in has not joined": status is not NodeStatus.PENDING or node.joined == node.rebooting,
        "who reboots is pending": not node.rebooting
        or status in (NodeStatus.PENDING, NodeStatus.SYSTEM_UPDATING, NodeStatus.SHUTTING_DOWN),
        "who runs and is unhealthy has faults": status is not NodeStatus.RUNNING or not sick or found,
        "who runs has run its script": status is not NodeStatus.RUNNING or node.prepared,
        "who is unhealthy has faults, failed, reboots or leaves": not sick
        or found
        or node.rebooting
        or status in (NodeStatus.FAILURE, NodeStatus.SHUTTING_DOWN),
        "who is unhealthy has a fault": sick == bool(node.fault),
        "only members turn unhealthy": not sick or node.joined,
        "who fails says why": status is not NodeStatus.FAILURE or bool(node.message),
        "a member that fails is unhealthy": status is not NodeStatus.FAILURE or node.joined == sick,
        "only who failed on its way in is tried again": node.retry_at is None or not node.joined,
    }
    return [Note(law, node.instance_id, f"{status}, {node.health}") for law, holds in lawful.items() if not holds]


def node_cursors(world: World) -> Iterable[Note]:
    known = {(node.scope, node.instance_id) for node in world.nodes}
    for cursor in world.cursors:
        if (cursor.scope, cursor.instance_id) not in known:
            yield Note("reports are counted for living nodes only", cursor.instance_id, f"stands at {cursor.n}")


def machines(world: World) -> Iterable[Note]:
    known = {node.instance_id for node in world.nodes}
    for instance_id, state in (world.machines or {}).items():
        if instance_id not in known:
            yield Note("a machine belongs to a node", instance_id, f"it is {state}")
