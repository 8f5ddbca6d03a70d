"""Operations: scaling, software updates and Cluster Events, each by itself and against the clusters they belong to."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from tocsin.core.audit.history import whole
from tocsin.core.audit.world import Note, World, twins
from tocsin.model.cluster import ClusterStatus, NodeStatus
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.operation import OperationStatus

_UPDATING = (ClusterStatus.SYSTEM_UPDATING, ClusterStatus.ROLLING_BACK, ClusterStatus.DELETING)


class _Envelope(msgspec.Struct):
    id: str


_envelope = msgspec.json.Decoder(_Envelope).decode


def operations(world: World) -> Iterable[Note]:
    for cluster in world.clusters:
        under_way = [
            (cluster.name, scaling.group)
            for operation in cluster.operations
            for scaling in operation.scalings
            if scaling.status is OperationStatus.IN_PROGRESS
        ]
        yield from twins("one operation at a time scales a group", under_way)
        yield from twins("an operation's id is its own", (operation.id for operation in cluster.operations))
        if not cluster.continuous and not all(operation.checks for operation in cluster.operations):
            yield Note("only continuous provisioning has scaling operations", cluster.name)
    staying = [node for node in world.nodes if node.logical_id and node.status is not NodeStatus.SHUTTING_DOWN]
    yield from twins("a logical node is one instance at a time", (node.logical_id for node in staying))


def software(world: World) -> Iterable[Note]:
    status = {cluster.id: cluster.status for cluster in world.clusters}
    for cluster in world.clusters:
        for group in cluster.groups:
            if group.update is not None and group.update.open and cluster.status not in _UPDATING:
                yield Note("software is updated while the cluster is SystemUpdating", group.name, str(cluster.status))
    for node in world.nodes:
        if node.status is NodeStatus.SYSTEM_UPDATING and status.get(node.cluster_id) not in _UPDATING:
            yield Note("a node is updated with its cluster", node.instance_id, str(status.get(node.cluster_id)))


def steps(world: World) -> Iterable[Note]:
    """Cluster Events are numbered without gap, kept of living clusters only, and were told to the bus."""
    living = {(cluster.scope, cluster.id) for cluster in world.clusters if cluster.continuous}
    kept: dict[str, list[ClusterEvent]] = defaultdict(list)
    for step in world.steps:
        kept[step.cluster_id].append(step)
        if (step.scope, step.cluster_id) not in living:
            yield Note("steps are kept of living clusters", step.id, step.description)
    for cluster_id, some in kept.items():
        for one, two in pairwise(sorted(step.n for step in some)):
            if two != one + 1:
                yield Note("steps are numbered without gap", cluster_id, f"{two} behind {one}")
    if world.steps and whole(world):
        told = {_envelope(entry.event.body).id for entry in world.journal}
        for step in world.steps:
            if step.id not in told:
                yield Note("a step and its event commit together", step.id, step.description)
