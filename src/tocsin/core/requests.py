"""What a client's request makes of a cluster. The SageMaker door hands in validated requests; the fleet commits.

Raises the AwsErrors that a request can earn by its content or by the state the cluster is in. Rules that AWS states
only in prose are from the model's documentation strings (facts/hyperpod.md §1.2, §7).
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tocsin.core import groups as instance_groups
from tocsin.core.groups import changed_group, ending, new_group, refuse_twins
from tocsin.core.lifecycle import MAY_DELETE, MAY_UPDATE, MAY_UPDATE_CONTINUOUS
from tocsin.core.operations import begun
from tocsin.core.software import image_ids
from tocsin.model.cluster import Cluster, ClusterStatus, Former, GroupStatus, InstanceGroup, Node, NodeRecovery
from tocsin.model.errors import Conflict, ResourceLimitExceeded, Validation
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, checked_tags

# Members of a cluster's request that are kept as they came and described back.
CLUSTER_CARRIED = (
    "VpcConfig",
    "Orchestrator",
    "TieredStorageConfig",
    "ClusterRole",
    "NodeProvisioningMode",
    "AutoScaling",
    "RestrictedInstanceGroupsConfig",
)
# What is kept and described back, while nothing here can act on it.
CLUSTER_UNHEEDED = (
    "VpcConfig",
    "Orchestrator",
    "TieredStorageConfig",
    "ClusterRole",
    "AutoScaling",
    "RestrictedInstanceGroupsConfig",
)
OFF = "Disable"  # the Mode that asks for nothing
GROUP_LISTS = {"InstanceGroups": False, "RestrictedInstanceGroups": True}
UPDATABLE = (*GROUP_LISTS, "InstanceGroupsToDelete", "NodeRecovery", *CLUSTER_CARRIED)


def create(request: dict[str, Any], *, scope: Scope, cluster_id: str, now: datetime) -> Cluster:
    """The cluster a CreateCluster request asks for, in Creating."""
    groups = [
        new_group(spec, now, restricted=restricted)
        for name, restricted in GROUP_LISTS.items()
        for spec in request.get(name) or []
    ]
    if not groups:
        raise Validation("Specify at least one instance group in InstanceGroups or RestrictedInstanceGroups.")
    refuse_twins(_specs(request))
    cluster = _checked(
        Cluster(
            scope=scope,
            id=cluster_id,
            name=request["ClusterName"],
            status=ClusterStatus.CREATING,
            created_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
            groups=tuple(groups),
            node_recovery=_recovery(request),
            spec={name: request[name] for name in CLUSTER_CARRIED if name in request},
            tags=tags_of(request),
        )
    )
    return continuous(None, cluster, (), now) if cluster.continuous else cluster


def update(cluster: Cluster, request: dict[str, Any], now: datetime, nodes: Iterable[Node] = ()) -> Cluster:
    """The cluster after an UpdateCluster request, in Updating. The groups as they stood are kept for a rollback.

    With continuous provisioning its status stays, and an operation is begun.
    """
    if cluster.status not in (MAY_UPDATE_CONTINUOUS if cluster.continuous else MAY_UPDATE):
        raise Conflict(
            f"Cluster {cluster.name} is in status {cluster.status} and takes no update now. "
            f"{'Wait until it is InService.' if cluster.status is not ClusterStatus.FAILED else 'Delete it.'}"
        )
    if not any(name in request for name in UPDATABLE):
        raise Validation(f"Specify at least one of {', '.join(UPDATABLE)}.")
    refuse_twins(_specs(request))
    _refuse_changes(cluster, request)
    after = _checked(
        successor(
            cluster,
            status=ClusterStatus.UPDATING,
            groups=_merged(cluster, request, now),
            before=cluster.groups,
            former=Former(node_recovery=cluster.node_recovery, spec=cluster.spec),
            failure_message="",
            node_recovery=_recovery(request) or cluster.node_recovery,
            spec=cluster.spec | {name: request[name] for name in CLUSTER_CARRIED if name in request},
        )
    )
    if not after.continuous:
        return after
    return continuous(cluster, replace(after, status=cluster.status, before=cluster.before, former=None), nodes, now)


def continuous(before: Cluster | None, after: Cluster, nodes: Iterable[Node], now: datetime) -> Cluster:
    """Groups whose counts are other than before wait for their minimum, if they have one; an operation is begun."""
    old = {group.name: group for group in before.groups} if before else {}
    groups = tuple(_waiting(old.get(group.name), group, now) for group in after.groups)
    return begun(before, replace(after, groups=groups), nodes, now)


def _waiting(old: InstanceGroup | None, group: InstanceGroup, now: datetime) -> InstanceGroup:
    same = old is not None and (old.target, old.minimum) == (group.target, group.minimum)
    if same or group.status in (GroupStatus.DELETING, GroupStatus.SYSTEM_UPDATING):
        return group
    if old is None:
        return replace(group, waiting_since=now)
    still = old.status in (GroupStatus.CREATING, GroupStatus.UPDATING)
    fallback = old.fallback if still else old.target
    status = old.status if still or not group.minimum else GroupStatus.UPDATING
    return replace(group, status=status, fallback=fallback, waiting_since=now, message="")


def delete(cluster: Cluster) -> Cluster:
    """The cluster after a DeleteCluster request, in Deleting."""
    if cluster.status not in MAY_DELETE:
        raise Conflict(f"Cluster {cluster.name} is already being deleted.")
    return successor(cluster, status=ClusterStatus.DELETING, groups=tuple(map(ending, cluster.groups)), before=())


def tags_of(request: dict[str, Any]) -> dict[str, str]:
    """The tags a request carries. Raises Validation for keys that come twice, and for tags that nothing may have."""
    given = request.get("Tags") or []
    twice = sorted(key for key, count in Counter(tag["Key"] for tag in given).items() if count > 1)
    if twice:
        raise Validation(f"Tag keys must be unique within a request: {', '.join(twice)}.")
    return fitting({tag["Key"]: tag["Value"] for tag in given})


def fitting(tags: dict[str, str]) -> dict[str, str]:
    """The tags, where a resource may have them. Raises Validation."""
    many = Validation(f"A resource can have at most {TAGS_MAX} tags, this one would have {len(tags)}.")
    return checked_tags(tags, many=many, reserved=Validation(RESERVED_SAID))


def unheeded(cluster: Cluster) -> list[str]:
    """What the cluster asks for and local machines cannot do: `Member` or `Member of instance group name`."""
    asked = ((member, cluster.spec.get(member) or {}) for member in CLUSTER_UNHEEDED)
    found = [member for member, value in asked if value and not (isinstance(value, dict) and value.get("Mode") == OFF)]
    for group in cluster.groups:
        found += [f"{member} of instance group {group.name}" for member in instance_groups.unheeded(group)]
    return found


def check_limit(wanted: Iterable[Cluster], before: Iterable[Cluster], instances_max: int) -> None:
    """Raise ResourceLimitExceeded, in AWS's words for a quota, when all clusters together want too many instances."""
    total, used = _instances(wanted), _instances(before)
    if total > instances_max and total > used:
        raise ResourceLimitExceeded(
            f"The account-level service limit 'instances for cluster usage' is {instances_max} Instances, with current "
            f"utilization of {used} Instances and a request delta of {total - used} Instances. "
            "Raise fleet.instances_max in Tocsin's settings to allow more."
        )


