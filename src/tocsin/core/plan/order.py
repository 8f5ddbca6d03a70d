"""The record of a node that is being ordered. Its ids follow from the cluster's count of launches: never twice."""

from datetime import datetime

from msgspec.structs import replace

from tocsin.core.instance_types import types_of
from tocsin.core.members import Members
from tocsin.model.cluster import Cluster, InstanceGroup, Node, NodeStatus, ScriptState
from tocsin.model.deep import DeepCheck
from tocsin.model.names import derived_instance_id, derived_uuid, loopback_address


def order(
    cluster: Cluster,
    group: InstanceGroup,
    index: int,
    members: Members,
    now: datetime,
    *,
    before: Node | None = None,
    attempts: int = 0,
) -> tuple[Cluster, Node]:
    """The cluster, with one launch more, and the node. `members` are those there are: its address is none of theirs.

    `before` is the instance that the node stands in for: it inherits its logical id, and what was mended at its place.
    """
    number = cluster.launches + 1
    types = types_of(group.spec)
    instance_id = derived_instance_id(cluster.id, number)
    inherited = before.logical_id if before else ""
    node = Node(
        scope=cluster.scope,
        revision=0,
        cluster_id=cluster.id,
        group=group.name,
        index=index,
        instance_id=instance_id,
        instance_type=types[attempts % len(types)],
        address=_free_address(instance_id, members),
        status=NodeStatus.PENDING,
        launched_at=now,
        script=ScriptState.WAITING if group.lifecycle else ScriptState.NONE,
        replaces=_stands_in_for(before),
        attempts=attempts,
        mended=before.mended if before else (),
        image=group.wanted_image,
        deep=_on_start(group),
        logical_id=inherited or (logical_id(cluster, instance_id) if cluster.continuous else ""),
    )
    return replace(cluster, launches=number), node


def _on_start(group: InstanceGroup) -> DeepCheck | None:
    kinds = group.spec.get("OnStartDeepHealthChecks")
    return DeepCheck(kinds=tuple(dict.fromkeys(kinds))) if kinds else None


def logical_id(cluster: Cluster, instance_id: str) -> str:
    """Of a node whose first instance this is."""
    return derived_uuid(cluster.arn, "node", instance_id)


def _stands_in_for(before: Node | None) -> str:
    """The instance it replaces; none, when that never came up: then this is another try at the same."""
    if before is None or (before.logical_id and not before.joined and not before.replaces):
        return ""
    return before.instance_id


def _free_address(instance_id: str, members: Members) -> str:
    taken = members.glance.addresses
    tries = (loopback_address(instance_id, attempt) for attempt in range(len(taken) + 1))
    return next((address for address in tries if address not in taken), loopback_address(instance_id))
