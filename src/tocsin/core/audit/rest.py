"""Rest: what must be over once nobody asks, nothing fails and time has passed."""

from collections.abc import Iterable, Mapping

from tocsin.core.audit.world import Note, World
from tocsin.model.cluster import Cluster, ClusterStatus, Node, NodeRecovery, NodeStatus
from tocsin.model.machine import MachineState


def unrest(world: World) -> list[Note]:
    """What is not settled yet. Empty once the fleet and the bus have done all there is to do."""
    notes = [note for cluster in world.clusters for note in _unrest_of(cluster, world)]
    last = world.journal[-1].seq if world.journal else 0
    if world.routed < last:
        notes.append(Note("every event is routed", "the router", f"stands at {world.routed} of {last}"))
    if world.outbounds:
        notes.append(Note("nothing is owed to the outside", "the outbox", f"{len(world.outbounds)} deliveries"))
    return notes


def _unrest_of(cluster: Cluster, world: World) -> Iterable[Note]:
    about, members = cluster.name, [node for node in world.nodes if node.cluster_id == cluster.id]
    if cluster.status not in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED):
        yield Note("an operation comes to its end", about, cluster.status)
        return
    for group in cluster.groups:
        there = sum(node.group == group.name for node in members)
        if there != group.wanted:
            yield Note("a group has what it wants", about, f"{there} of {group.wanted} in {group.name}")
    for node in members:
        yield from _unrest_at(node, cluster, world.machines)


def _unrest_at(node: Node, cluster: Cluster, machines: Mapping[str, MachineState] | None) -> Iterable[Note]:
    # Who waits for a controller that nobody mends waits for a person, and so does who is not mended.
    waiting = NodeStatus.PENDING if cluster.continuous else NodeStatus.FAILURE
    left = cluster.node_recovery is NodeRecovery.NONE and node.status in (NodeStatus.FAILURE, waiting)
    if node.status is not NodeStatus.RUNNING and not left:
        yield Note("a node comes up, or goes", node.instance_id, f"{node.status} {node.message}")
    if machines is not None and not left and machines.get(node.instance_id) is not MachineState.RUNNING:
        yield Note("a node has a machine that runs", node.instance_id, str(machines.get(node.instance_id)))
