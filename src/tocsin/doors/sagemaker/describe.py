"""Clusters and nodes -> the members of DescribeCluster, ListClusters and their like (facts/hyperpod.md §1.3)."""

from collections.abc import Iterable
from typing import Any

from tocsin.core.announce import current_count, threads_per_core
from tocsin.model.cluster import Cluster, InstanceGroup, Node
from tocsin.model.names import private_dns_name

# Members of a group's request that are described back as they came.
_GROUP_CARRIED = (
    "InstanceType",
    "LifeCycleConfig",
    "ExecutionRole",
    "InstanceStorageConfigs",
    "OnStartDeepHealthChecks",
    "TrainingPlanArn",
    "OverrideVpcConfig",
    "ScheduledUpdateConfig",
    "CapacityRequirements",
    "SlurmConfig",
    "NetworkInterface",
)
_CLUSTER_CARRIED = ("VpcConfig", "Orchestrator", "TieredStorageConfig", "ClusterRole")


def cluster_members(cluster: Cluster, nodes: Iterable[Node]) -> dict[str, Any]:
    """The answer of DescribeCluster. What was not asked for is left out, as on AWS."""
    members = list(nodes)
    return {
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "ClusterStatus": cluster.status,
        "CreationTime": cluster.created_at,
        "FailureMessage": cluster.failure_message or None,
        "InstanceGroups": [_group_members(group, members) for group in cluster.groups],
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


def _group_members(group: InstanceGroup, nodes: list[Node]) -> dict[str, Any]:
    return {
        "CurrentCount": current_count(group, nodes),
        "TargetCount": group.target,
        "InstanceGroupName": group.name,
        "ThreadsPerCore": threads_per_core(group),
        "Status": group.status,
        "TrainingPlanStatus": "NotApplicable",
        **{name: group.spec[name] for name in _GROUP_CARRIED if name in group.spec},
    }


def node_summary(node: Node) -> dict[str, Any]:
    return {
        "InstanceGroupName": node.group,
        "InstanceId": node.instance_id,
        "InstanceType": node.instance_type,
        "LaunchTime": node.launched_at,
        "LastSoftwareUpdateTime": node.launched_at,
        "InstanceStatus": _status(node),
        "PrivateDnsHostname": private_dns_name(node.address, node.scope.region),
    }


def node_members(node: Node, group: InstanceGroup | None) -> dict[str, Any]:
    """NodeDetails of DescribeClusterNode. A node may outlive its group by the moment it takes to end."""
    spec = group.spec if group else {}
    carried = ("LifeCycleConfig", "OverrideVpcConfig", "InstanceStorageConfigs")
    zone = f"{node.scope.region}a"
    return {
        **node_summary(node),
        "ThreadsPerCore": threads_per_core(group) if group else None,
        "PrivatePrimaryIp": node.address,
        "Placement": {"AvailabilityZone": zone},
        **{name: spec[name] for name in carried if name in spec},
    }


def _status(node: Node) -> dict[str, Any]:
    return {"Status": node.status, "Message": node.message or None}