def _instances(clusters: Iterable[Cluster]) -> int:
    return sum(group.wanted for cluster in clusters for group in cluster.groups)


def _specs(request: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec for name in GROUP_LISTS for spec in request.get(name) or []]


def _recovery(request: dict[str, Any]) -> NodeRecovery | None:
    return NodeRecovery(request["NodeRecovery"]) if "NodeRecovery" in request else None


def _refuse_changes(cluster: Cluster, request: dict[str, Any]) -> None:
    """What a cluster is for good, and what cannot change while something else depends on it."""
    eks = (cluster.spec.get("Orchestrator") or {}).get("Eks")
    if "Orchestrator" in request and (request["Orchestrator"].get("Eks") != eks):
        raise Validation("The orchestrator of a cluster cannot be changed after its creation.")
    scaled = (cluster.spec.get("AutoScaling") or {}).get("Mode") == "Enable"
    if scaled and request.get("ClusterRole", cluster.spec.get("ClusterRole")) != cluster.spec.get("ClusterRole"):
        raise Validation("ClusterRole cannot be updated while autoscaling is enabled.")


def _checked(cluster: Cluster) -> Cluster:
    for check in (_orchestrator, _slurm, _scaling, _minimum):
        wrong = check(cluster)
        if wrong:
            raise Validation(wrong)
    return cluster


