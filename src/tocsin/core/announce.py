"""Before and after -> AWS-shaped events. The only file that knows their shapes.

The shape is that of the events seen on a real bus, leaked null members and all (facts/hyperpod.md §2.2): null for
absent objects and lists, "" for absent strings, {} for the tag map. Key order is part of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from tocsin.core.instance_types import threads_default, types_of
from tocsin.core.software import image_ids
from tocsin.model.cluster import Cluster, Health, InstanceGroup, Node, NodeRecovery, NodeStatus, Repair
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.deep import DeepState
from tocsin.model.event import Event, envelope
from tocsin.model.names import DEFAULT_BUS, derived_uuid
from tocsin.model.times import epoch_ms, iso_second

SOURCE = "aws.sagemaker"
STATE_CHANGE = "SageMaker HyperPod Cluster State Change"
NODE_HEALTH = "SageMaker HyperPod Cluster Node Health Event"
CLUSTER_EVENT = "SageMaker HyperPod Cluster Event"

UNHEALTHY_REASON = (
    "HyperPod Health Monitoring Agent (HMA) has detected fault type {fault} on this node and is unhealthy."
)
REPAIR_UNDER_WAY = "HyperPod is working on repairing the unhealthy node. Please wait for the RepairAction to complete."
REPAIR_BY_HAND = "Please Replace the Faulty Node."
HEALTHY_AGAIN = "The node is healthy again."
HEALTHY_REPLACEMENT = "The node replaced {replaced}, ran its lifecycle script and is healthy."
NOTHING_TO_DO = "No action is needed."


def announce(
    before: Cluster | None,
    after: Cluster | None,
    nodes_before: Mapping[str, Node],
    nodes_after: Mapping[str, Node],
    at: datetime,
) -> list[Event]:
    """The events that a commit from `before` to `after` owes the bus, in the order they are told.

    `nodes_before` may leave out nodes that do not change.
    Ids are derived from the cluster and its revision, so that a repeated commit tells the same events.
    """
    if after is None:
        return []
    events = [
        _event(after, at, NODE_HEALTH, detail, ("health", node.instance_id, node.revision))
        for node, detail in _turned(after, nodes_before, nodes_after)
    ]
    if before is None or before.status != after.status:
        detail = state_change_detail(after, nodes_after.values())
        events.append(_event(after, at, STATE_CHANGE, detail, ("status", after.revision)))
    return events


def announce_steps(cluster: Cluster, steps: Iterable[ClusterEvent], at: datetime) -> list[Event]:
    """Cluster Events for the bus. An envelope has the id of its event, so that DescribeClusterEvent knows it."""
    return [
        _envelope(cluster, at, CLUSTER_EVENT, {"EventDetails": cluster_event_detail(cluster, one)}, one.id)
        for one in steps
    ]


def cluster_event_detail(cluster: Cluster, event: ClusterEvent) -> dict[str, Any]:
    """`detail.EventDetails` (facts/hyperpod.md §2.5). What does not apply is left out."""
    detail = {
        "EventId": event.id,
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "InstanceGroupName": event.group,
        "InstanceId": event.instance_id,
        "ResourceType": event.resource_type,
        "EventTime": epoch_ms(event.at),
        "EventLevel": event.level,
        "Description": event.description,
        "OperationId": event.operation_id,
    }
    told: dict[str, Any] = {name: value for name, value in detail.items() if value != ""}
    return told | {"EventDetails": {"EventMetadata": event.metadata}}


def _turned(
    cluster: Cluster, before: Mapping[str, Node], after: Mapping[str, Node]
) -> Iterator[tuple[Node, dict[str, Any]]]:
    """Nodes whose health changed, and replacements that have just come up; each with what is told of it."""
    for instance_id, old in before.items():
        node = after.get(instance_id)
        if node is None:
            continue
        came_up = bool(node.replaces) and _came_up(old, node)
        if came_up or old.health != node.health:
            yield node, node_health_detail(cluster, node, came_up=came_up)


def _came_up(old: Node, node: Node) -> bool:
    """For the first time; one that is checked on start, once it has passed."""
    if node.status is not NodeStatus.RUNNING or node.deep is None or not node.deep.on_start:
        return node.joined and not old.joined and node.status is not NodeStatus.DEEP_HEALTH_CHECK
    return old.status is NodeStatus.DEEP_HEALTH_CHECK and node.deep.state is DeepState.PASSED


def _event(cluster: Cluster, at: datetime, detail_type: str, detail: dict[str, Any], what: tuple[object, ...]) -> Event:
    return _envelope(cluster, at, detail_type, detail, derived_uuid(cluster.arn, *what))


def _envelope(cluster: Cluster, at: datetime, detail_type: str, detail: dict[str, Any], event_id: str) -> Event:
    body = envelope(
        scope=cluster.scope,
        id=event_id,
        source=SOURCE,
        detail_type=detail_type,
        time=iso_second(at),
        resources=[cluster.arn],
        detail=detail,
    )
    return Event(scope=cluster.scope, bus=DEFAULT_BUS, id=event_id, at_ms=epoch_ms(at), body=body)


def current_count(group: InstanceGroup, nodes: Iterable[Node]) -> int:
    """Instances that exist in the group: those that have joined, until they are gone (facts/hyperpod.md §3.2)."""
    return sum(1 for node in nodes if node.group == group.name and node.joined)


def threads_per_core(group: InstanceGroup) -> int:
    """As requested, else the default of the instance type."""
    return int(group.spec.get("ThreadsPerCore") or threads_default(types_of(group.spec)[0]))


def state_change_detail(cluster: Cluster, nodes: Iterable[Node]) -> dict[str, Any]:
    """`detail` of a State Change: the cluster as it is, in the key order of the real events."""
    members = list(nodes)
    spec = cluster.spec
    groups = {group.name: _group_detail(group, current_count(group, members)) for group in cluster.groups}
    restricted = {group.name for group in cluster.groups if group.restricted}
    return {
        "SdkResponseMetadata": None,
        "SdkHttpMetadata": None,
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "ClusterStatus": cluster.status,
        "CreationTime": epoch_ms(cluster.created_at),
        "FailureMessage": cluster.failure_message,
        "InstanceGroups": [groups[name] for name in groups if name not in restricted],
        "RestrictedInstanceGroups": [groups[name] for name in sorted(restricted)] or None,
        "VpcConfig": spec.get("VpcConfig"),
        "Orchestrator": spec.get("Orchestrator"),
        "ResilienceConfig": None,
        "NodeRecovery": cluster.node_recovery or "",
        "Tags": cluster.tags,
    }


def _group_detail(group: InstanceGroup, current: int) -> dict[str, Any]:
    spec = group.spec
    current_image, desired_image = image_ids(group)
    return {
        "CurrentCount": current,
        "TargetCount": group.target,
        "InstanceGroupName": group.name,
        "InstanceType": group.instance_type,
        "LifeCycleConfig": spec.get("LifeCycleConfig"),
        "ExecutionRole": spec["ExecutionRole"],
        "ThreadsPerCore": threads_per_core(group),
        "InstanceStorageConfigs": spec.get("InstanceStorageConfigs"),
        "EnableBurnInTest": None,
        "OnStartDeepHealthCheck": None,
        "OnStartDeepHealthChecks": spec.get("OnStartDeepHealthChecks"),
        "Status": group.status,
        "FailureMessages": None,
        "ScalingConfig": None,
        "TrainingPlanArn": spec.get("TrainingPlanArn", ""),
        "TrainingPlanStatus": "NotApplicable",
        "OverrideVpcConfig": spec.get("OverrideVpcConfig"),
        "CustomMetadata": None,
        "ScheduledUpdateConfig": spec.get("ScheduledUpdateConfig"),
        "CurrentImageId": current_image.id or None,
        "DesiredImageId": desired_image.id or None,
    }


def repair_action(cluster: Cluster, node: Node) -> Repair | None:
    """What is done about an unhealthy node: what its record says, else what NodeRecovery leads to."""
    if node.repair or node.rebooting:
        return node.repair or Repair.REBOOT
    if node.status is NodeStatus.RUNNING:
        return node.due
    return None if cluster.node_recovery is NodeRecovery.NONE else Repair.REPLACE


def node_health_detail(cluster: Cluster, node: Node, *, came_up: bool = False) -> dict[str, Any]:
    """`detail` of a Node Health Event (facts/hyperpod.md §2.4). No event of AWS shows a recovery; that text is ours.

    `came_up`: a replacement, for the first time. What it recovers from later is its own.
    """
    if node.health is Health.UNHEALTHY:
        repair = repair_action(cluster, node)
        summary = {
            "HealthStatus": Health.UNHEALTHY,
            "HealthStatusReason": UNHEALTHY_REASON.format(fault=node.fault),
            "RepairAction": repair or "None",
            "Recommendation": REPAIR_UNDER_WAY if repair else node.advice or REPAIR_BY_HAND,
        }
    else:
        summary = {
            "HealthStatus": Health.HEALTHY,
            "HealthStatusReason": HEALTHY_REPLACEMENT.format(replaced=node.replaces) if came_up else HEALTHY_AGAIN,
            "RepairAction": "None",
            "Recommendation": NOTHING_TO_DO,
        }
    return {
        "ClusterName": cluster.name,
        "ClusterArn": cluster.arn,
        "InstanceId": node.instance_id,
        "Tags": cluster.tags,
        "HealthSummary": summary,
    }
