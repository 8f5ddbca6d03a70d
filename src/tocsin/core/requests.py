"""What a client's request makes of a cluster. The SageMaker door hands in validated requests; the fleet commits.

Raises the AwsErrors that a request can earn by its content or by the state the cluster is in. Rules that AWS states
only in prose are from the model's documentation strings (facts/hyperpod.md §1.2, §7).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tocsin.core.lifecycle import MAY_DELETE, MAY_UPDATE
from tocsin.model.cluster import Cluster, ClusterStatus, GroupStatus, InstanceGroup, NodeRecovery
from tocsin.model.errors import Conflict, NotImplementedYet, ResourceLimitExceeded, Validation
from tocsin.model.names import Scope
from tocsin.model.records import successor

# A group cannot change these once it exists (createOnly in the CloudFormation schema).
GROUP_FIXED = ("InstanceType", "ExecutionRole", "ThreadsPerCore", "OverrideVpcConfig", "InstanceRequirements")
# Members of a cluster's request that are kept as they came and described back.
CLUSTER_CARRIED = ("VpcConfig", "Orchestrator", "TieredStorageConfig", "ClusterRole")
NOT_YET = ("NodeProvisioningMode", "AutoScaling", "RestrictedInstanceGroups", "RestrictedInstanceGroupsConfig")
GROUP_NOT_YET = ("InstanceRequirements", "MinInstanceCount")
# What is kept and described back, while nothing here can act on it.
GROUP_UNHEEDED = (
    "InstanceStorageConfigs",
    "OnStartDeepHealthChecks",
    "TrainingPlanArn",
    "OverrideVpcConfig",
    "ScheduledUpdateConfig",
    "ImageId",
    "AutoPatchConfig",
    "KubernetesConfig",
    "CapacityRequirements",
    "NetworkInterface",
)
CLUSTER_UNHEEDED = ("VpcConfig", "Orchestrator", "TieredStorageConfig")
UPDATABLE = ("InstanceGroups", "InstanceGroupsToDelete", "NodeRecovery", *CLUSTER_CARRIED)


def create(request: dict[str, Any], *, scope: Scope, cluster_id: str, now: datetime) -> Cluster:
    """The cluster a CreateCluster request asks for, in Creating."""
    _refuse_not_yet(request)
    specs = request.get("InstanceGroups") or []
    if not specs:
        raise Validation("Specify at least one instance group in InstanceGroups.")
    _refuse_twins(specs)
    return Cluster(
        scope=scope,
        id=cluster_id,
        name=request["ClusterName"],
        status=ClusterStatus.CREATING,
        created_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        groups=tuple(_new_group(spec) for spec in specs),
        node_recovery=_recovery(request),
        spec={name: request[name] for name in CLUSTER_CARRIED if name in request},
        tags={tag["Key"]: tag["Value"] for tag in request.get("Tags") or []},
    )


def update(cluster: Cluster, request: dict[str, Any]) -> Cluster:
    """The cluster after an UpdateCluster request, in Updating. The groups as they stood are kept for a rollback."""
    if cluster.status not in MAY_UPDATE:
        raise Conflict(
            f"Cluster {cluster.name} is in status {cluster.status} and takes no update now. "
            f"{'Wait until it is InService.' if cluster.status is not ClusterStatus.FAILED else 'Delete it.'}"
        )
    _refuse_not_yet(request)
    if not any(name in request for name in UPDATABLE):
        raise Validation(f"Specify at least one of {', '.join(UPDATABLE)}.")
    specs = request.get("InstanceGroups") or []
    _refuse_twins(specs)
    return successor(
        cluster,
        status=ClusterStatus.UPDATING,
        groups=_merged(cluster, {spec["InstanceGroupName"]: spec for spec in specs}, _doomed(cluster, request)),
        before=cluster.groups,
        failure_message="",
        node_recovery=_recovery(request) or cluster.node_recovery,
        spec=cluster.spec | {name: request[name] for name in CLUSTER_CARRIED if name in request},
    )


def delete(cluster: Cluster) -> Cluster:
    """The cluster after a DeleteCluster request, in Deleting."""
    if cluster.status not in MAY_DELETE:
        raise Conflict(f"Cluster {cluster.name} is already being deleted.")
    groups = tuple(_ending(group) for group in cluster.groups)
    return successor(cluster, status=ClusterStatus.DELETING, groups=groups, before=())


def unheeded(cluster: Cluster) -> list[str]:
    """What the cluster asks for and local machines cannot do: `Member` or `Member of instance group name`."""
    found = [member for member in CLUSTER_UNHEEDED if cluster.spec.get(member)]
    for group in cluster.groups:
        found += [f"{member} of instance group {group.name}" for member in GROUP_UNHEEDED if group.spec.get(member)]
        if group.lifecycle.get("OnInitComplete"):
            found.append(f"OnInitComplete of instance group {group.name}")
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


def _refuse_not_yet(request: dict[str, Any]) -> None:
    for name in NOT_YET:
        if request.get(name):
            raise NotImplementedYet(f"{name} is not implemented in Tocsin yet.")


def _refuse_twins(specs: list[dict[str, Any]]) -> None:
    names = [spec["InstanceGroupName"] for spec in specs]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise Validation(f"Instance group names must be unique within a request: {', '.join(twins)}.")


def _recovery(request: dict[str, Any]) -> NodeRecovery | None:
    return NodeRecovery(request["NodeRecovery"]) if "NodeRecovery" in request else None


def _check_group(spec: dict[str, Any]) -> None:
    name = spec["InstanceGroupName"]
    for member in GROUP_NOT_YET:
        if spec.get(member):
            raise NotImplementedYet(f"{member} (instance group {name}) is not implemented in Tocsin yet.")
    if not spec.get("InstanceType"):
        raise Validation(f"Instance group {name}: specify InstanceType.")
    lifecycle = spec.get("LifeCycleConfig")
    if lifecycle is None:
        return
    if not lifecycle.get("OnCreate") or not lifecycle.get("SourceS3Uri"):
        raise Validation(f"Instance group {name}: LifeCycleConfig needs both SourceS3Uri and OnCreate.")
    if not lifecycle["SourceS3Uri"].startswith("s3://"):
        raise Validation(f"Instance group {name}: SourceS3Uri must begin with s3://.")


def _new_group(spec: dict[str, Any]) -> InstanceGroup:
    _check_group(spec)
    return InstanceGroup(
        name=spec["InstanceGroupName"], target=spec["InstanceCount"], status=GroupStatus.CREATING, spec=spec
    )


def _changed_group(group: InstanceGroup, spec: dict[str, Any]) -> InstanceGroup:
    for member in GROUP_FIXED:
        if member in spec and spec[member] != group.spec.get(member, spec[member]):
            raise Validation(f"{member} of instance group {group.name} cannot be changed after its creation.")
    merged = group.spec | spec
    _check_group(merged)
    target = spec["InstanceCount"]
    status = GroupStatus.UPDATING if target != group.target else group.status
    return InstanceGroup(name=group.name, target=target, status=status, spec=merged)


def _ending(group: InstanceGroup) -> InstanceGroup:
    return InstanceGroup(name=group.name, target=0, status=GroupStatus.DELETING, spec=group.spec)


def _doomed(cluster: Cluster, request: dict[str, Any]) -> set[str]:
    doomed = set(request.get("InstanceGroupsToDelete") or [])
    unknown = sorted(doomed - {group.name for group in cluster.groups})
    if unknown:
        raise Validation(f"InstanceGroupsToDelete names groups that cluster {cluster.name} has not: {unknown}.")
    return doomed


def _merged(cluster: Cluster, specs: dict[str, dict[str, Any]], doomed: set[str]) -> tuple[InstanceGroup, ...]:
    """Groups given are merged by name, new ones are added behind, those to delete stay in view until they are gone."""
    both = sorted(doomed & specs.keys())
    if both:
        raise Validation(f"Instance groups cannot be updated and deleted in one request: {', '.join(both)}.")
    merged = []
    for group in cluster.groups:
        if group.name in doomed:
            merged.append(_ending(group))
        elif group.name in specs:
            merged.append(_changed_group(group, specs[group.name]))
        else:
            merged.append(group)
    known = {group.name for group in cluster.groups}
    merged += [_new_group(spec) for name, spec in specs.items() if name not in known]
    if all(group.status is GroupStatus.DELETING for group in merged):
        raise Validation(f"Cluster {cluster.name} must keep at least one instance group. Use DeleteCluster instead.")
    return tuple(merged)