def _orchestrator(cluster: Cluster) -> str:
    """ "Specifying both or providing an empty configuration returns a validation error" (botocore)."""
    asked = cluster.spec.get("Orchestrator")
    return "" if asked is None or len(asked) == 1 else "Orchestrator must be exactly one of Eks and Slurm."


def _slurm(cluster: Cluster) -> str:
    orchestrator = cluster.spec.get("Orchestrator") or {}
    slurm = orchestrator.get("Slurm") or {}
    kinds = [(group.spec.get("SlurmConfig") or {}).get("NodeType") for group in cluster.groups]
    if "Eks" in orchestrator and any(kinds):
        return "SlurmConfig of an instance group cannot be used with the Eks orchestrator."
    if kinds.count("Controller") > 1:
        return "Only one instance group can have the SlurmConfig NodeType Controller."
    if cluster.continuous and slurm.get("SlurmConfigStrategy", "Merge") != "Merge":
        return "SlurmConfigStrategy must be Merge for clusters with NodeProvisioningMode Continuous."
    if slurm.get("AccountingDatabase") and not cluster.continuous:
        return "AccountingDatabase is supported only for clusters with NodeProvisioningMode Continuous."
    return ""


def _scaling(cluster: Cluster) -> str:
    if (cluster.spec.get("AutoScaling") or {}).get("Mode") != "Enable":
        return ""
    if "Eks" not in (cluster.spec.get("Orchestrator") or {}) or not cluster.continuous:
        return (
            "AutoScaling is supported only for clusters with the Eks orchestrator and NodeProvisioningMode Continuous."
        )
    return "" if cluster.spec.get("ClusterRole") else "AutoScaling needs a ClusterRole."


def _minimum(cluster: Cluster) -> str:
    if cluster.continuous or not any(group.spec.get("MinInstanceCount") for group in cluster.groups):
        return ""
    return "MinInstanceCount is supported only for clusters with NodeProvisioningMode Continuous."


def _doomed(cluster: Cluster, request: dict[str, Any]) -> set[str]:
    doomed = set(request.get("InstanceGroupsToDelete") or [])
    unknown = sorted(doomed - {group.name for group in cluster.groups})
    if unknown:
        raise Validation(
            f"InstanceGroupsToDelete names groups that cluster {cluster.name} has not: {', '.join(unknown)}."
        )
    return doomed


def _merged(cluster: Cluster, request: dict[str, Any], now: datetime) -> tuple[InstanceGroup, ...]:
    """Groups given are merged by name, new ones are added behind, those to delete stay in view until they are gone."""
    doomed = _doomed(cluster, request)
    specs = {spec["InstanceGroupName"]: spec for spec in _specs(request)}
    both = sorted(doomed & specs.keys())
    if both:
        raise Validation(f"Instance groups cannot be updated and deleted in one request: {', '.join(both)}.")
    leaving = sorted(one.name for one in cluster.groups if one.status is GroupStatus.DELETING and one.name in specs)
    if leaving:
        raise Conflict(f"Instance groups that are being deleted: {', '.join(leaving)}.")
    restricted = {spec["InstanceGroupName"] for spec in request.get("RestrictedInstanceGroups") or []}
    merged = [
        ending(group)
        if group.name in doomed
        else changed_group(group, specs[group.name], now)
        if group.name in specs
        else group
        for group in cluster.groups
    ]
    known = {group.name for group in cluster.groups}
    added = [new_group(spec, now, restricted=name in restricted) for name, spec in specs.items() if name not in known]
    merged += [_inherited(cluster, group) for group in added]
    if all(group.status is GroupStatus.DELETING for group in merged):
        raise Validation(f"Cluster {cluster.name} must keep at least one instance group. Use DeleteCluster instead.")
    return tuple(merged)


def _inherited(cluster: Cluster, group: InstanceGroup) -> InstanceGroup:
    """A group that names no image, and is added to a cluster with continuous provisioning, has that of the earliest."""
    if not cluster.continuous or "ImageId" in group.spec:
        return group
    current, _ = image_ids(cluster.groups[0])
    return replace(group, image=replace(current, n=group.image.n))
