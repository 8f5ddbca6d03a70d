"""StartClusterHealthCheck: which nodes a request has checked. The fleet commits it; one at a time in a cluster.

AWS states the rules in prose only (facts/hyperpod.md §5): configurations that overlap are merged.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tocsin.core.members import Members
from tocsin.core.operations import kept
from tocsin.model.cluster import Cluster, ClusterStatus, Node, NodeStatus
from tocsin.model.deep import DeepCheck
from tocsin.model.errors import Conflict, Validation
from tocsin.model.names import derived_uuid
from tocsin.model.operation import GroupCheck, Operation, OperationStatus


def start(
    cluster: Cluster, nodes: Mapping[str, Node], request: dict[str, Any], now: datetime
) -> tuple[Cluster, Members]:
    """The cluster with the operation, and the nodes whose check is due. Raises Conflict, Validation."""
    if cluster.status is not ClusterStatus.IN_SERVICE:
        raise Conflict(f"Cluster {cluster.name} is in status {cluster.status}. Wait until it is InService.")
    if any(one.checks and one.status is OperationStatus.IN_PROGRESS for one in cluster.operations):
        raise Conflict(f"A deep health check of cluster {cluster.name} is already in progress.")
    wanted: dict[str, dict[str, None]] = {}
    for config in request["DeepHealthCheckConfigurations"]:
        for instance_id in _chosen(cluster, nodes, config):
            wanted.setdefault(instance_id, {}).update(dict.fromkeys(config["DeepHealthChecks"]))
    if not wanted:
        raise Validation("None of the instances is in status Running: there is nothing to check.")
    operation = derived_uuid(cluster.arn, "deep-check", now.isoformat(), len(cluster.operations))
    begun = Operation(id=operation, created_at=now, scalings=(), checks=_checks(nodes, wanted))
    due = {
        key: replace(nodes[key], deep=_due(nodes[key], tuple(kinds), operation, now)) for key, kinds in wanted.items()
    }
    return replace(cluster, operations=kept((*cluster.operations, begun))), Members(nodes) | due


def _chosen(cluster: Cluster, nodes: Mapping[str, Node], config: Mapping[str, Any]) -> list[str]:
    group = config["InstanceGroupName"]
    if group not in {one.name for one in cluster.groups}:
        raise Validation(f"Cluster {cluster.name} has no instance group {group}.")
    for instance_id in config.get("InstanceIds") or ():
        node = nodes.get(instance_id)
        if node is None or node.group != group:
            raise Validation(f"Instance {instance_id} is not in instance group {group}.")
        if node.status is not NodeStatus.RUNNING:
            raise Validation(f"Instance {instance_id} is in status {node.status}: only a Running one can be checked.")
    there = [key for key, node in nodes.items() if node.group == group and node.status is NodeStatus.RUNNING]
    return list(config.get("InstanceIds") or there)


def _due(node: Node, kinds: tuple[str, ...], operation: str, now: datetime) -> DeepCheck:
    return DeepCheck(kinds=kinds, n=node.deep.n + 1 if node.deep else 1, operation=operation, since=now)


def _checks(nodes: Mapping[str, Node], wanted: Mapping[str, Iterable[str]]) -> tuple[GroupCheck, ...]:
    """By group and what is checked."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for key, kinds in wanted.items():
        together.setdefault((nodes[key].group, tuple(kinds)), []).append(key)
    return tuple(
        GroupCheck(group=group, instances=tuple(keys), kinds=kinds) for (group, kinds), keys in together.items()
    )


# A node that is lost or leaves holds no operation up: it may never come back.
_HERE = (NodeStatus.RUNNING, NodeStatus.DEEP_HEALTH_CHECK, NodeStatus.PENDING, NodeStatus.SYSTEM_UPDATING)


def finished(operations: tuple[Operation, ...], nodes: Iterable[Node]) -> tuple[Operation, ...]:
    """The operations as they stand: a check is done once none of its nodes is, or is to be, checked."""
    if not any(one.checks and not one.checked for one in operations):
        return operations
    busy = {node.deep.operation for node in nodes if node.deep is not None and node.deep.open and node.status in _HERE}
    return tuple(
        replace(one, checked=True) if one.checks and not one.checked and one.id not in busy else one
        for one in operations
    )
