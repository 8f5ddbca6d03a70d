"""What AttachClusterNodeVolume and its like make of a node's record, and what stands in their way.

The SageMaker door asks, and the fleet commits. No machine here has volumes or interfaces of EC2's: they are kept, told
of, and gone with their node. Source: botocore's documentation of the three operations.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from tocsin.model.attachment import Attached, Interface, Volume
from tocsin.model.cluster import Cluster, ClusterStatus, Node, NodeStatus
from tocsin.model.errors import ResourceLimitExceeded, Validation

# EC2's names for volumes that are added, /dev/sdf to /dev/sdp, and what the model's pattern allows beyond; those before
# are the node's own.
DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnopqrstuvwxyz")
VOLUMES_MAX = len(DEVICES)
# Of a node, beside its own. AWS's number depends on the instance type; 15 is the largest.
INTERFACES_MAX = 15


def demand_eks(cluster: Cluster) -> None:
    """Volumes are for clusters that EKS orchestrates, in service. Raises Validation."""
    if not (cluster.spec.get("Orchestrator") or {}).get("Eks"):
        raise Validation(f"Cluster {cluster.name} is not orchestrated by EKS: volumes are attached to nodes of those.")
    if cluster.status is not ClusterStatus.IN_SERVICE:
        raise Validation(f"Cluster {cluster.name} is in status {cluster.status}: it must be InService.")


def demand_fit(cluster: Cluster, node: Node) -> None:
    """Raises Validation for a node of a restricted group, and for one that does not run."""
    if any(group.restricted for group in cluster.groups if group.name == node.group):
        raise Validation(f"Node {node.instance_id} belongs to the restricted instance group {node.group}.")
    if node.status is not NodeStatus.RUNNING:
        raise Validation(f"Node {node.instance_id} is in status {node.status}: it must be Running.")


def demand_free(resource: str, nodes: Iterable[Node]) -> None:
    """Raises Validation when a node of the account has it already."""
    for node in nodes:
        attached: tuple[Attached, ...] = (*node.volumes, *node.interfaces)
        if any(one.id == resource for one in attached):
            raise Validation(f"{resource} is in use: it is attached to node {node.instance_id}.")


def with_volume(node: Node, volume_id: str, now: datetime) -> Node:
    """The node with the volume at its first free device, as the last of its volumes."""
    taken = {volume.device for volume in node.volumes}
    free = next((device for device in DEVICES if device not in taken), None)
    if free is None:
        raise Validation(f"Node {node.instance_id} has {VOLUMES_MAX} volumes, and may have no more.")
    return replace(node, volumes=(*node.volumes, Volume(id=volume_id, device=free, attached_at=now)))


def volume_of(node: Node, volume_id: str) -> Volume:
    """Raises Validation."""
    for volume in node.volumes:
        if volume.id == volume_id:
            return volume
    raise Validation(f"Volume {volume_id} is not attached to node {node.instance_id}.")


def without_volume(node: Node, volume_id: str) -> Node:
    gone = volume_of(node, volume_id)
    return replace(node, volumes=tuple(volume for volume in node.volumes if volume is not gone))


def with_interface(node: Node, interface_id: str, attachment_id: str, now: datetime) -> Node:
    """Raises ResourceLimitExceeded."""
    if len(node.interfaces) >= INTERFACES_MAX:
        raise ResourceLimitExceeded(f"Node {node.instance_id} has {INTERFACES_MAX} interfaces, and may have no more.")
    made = Interface(id=interface_id, attachment_id=attachment_id, attached_at=now)
    return replace(node, interfaces=(*node.interfaces, made))
