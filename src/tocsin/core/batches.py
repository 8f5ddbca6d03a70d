"""Batch operations on nodes: what a request makes of the cluster and its nodes, and which nodes it cannot have.

The fleet commits the result. A node that is refused gets AWS's code and a text; the others go ahead.
Limits and codes: facts/hyperpod.md §1.2 and §1.4; the text for a node in use §3.3.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.members import Members
from tocsin.core.operations import begun
from tocsin.core.plan import named_controller_group
from tocsin.model.cluster import Cluster, ClusterStatus, GroupStatus, Node, NodeStatus, Repair
from tocsin.model.errors import Validation
from tocsin.model.times import iso_ms

# By the model's text; its shapes would allow more.
DELETED_MAX = 99
DELETED_LOGICAL_MAX = 50
REPAIRED_MAX = 25

DELETE, REBOOT, REPLACE = "BatchDeleteClusterNodes", "BatchRebootClusterNodes", "BatchReplaceClusterNodes"
REPAIRS = {REBOOT: Repair.REBOOT, REPLACE: Repair.REPLACE}
_LIMITS = {DELETE: (DELETED_MAX, DELETED_LOGICAL_MAX), REBOOT: (REPAIRED_MAX,) * 2, REPLACE: (REPAIRED_MAX,) * 2}
NOT_FOUND, WRONG_STATUS, IN_USE = "NotFound", "WrongStatus", "InUse"
CODES = {
    DELETE: {NOT_FOUND: "NodeIdNotFound", WRONG_STATUS: "InvalidNodeStatus", IN_USE: "NodeIdInUse"},
    REBOOT: {NOT_FOUND: "InstanceIdNotFound", WRONG_STATUS: "InvalidInstanceStatus", IN_USE: "InstanceIdInUse"},
    REPLACE: {NOT_FOUND: "InstanceIdNotFound", WRONG_STATUS: "InvalidInstanceStatus", IN_USE: "InstanceIdInUse"},
}
_ACTIVE = {Repair.REBOOT: "reboot", Repair.REPLACE: "replacement"}


class Refused(Struct, frozen=True):
    """A node that the request cannot have. `id` is the one it was asked for by."""

    id: str
    code: str
    message: str


class Batch(Struct, frozen=True, kw_only=True):
    """What becomes of the cluster, and the answer: ids as they were asked for, by instance and by logical node."""

    cluster: Cluster
    nodes: Members
    done: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    logical_done: tuple[str, ...] = ()
    logical_refused: tuple[Refused, ...] = ()


def batch(
    operation: str, cluster: Cluster, nodes: Mapping[str, Node], request: Mapping[str, Any], now: datetime
) -> Batch:
    """Carry the request out on the records. Raises Validation when it is wrong as a whole."""
    ids, logical = _asked(operation, cluster, request)
    chosen: dict[str, Node] = {}
    done, refused = _sort_out(operation, cluster, {one: nodes.get(one) for one in ids}, chosen)
    by_logical = {node.logical_id: node for node in nodes.values() if node.status is not NodeStatus.SHUTTING_DOWN}
    found = {one: by_logical.get(one) for one in logical}
    logical_done, logical_refused = _sort_out(operation, cluster, found, chosen)
    make = _deleted if operation == DELETE else _repaired
    after, changed = make(operation, cluster, chosen.values(), nodes.values(), now)
    return Batch(
        cluster=after,
        nodes=Members(nodes) | changed,
        done=done,
        refused=refused,
        logical_done=logical_done,
        logical_refused=logical_refused,
    )


def _asked(operation: str, cluster: Cluster, request: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The ids of the request, each once."""
    if cluster.status is not ClusterStatus.IN_SERVICE:
        raise Validation(
            f"Cluster {cluster.name} is in status {cluster.status}: {operation} needs a cluster that is InService."
        )
    ids, logical = (list(dict.fromkeys(request.get(name) or [])) for name in ("NodeIds", "NodeLogicalIds"))
    if not ids and not logical:
        raise Validation("Specify at least one of NodeIds and NodeLogicalIds.")
    if logical and not cluster.continuous:
        raise Validation("NodeLogicalIds is supported only for clusters with NodeProvisioningMode Continuous.")
    ids_max, logical_max = _LIMITS[operation]
    if len(ids) > ids_max or len(logical) > logical_max or (operation != DELETE and len(ids + logical) > ids_max):
        raise Validation(
            f"{operation} takes at most {ids_max} NodeIds and {logical_max} NodeLogicalIds in one request."
        )
    return ids, logical


