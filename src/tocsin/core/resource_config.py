"""resource_config.json: what a lifecycle script is told about its cluster (shape: facts/hyperpod.md §6)."""

from collections.abc import Iterable
from typing import Any

import orjson

from tocsin.core.plan import controller_group
from tocsin.model.cluster import Cluster, InstanceGroup, Node, NodeStatus


def resource_config(cluster: Cluster, nodes: Iterable[Node]) -> str:
    """The file's text, as of now: nodes that are shutting down or failed are left out."""
    members = [node for node in nodes if node.status not in (NodeStatus.SHUTTING_DOWN, NodeStatus.FAILURE)]
    config: dict[str, Any] = {"ClusterConfig": {"ClusterArn": cluster.arn, "ClusterName": cluster.name}}
    config |= _orchestrator(cluster, members)
    config["InstanceGroups"] = [_group(group, members) for group in cluster.groups]
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode()


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
    return {
        "Name": group.name,
        "InstanceType": group.instance_type,
        "Instances": [
            {
                "InstanceName": node.name,
                "InstanceId": node.instance_id,
                "AgentIpAddress": node.address,
                "CustomerIpAddress": node.address,
                "InstanceLabel": None,
            }
            for node in members
        ],
    }
