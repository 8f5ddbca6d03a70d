"""One thing to be told, before it has a number: about a cluster, a group or an instance, with its metadata."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from tocsin.model.cluster import Cluster, InstanceGroup, Node
from tocsin.model.cluster_event import EventLevel, ResourceType

INFO, WARN, ERROR = EventLevel.INFO, EventLevel.WARN, EventLevel.ERROR


class Said(Struct, frozen=True, kw_only=True):
    """`member` is the one of EventMetadata's members that `metadata` belongs to."""

    resource_type: ResourceType
    level: EventLevel
    description: str
    member: str
    metadata: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    instance_id: str = ""
    operation_id: str = ""


def of_cluster(level: EventLevel, description: str, *, failure: str = "", operation_id: str = "") -> Said:
    return Said(
        resource_type=ResourceType.CLUSTER,
        level=level,
        description=description,
        member="Cluster",
        metadata={"FailureMessage": failure},
        operation_id=operation_id,
    )


def of_group(level: EventLevel, description: str, group: InstanceGroup, *, failure: str = "") -> Said:
    return Said(
        resource_type=ResourceType.GROUP,
        level=level,
        description=description,
        member="InstanceGroup",
        metadata={"FailureMessage": failure, **_network(group)},
        group=group.name,
    )


def of_scaling(
    level: EventLevel,
    description: str,
    group: InstanceGroup,
    members: Mapping[str, Node],
    *,
    failure: str = "",
    operation_id: str = "",
) -> Said:
    """About a group's counts."""
    return Said(
        resource_type=ResourceType.GROUP,
        level=level,
        description=description,
        member="InstanceGroupScaling",
        metadata={
            "InstanceCount": counted(members.values())[group.name],
            "TargetCount": group.target,
            "MinCount": group.minimum or None,
            "FailureMessage": failure,
        },
        group=group.name,
        operation_id=operation_id,
    )


def of_instance(level: EventLevel, description: str, node: Node, *, failure: str = "", script: str = "") -> Said:
    return Said(
        resource_type=ResourceType.INSTANCE,
        level=level,
        description=description,
        member="Instance",
        metadata={"NodeLogicalId": node.logical_id, "FailureMessage": failure, "LcsExecutionState": script},
        group=node.group,
        instance_id=node.instance_id,
    )


def counted(nodes: Iterable[Node]) -> Counter[str]:
    """How many instances there are in each group."""
    return Counter(node.group for node in nodes if node.joined)


def _network(group: InstanceGroup) -> dict[str, Any]:
    """Where its own network is asked for, as it was asked for."""
    vpc = group.spec.get("OverrideVpcConfig") or {}
    image = str(group.spec.get("ImageId", ""))
    return {
        "SubnetId": next(iter(vpc.get("Subnets") or ()), ""),
        "SecurityGroupIds": vpc.get("SecurityGroupIds"),
        "AmiOverride": image if image.startswith("ami-") else "",
    }


def where(cluster: Cluster, group: str) -> str:
    return f"in Cluster {cluster.name} and IG {group}"