def _sort_out(
    operation: str, cluster: Cluster, asked: Mapping[str, Node | None], chosen: dict[str, Node]
) -> tuple[tuple[str, ...], tuple[Refused, ...]]:
    """Which of the nodes can be had; those go into `chosen`. A node named twice, by both its ids, is had once."""
    done, refused = [], []
    for one, node in asked.items():
        why = _obstacle(operation, cluster, node, one) if node is None or node.instance_id not in chosen else None
        if why is not None:
            refused.append(Refused(one, CODES[operation][why[0]], why[1]))
        elif node is not None:
            chosen[node.instance_id] = node
            done.append(one)
    return tuple(done), tuple(refused)


def _obstacle(operation: str, cluster: Cluster, node: Node | None, asked: str) -> tuple[str, str] | None:
    if node is None:
        return NOT_FOUND, f"Node {asked} does not exist in cluster {cluster.name}."
    if node.group == named_controller_group(cluster):
        return WRONG_STATUS, f"Node {asked} is a Slurm controller node: {operation} does not take it."
    waiting = {group.name for group in cluster.groups if group.status in (GroupStatus.CREATING, GroupStatus.UPDATING)}
    if operation == DELETE and node.group in waiting:
        return WRONG_STATUS, f"Instance group {node.group} has not reached its MinInstanceCount yet."
    if node.status is NodeStatus.SHUTTING_DOWN:
        return WRONG_STATUS, f"Node {asked} is in status {node.status}."
    active = _active(node)
    if active and not (operation == DELETE and cluster.continuous and not node.joined):
        started = iso_ms(node.repair_at or node.launched_at)
        return IN_USE, (
            f"Node has active {active} operation (started: {started}). "
            "Wait for completion or retry if operation is stale."
        )
    if operation == REBOOT and not node.joined:
        return WRONG_STATUS, f"Node {asked} is in status {node.status} and never joined the cluster: replace it."
    if operation == REBOOT and not node.prepared:
        return WRONG_STATUS, (
            f"Node {asked} was lost in a software update, before its lifecycle script ran on its new root volume: "
            "replace it."
        )
    return None


def _active(node: Node) -> str:
    """What is being done with the node already; "" when nothing is."""
    if node.repair is not None:
        return _ACTIVE[node.repair]
    if node.status is NodeStatus.PENDING:
        return "reboot" if node.rebooting else "replacement" if node.replaces else "provisioning"
    return {NodeStatus.SYSTEM_UPDATING: "software update", NodeStatus.DEEP_HEALTH_CHECK: "deep health check"}.get(
        node.status, ""
    )


def _repaired(
    operation: str, cluster: Cluster, chosen: Iterable[Node], _everybody: Iterable[Node], now: datetime
) -> tuple[Cluster, dict[str, Node]]:
    """The planner does it. The mark is what a second request finds in use."""
    repair = REPAIRS[operation]
    return cluster, {node.instance_id: replace(node, repair=repair, why=operation, repair_at=now) for node in chosen}


def _deleted(
    operation: str, cluster: Cluster, chosen: Iterable[Node], everybody: Iterable[Node], now: datetime
) -> tuple[Cluster, dict[str, Node]]:
    """The nodes leave, and their groups want so many fewer. There is nothing to go back to."""
    nodes = {node.instance_id: replace(node, status=NodeStatus.SHUTTING_DOWN, why=operation) for node in chosen}
    fewer = Counter(node.group for node in nodes.values())
    before = tuple(replace(group, target=max(0, group.target - fewer[group.name])) for group in cluster.groups)
    if not nodes:
        return cluster, nodes
    if cluster.continuous:
        return begun(cluster, replace(cluster, groups=before), everybody, now), nodes
    groups = tuple(replace(one, status=GroupStatus.UPDATING) if fewer[one.name] else one for one in before)
    changes = {"groups": groups, "before": before, "former": None, "failure_message": ""}
    return replace(cluster, status=ClusterStatus.UPDATING, **changes), nodes
