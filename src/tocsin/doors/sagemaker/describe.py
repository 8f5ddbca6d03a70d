"""Clusters and nodes -> the members of DescribeCluster, ListClusters and their like (facts/hyperpod.md §1.3)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.core.announce import current_count, threads_per_core
from tocsin.core.instance_types import threads_default, types_of
from tocsin.core.operations import active
from tocsin.doors.sagemaker.images import group_software, node_software
from tocsin.model.cluster import Cluster, InstanceGroup, Node
from tocsin.model.names import private_dns_name
from tocsin.model.operation import Operation

# Members of a group's request that are described back as they came.
_GROUP_CARRIED = (
    "InstanceType",
    "LifeCycleConfig",
    "ExecutionRole",
    "InstanceStorageConfigs",
    "EnvironmentConfig",
    "OnStartDeepHealthChecks",
    "TrainingPlanArn",
    "OverrideVpcConfig",
    "ScheduledUpdateConfig",
    "CapacityRequirements",
    "SlurmConfig",
    "NetworkInterface",
)
_RESTRICTED = (
    *("CurrentCount", "TargetCount", "InstanceGroupName", "InstanceType", "ExecutionRole", "ThreadsPerCore", "Status"),
    *("InstanceStorageConfigs", "OnStartDeepHealthChecks", "TrainingPlanArn", "TrainingPlanStatus"),
    *("OverrideVpcConfig", "ScheduledUpdateConfig", "EnvironmentConfig"),
)
_CLUSTER_CARRIED = ("VpcConfig", "Orchestrator", "TieredStorageConfig", "ClusterRole", "NodeProvisioningMode")


def cluster_members(cluster: Cluster, nodes: Iterable[Node]) -> dict[str, Any]:
    """The answer of DescribeCluster. What was not asked for is left out, as on AWS."""
    members = list(nodes)
    groups = {group.name: _group_members(group, members, active(cluster, group.name)) for group in cluster.groups}
    return {
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "ClusterStatus": cluster.status,
        "CreationTime": cluster.created_at,
        "FailureMessage": cluster.failure_message or None,
        "InstanceGroups": [groups[group.name] for group in cluster.groups if not group.restricted],
        "RestrictedInstanceGroups": [_restricted(groups[group.name]) for group in cluster.groups if group.restricted]
        or None,
        "RestrictedInstanceGroupsConfig": _shared_environment(cluster.spec.get("RestrictedInstanceGroupsConfig")),
        "AutoScaling": _scaling(cluster.spec.get("AutoScaling")),
        "NodeRecovery": cluster.node_recovery,
        **{name: cluster.spec[name] for name in _CLUSTER_CARRIED if name in cluster.spec},
    }


def cluster_summary(cluster: Cluster) -> dict[str, Any]:
    plans = [group.spec["TrainingPlanArn"] for group in cluster.groups if group.spec.get("TrainingPlanArn")]
    return {
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "CreationTime": cluster.created_at,
        "ClusterStatus": cluster.status,
        "TrainingPlanArns": sorted(set(plans)) or None,
    }


def _group_members(group: InstanceGroup, nodes: list[Node], operation: Operation | None) -> dict[str, Any]:
    return {
        "CurrentCount": current_count(group, nodes),
        "TargetCount": group.target,
        "InstanceGroupName": group.name,
        "ThreadsPerCore": threads_per_core(group),
        "Status": group.status,
        "TrainingPlanStatus": "NotApplicable",
        "MinCount": group.spec.get("MinInstanceCount"),
        "ActiveOperations": {"Scaling": 1} if operation else None,
        "InstanceRequirements": _requirements(group),
        "InstanceTypeDetails": _types(group, nodes),
        "KubernetesConfig": _kubernetes(group),
        **group_software(group, nodes),
        **{name: group.spec[name] for name in _GROUP_CARRIED if name in group.spec},
    }


def _restricted(members: dict[str, Any]) -> dict[str, Any]:
    """What AWS describes of a restricted group, which is less."""
    return {name: members[name] for name in _RESTRICTED if name in members}


def _requirements(group: InstanceGroup) -> dict[str, Any] | None:
    asked = group.spec.get("InstanceRequirements")
    return asked and {"CurrentInstanceTypes": asked["InstanceTypes"], "DesiredInstanceTypes": asked["InstanceTypes"]}


def _types(group: InstanceGroup, nodes: list[Node]) -> list[dict[str, Any]] | None:
    if not group.spec.get("InstanceRequirements"):
        return None
    there = Counter(node.instance_type for node in nodes if node.group == group.name and node.joined)
    threads = group.spec.get("ThreadsPerCore")
    return [
        {"InstanceType": one, "CurrentCount": there[one], "ThreadsPerCore": threads or threads_default(one)}
        for one in types_of(group.spec)
    ]


def _kubernetes(group: InstanceGroup) -> dict[str, Any] | None:
    """What is desired. What a Kubernetes cluster has of it is not known here, so nothing is called current."""
    asked = group.spec.get("KubernetesConfig")
    return asked and {f"Desired{name}": value for name, value in asked.items()}


def _shared_environment(asked: dict[str, Any] | None) -> dict[str, Any] | None:
    if not asked:
        return None
    shared = asked["SharedEnvironmentConfig"]
    return {
        "SharedEnvironmentConfig": {f"{at}{name}": shared[name] for at in ("Current", "Desired") for name in shared}
    }


def _scaling(asked: dict[str, Any] | None) -> dict[str, Any] | None:
    """Kept and not acted on: a status that says so would be none of AWS's."""
    return asked and {**asked, "Status": "InService"}


def node_summary(node: Node, labels: Mapping[str, str] | None = None, *, logical: bool = False) -> dict[str, Any]:
    """A node in a list. Logical ids are told there only when they are asked for. `labels` are its host's."""
    return {
        "InstanceGroupName": node.group,
        "InstanceId": node.instance_id,
        "NodeLogicalId": node.logical_id or None if logical else None,
        "InstanceType": node.instance_type,
        "LaunchTime": node.launched_at,
        "LastSoftwareUpdateTime": node.updated_at or node.launched_at,
        "InstanceStatus": _status(node),
        "UltraServerInfo": _ultraserver(labels or {}),
        "PrivateDnsHostname": private_dns_name(node.address, node.scope.region),
    }


def node_members(node: Node, group: InstanceGroup | None, labels: Mapping[str, str]) -> dict[str, Any]:
    """NodeDetails of DescribeClusterNode. A node may outlive its group by the moment it takes to end."""
    spec = group.spec if group else {}
    carried = ("LifeCycleConfig", "OverrideVpcConfig", "InstanceStorageConfigs", "NetworkInterface")
    zone = f"{node.scope.region}a"
    return {
        **node_summary(node, labels, logical=True),
        "ThreadsPerCore": threads_per_core(group) if group else None,
        "PrivatePrimaryIp": node.address,
        "Placement": {"AvailabilityZone": zone},
        "KubernetesConfig": _kubernetes(group) if group else None,
        "CapacityType": next(iter(spec.get("CapacityRequirements") or {}), None),
        **node_software(node, group),
        **{name: spec[name] for name in carried if name in spec},
    }


def _ultraserver(labels: Mapping[str, str]) -> dict[str, Any] | None:
    server = labels.get("ultraserver")
    return {"Id": server, "Type": labels.get("ultraserver_type")} if server else None


def _status(node: Node) -> dict[str, Any]:
    return {"Status": node.status, "Message": node.message or None}
