"""BatchAddClusterNodes: nodes for groups of a cluster with continuous provisioning, each known by its logical id.

A request that comes again with its client token adds nothing: it is answered with the same ids and how they fare now,
and with the same failures.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.instance_types import types_of
from tocsin.core.members import Changing, Members, stays
from tocsin.core.operations import begun
from tocsin.core.plan.order import order
from tocsin.model.cluster import Cluster, ClusterStatus, GroupStatus, InstanceGroup, Node, NodeStatus
from tocsin.model.errors import Validation
from tocsin.model.operation import Operation

ADDED_MAX = 50  # nodes of one request
TOKEN_VALID = timedelta(hours=8)
NOT_FOUND = "NotFound"
_OPEN = (GroupStatus.IN_SERVICE, GroupStatus.DEGRADED)


class Added(Struct, frozen=True, kw_only=True):
    """What became of the request: (logical id, group, status) of each node, and the entries that failed."""

    cluster: Cluster
    nodes: Members
    added: tuple[tuple[str, str, str], ...]
    failed: tuple[dict[str, Any], ...] = ()


def add_nodes(cluster: Cluster, nodes: Mapping[str, Node], request: dict[str, Any], now: datetime) -> Added:
    """Carry the request out on the records. Raises Validation when it is wrong as a whole."""
    if not cluster.continuous:
        raise Validation("BatchAddClusterNodes is supported only for clusters with NodeProvisioningMode Continuous.")
    entries, token = request["NodesToAdd"], request.get("ClientToken", "")
    asked = hashlib.sha256(orjson.dumps(entries, option=orjson.OPT_SORT_KEYS)).hexdigest()
    earlier = _earlier(cluster, token, now)
    if earlier is not None:
        if earlier.asked != asked:
            raise Validation(f"The client token {token} was used with other parameters before.")
        added = _as_they_are(earlier, nodes)
        return Added(cluster=cluster, nodes=Members(nodes), added=added, failed=earlier.failed)
    if cluster.status is not ClusterStatus.IN_SERVICE:
        raise Validation(f"Cluster {cluster.name} is in status {cluster.status}: nodes are added once it is InService.")
    if sum(entry["IncrementTargetCountBy"] for entry in entries) > ADDED_MAX:
        raise Validation(f"At most {ADDED_MAX} nodes can be added in one request.")
    return _carried_out(cluster, Changing(nodes), entries, now, token, asked)


def _earlier(cluster: Cluster, token: str, now: datetime) -> Operation | None:
    valid = (one for one in cluster.operations if one.token == token and now - one.created_at < TOKEN_VALID)
    return next(valid, None) if token else None


def _as_they_are(earlier: Operation, nodes: Mapping[str, Node]) -> tuple[tuple[str, str, str], ...]:
    """Of a node that was replaced the newest instance counts, wherever it stands."""
    status: dict[str, str] = {}
    for node in nodes.values():
        if node.status is not NodeStatus.SHUTTING_DOWN or node.logical_id not in status:
            status[node.logical_id] = node.status
    return tuple((logical, group, status.get(logical, NOT_FOUND)) for logical, group in earlier.added)


def _carried_out(
    cluster: Cluster, nodes: Changing, entries: list[dict[str, Any]], now: datetime, token: str, asked: str
) -> Added:
    before = cluster
    failed: list[dict[str, Any]] = []
    added: list[Node] = []
    for entry in entries:
        group = next((one for one in cluster.groups if one.name == entry["InstanceGroupName"]), None)
        wrong = _wrong(group, entry, cluster.scope.region)
        if group is None or wrong[0]:
            failed.append(_failure(entry, *wrong))
            continue
        cluster, new = _grown(cluster, group, entry, nodes, now)
        added += new
    ids = tuple((node.logical_id, node.group) for node in added)
    if added:
        refused = tuple(failed)
        cluster = begun(before, cluster, nodes.values(), now, token=token, asked=asked, added=ids, failed=refused)
    told = tuple((node.logical_id, node.group, str(node.status)) for node in added)
    return Added(cluster=cluster, nodes=Members(nodes), added=told, failed=tuple(failed))


def _grown(
    cluster: Cluster,
    group: InstanceGroup,
    entry: dict[str, Any],
    nodes: Changing,
    now: datetime,
) -> tuple[Cluster, list[Node]]:
    """The cluster whose group wants so many more, and the new nodes, put among the others at its lowest free places."""
    count = entry["IncrementTargetCountBy"]
    target = group.target + count
    spec = group.spec | {"InstanceCount": target}
    bigger = replace(group, target=target, spec=spec)
    cluster = replace(cluster, groups=tuple(bigger if one.name == group.name else one for one in cluster.groups))
    used = {node.index for node in nodes.values() if stays(node) and node.group == group.name}
    free = (index for index in range(1, target + len(used) + 1) if index not in used)
    new = []
    for index, _ in zip(free, range(count), strict=False):
        cluster, node = order(cluster, bigger, index, nodes, now)
        if entry.get("InstanceTypes"):
            node = replace(node, instance_type=entry["InstanceTypes"][0])
        nodes[node.instance_id] = node
        new.append(node)
    return cluster, new


def _wrong(group: InstanceGroup | None, entry: dict[str, Any], region: str) -> tuple[str, str]:
    """(error code, message); empty ones when there is nothing wrong."""
    name = entry["InstanceGroupName"]
    if group is None:
        return "InstanceGroupNotFound", f"Instance group {name} does not exist in the cluster."
    if group.status not in _OPEN:
        return "InvalidInstanceGroupStatus", f"Instance group {name} is in status {group.status}."
    zones = set(entry.get("AvailabilityZones") or ()) - {f"{region}a"}
    if zones:
        return "IncompatibleAvailabilityZones", f"Instance group {name} has no subnet in {', '.join(sorted(zones))}."
    types = [one for one in entry.get("InstanceTypes") or () if one not in types_of(group.spec)]
    if types:
        return "IncompatibleInstanceTypes", f"Instance group {name} has no instances of type {', '.join(types)}."
    return "", ""


def _failure(entry: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    carried: dict[str, Any] = {name: entry[name] for name in ("AvailabilityZones", "InstanceTypes") if name in entry}
    return {
        "InstanceGroupName": entry["InstanceGroupName"],
        "ErrorCode": code,
        "FailedCount": entry["IncrementTargetCountBy"],
        "Message": message,
        **carried,
    }
