"""AWS::SageMaker::Cluster by SageMaker's operations. The one kind that takes its time."""

from typing import Any

from tocsin.core.cloud.mapping import differing, given, tag_list
from tocsin.core.cloud.progress import cluster_standing
from tocsin.core.cloud.schema import without_read_only
from tocsin.core.cloud.schemas import CLUSTER
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, retag
from tocsin.model.cloud import Operation, Standing
from tocsin.model.errors import ResourceNotFound

GROUPS = ("InstanceGroups", "RestrictedInstanceGroups")
# Members that describe a group and are none of its properties.
_NOT_OF_GROUPS = frozenset(
    {
        *("TargetCount", "MinCount", "Status", "TrainingPlanStatus", "ActiveOperations", "InstanceTypeDetails"),
        *("TargetStateCount", "SoftwareUpdateStatus", "ActiveSoftwareUpdateConfig"),
        *("CurrentImageReleaseVersion", "DesiredImageReleaseVersion", "CurrentImageId", "DesiredImageId"),
    }
)
_CREATED = tuple(name for name in CLUSTER.properties if name not in CLUSTER.read_only)
_UPDATED = tuple(name for name in _CREATED if name not in ("ClusterName", "Tags"))


async def create(ask: Asking, model: Model) -> str:
    made = await ask("sagemaker", "CreateCluster", **given(model, _CREATED))
    return str(made["ClusterArn"])


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    members = await ask("sagemaker", "DescribeCluster", ClusterName=identifier)
    tags = await ask.all("sagemaker", "ListTags", "Tags", ResourceArn=members["ClusterArn"])
    scaling = {name: value for name, value in (members.get("AutoScaling") or {}).items() if name != "Status"}
    return {
        **given(members, CLUSTER.properties),
        "CreationTime": members["CreationTime"].isoformat().replace("+00:00", "Z"),
        "ClusterStatus": str(members["ClusterStatus"]),
        "NodeRecovery": str(members["NodeRecovery"]) if "NodeRecovery" in members else None,
        **{groups: [_group(one) for one in members[groups]] for groups in GROUPS if groups in members},
        "RestrictedInstanceGroupsConfig": _shared(members.get("RestrictedInstanceGroupsConfig")),
        "AutoScaling": scaling or None,
        "Tags": tags,
    }


def _group(members: Model) -> dict[str, Any]:
    """A group as it is described -> as it is asked for."""
    kept = {name: value for name, value in members.items() if value is not None and name not in _NOT_OF_GROUPS}
    requirements, kubernetes = kept.get("InstanceRequirements"), kept.get("KubernetesConfig")
    return kept | {
        "InstanceCount": members["TargetCount"],
        "MinInstanceCount": members.get("MinCount"),
        "ImageId": members.get("DesiredImageId"),
        "InstanceRequirements": requirements and {"InstanceTypes": requirements["DesiredInstanceTypes"]},
        "KubernetesConfig": kubernetes and _desired(kubernetes),
    }


def _shared(config: Model | None) -> dict[str, Any] | None:
    return {"SharedEnvironmentConfig": _desired(config["SharedEnvironmentConfig"])} if config else None


def _desired(members: Model) -> dict[str, Any]:
    return {
        name.removeprefix("Desired"): value for name, value in members.items() if value and name.startswith("Desired")
    }


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    before, after = (without_read_only(CLUSTER, model) for model in (before, after))
    await retag(
        before,
        after,
        lambda tags: ask("sagemaker", "AddTags", ResourceArn=identifier, Tags=tag_list(tags)),
        lambda keys: ask("sagemaker", "DeleteTags", ResourceArn=identifier, TagKeys=keys),
    )
    changed = {name: value for name, value in differing(before, after, _UPDATED).items() if name not in GROUPS}
    gone = sorted(_names(before) - _names(after))
    groups = given(after, GROUPS) if differing(before, after, GROUPS) else {}
    if not any((changed, gone, groups)):
        return False
    members = {**changed, **groups, "InstanceGroupsToDelete": gone or None}
    await ask("sagemaker", "UpdateCluster", ClusterName=identifier, **members)
    return True


def _names(model: Model) -> set[str]:
    found = [one for groups in GROUPS for one in model.get(groups) or [] if isinstance(one, dict)]
    return {str(one.get("InstanceGroupName")) for one in found}


async def delete(ask: Asking, identifier: str) -> None:
    await ask("sagemaker", "DeleteCluster", ClusterName=identifier)


async def listed(ask: Asking) -> list[str]:
    return [one["ClusterArn"] for one in await ask.all("sagemaker", "ListClusters", "ClusterSummaries")]


async def standing(ask: Asking, operation: Operation, identifier: str) -> Standing:
    try:
        members = await ask("sagemaker", "DescribeCluster", ClusterName=identifier)
    except ResourceNotFound:
        return cluster_standing(operation, None)
    return cluster_standing(operation, members)


KIND = Kind(CLUSTER, create, read, update, delete, listed, standing)
