"""resource_config.json: what a lifecycle script is told about its cluster (shape: facts/hyperpod.md §6)."""

from collections.abc import Iterable
from typing import Any

import orjson
from msgspec import Struct

from tocsin.core.members import Members
from tocsin.core.plan import controller_group
from tocsin.model.cluster import Cluster, InstanceGroup, Node, NodeStatus


class Told(Struct, frozen=True):
    """The file, and of whom it tells."""

    cluster: Cluster
    members: Members
    text: bytes


def retold(before: Told | None, cluster: Cluster, members: Members) -> Told:
    """The file as of now; that of before while it tells the same."""
    if before is None or _changed(before, cluster, members):
        return Told(cluster, members, resource_config(cluster, members.values()))
    return Told(cluster, members, before.text)


def _changed(before: Told, cluster: Cluster, members: Members) -> bool:
    """Whether the file tells anything else. Most of what changes in a cluster does not show in it."""
    if _frame(before.cluster) != _frame(cluster):
        return True
    turned = members.differing(before.members)
    return any(_entry(before.members.get(key)) != _entry(members.get(key)) for key in turned)


def _frame(cluster: Cluster) -> object:
    groups = [(group.name, group.instance_type) for group in cluster.groups]
    return cluster.arn, controller_group(cluster), cluster.spec.get("Orchestrator"), groups


def _entry(node: Node | None) -> object:
    return (_instance(node), node.group, node.index) if node is not None and _there(node) else None


def _there(node: Node) -> bool:
    return node.status not in (NodeStatus.SHUTTING_DOWN, NodeStatus.FAILURE)


def resource_config(cluster: Cluster, nodes: Iterable[Node]) -> bytes:
    """The file's text, as of now: nodes that are shutting down or failed are left out."""
    members = [node for node in nodes if _there(node)]
    config: dict[str, Any] = {"ClusterConfig": {"ClusterArn": cluster.arn, "ClusterName": cluster.name}}
    config |= _orchestrator(cluster, members)
    config["InstanceGroups"] = [_group(group, members) for group in cluster.groups]
    return orjson.dumps(config, option=orjson.OPT_INDENT_2)


def _orchestrator(cluster: Cluster, nodes: list[Node]) -> dict[str, Any]:
    eks = (cluster.spec.get("Orchestrator") or {}).get("Eks")
    if eks:
        return {"ClusterType": "Kubernetes", "KubernetesConfig": {"EksClusterName": eks["ClusterArn"].split("/")[-1]}}
    first = controller_group(cluster)
    controllers = sorted((node.index, node.address) for node in nodes if node.group == first)
    addresses = [address for _, address in controllers]
    slurm = {"PrimaryControllerIp": addresses[0] if addresses else "", "SecondaryControllerIps": addresses[1:]}
    return {"ClusterType": "Slurm", "SlurmConfig": slurm}


def _group(group: InstanceGroup, nodes: list[Node]) -> dict[str, Any]:
    members = sorted((node for node in nodes if node.group == group.name), key=lambda node: node.index)
    return {"Name": group.name, "InstanceType": group.instance_type, "Instances": [_instance(node) for node in members]}


def _instance(node: Node) -> dict[str, Any]:
    return {
        "InstanceName": node.name,
        "InstanceId": node.instance_id,
        "AgentIpAddress": node.address,
        "CustomerIpAddress": node.address,
        "InstanceLabel": None,
    }
