"""Software updates: what UpdateClusterSoftware, a schedule or a patch date makes of a cluster's groups.

The planner carries them out (core/plan/patch.py). Rules: facts/hyperpod.md §1.2 and §3.4, and the model's texts.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tocsin.core.lifecycle import MAY_UPDATE_SOFTWARE
from tocsin.core.schedule import Cron, next_after, parse
from tocsin.model.cluster import (
    Cluster,
    ClusterStatus,
    GroupStatus,
    Image,
    InstanceGroup,
    SoftwareUpdate,
    SoftwareUpdateStatus,
)
from tocsin.model.errors import Conflict, Validation
from tocsin.model.records import successor

# There is one system image here, and nothing is in it: nodes are processes. Its id only has to look like one.
DEFAULT_IMAGE_ID = "ami-70c51070c51070c51"


def update_software(cluster: Cluster, request: dict[str, Any]) -> Cluster:
    """The cluster after an UpdateClusterSoftware request, in SystemUpdating."""
    if cluster.status not in MAY_UPDATE_SOFTWARE:
        raise Conflict(
            f"Cluster {cluster.name} is in status {cluster.status} and takes no software update now. "
            "Wait until it is InService."
        )
    asked = {one["InstanceGroupName"]: one for one in request.get("InstanceGroups") or []}
    chosen = _chosen(cluster, asked)
    config = request.get("DeploymentConfig") or {}
    check_deployment(config)
    image_id = request.get("ImageId", "")
    if not image_id:
        _refuse_custom(chosen)
    releases = {name: one.get("ImageReleaseVersion", "") for name, one in asked.items()}
    return successor(cluster, **begun(cluster, [one.name for one in chosen], config, image_id, releases))


def _chosen(cluster: Cluster, asked: Collection[str]) -> list[InstanceGroup]:
    unknown = sorted(set(asked) - {group.name for group in cluster.groups})
    if unknown:
        raise Validation(f"InstanceGroups names groups that cluster {cluster.name} has not: {', '.join(unknown)}.")
    waiting = [group.name for group in cluster.groups if group.status in (GroupStatus.CREATING, GroupStatus.UPDATING)]
    if waiting:
        raise Conflict(f"Instance groups that have not reached their MinInstanceCount yet: {', '.join(waiting)}.")
    leaving = [group.name for group in cluster.groups if group.status is GroupStatus.DELETING]
    if set(leaving) & set(asked):
        raise Conflict(f"Instance groups that are being deleted: {', '.join(leaving)}.")
    return [one for one in cluster.groups if one.name in asked or (not asked and one.name not in leaving)]


def _refuse_custom(groups: list[InstanceGroup]) -> None:
    custom = [group.name for group in groups if str(group.spec.get("ImageId", "")).startswith("ami-")]
    if custom:
        raise Validation(f"Instance groups with a custom AMI need an ImageId, or default: {', '.join(custom)}.")


def begun(
    cluster: Cluster,
    names: Collection[str],
    config: dict[str, Any],
    image_id: str = "",
    releases: dict[str, str] | None = None,
    why: str = "UpdateClusterSoftware",
) -> dict[str, Any]:
    """The members of a cluster whose groups of these names are to be updated."""
    ids = resolved(image_id)
    groups = tuple(
        _begun(group, ids, (releases or {}).get(group.name, ""), config, why) if group.name in names else group
        for group in cluster.groups
    )
    return {
        "status": ClusterStatus.SYSTEM_UPDATING,
        "groups": groups,
        "before": cluster.groups,
        "failure_message": "",
    }


def _begun(group: InstanceGroup, image_id: str, release: str, config: dict[str, Any], why: str) -> InstanceGroup:
    first = Image(id=first_image_id(group), release=str(group.spec.get("ImageReleaseVersion", "")), n=group.image.n)
    before = group.image if group.image.id else first
    image = Image(id=image_id, release=release or before.release, n=group.updates + 1)
    update = SoftwareUpdate(
        status=SoftwareUpdateStatus.PENDING, image=image, before=before, config=config, why=f"{why} to {image_id}"
    )
    return replace(group, status=GroupStatus.SYSTEM_UPDATING, update=update, updates=group.updates + 1)


def image_ids(group: InstanceGroup) -> tuple[Image, Image]:
    """(current, desired) image of a group; without ids where it asked for none and was never updated.

    A rollback swaps them: what was desired is what the nodes are on, and they are to go back.
    """
    update = group.update
    if update is None:
        asked = Image(id=str(group.spec.get("ImageId", "")), release=str(group.spec.get("ImageReleaseVersion", "")))
        named = group.image if group.image.id else asked
        return named, named
    if not update.open:
        return group.image, group.image
    there, back = update.image, update.before
    return (there, back) if update.status is SoftwareUpdateStatus.ROLLBACK_IN_PROGRESS else (back, there)


def first_image_id(group: InstanceGroup) -> str:
    """The id of the image a group's nodes had before its first update."""
    return resolved(str(group.spec.get("ImageId", "")))


def resolved(image_id: str) -> str:
    """The image that a request names: `default` and none at all are the system image."""
    return image_id if image_id.startswith("ami-") else DEFAULT_IMAGE_ID


def check_deployment(config: dict[str, Any]) -> None:
    """Raise Validation on what the wire's own checks leave: percentages above 100."""
    policy = config.get("RollingUpdatePolicy") or {}
    for member in ("MaximumBatchSize", "RollbackMaximumBatchSize"):
        size = policy.get(member)
        if size and size["Type"] == "CAPACITY_PERCENTAGE" and size["Value"] > 100:
            raise Validation(f"{member}: a CAPACITY_PERCENTAGE is at most 100.")


def batch_size(update: SoftwareUpdate, nodes: int) -> int:
    """How many nodes may be under way at a time: all of them where nothing is said. A rollback has its own size."""
    policy: dict[str, Any] = update.config.get("RollingUpdatePolicy") or {}
    size: dict[str, Any] | None = policy.get("MaximumBatchSize")
    if update.status is SoftwareUpdateStatus.ROLLBACK_IN_PROGRESS:
        size = policy.get("RollbackMaximumBatchSize") or size
    if not size:
        return max(1, nodes)
    if size["Type"] == "CAPACITY_PERCENTAGE":
        return max(1, int(nodes * size["Value"]) // 100)
    return int(size["Value"])


def check_schedule(group_name: str, config: dict[str, Any]) -> None:
    """Raise Validation on a ScheduledUpdateConfig that can never be."""
    try:
        schedule = parse(config["ScheduleExpression"])
    except Validation:
        schedule = None
    if not isinstance(schedule, Cron):
        raise Validation(
            f"Instance group {group_name}: ScheduleExpression must be a cron expression of six fields, "
            "such as cron(0 3 ? * SUN *)."
        )
    check_deployment(config.get("DeploymentConfig") or {})


def next_update(group: InstanceGroup, since: datetime) -> tuple[datetime, dict[str, Any], str] | None:
    """When a group is to be updated by itself next: the time, how, and for what reason.

    `since` is when it was last looked at: times before that are over.
    """
    found = []
    scheduled = group.spec.get("ScheduledUpdateConfig")
    if scheduled:
        at = next_after(parse(scheduled["ScheduleExpression"]), since, since)
        if at is not None:
            found.append((at, scheduled.get("DeploymentConfig") or {}, "ScheduledUpdateConfig"))
    patched = group.spec.get("AutoPatchConfig")
    date = patch_date(group)
    if patched and date is not None:
        found.append((date, patched.get("DeploymentConfig") or {}, "AutoPatchConfig"))
    return min(found, key=lambda one: one[0]) if found else None


def patch_date(group: InstanceGroup) -> datetime | None:
    """NextPatchDate as it stands. Records keep moments as text within a spec."""
    date = ((group.spec.get("AutoPatchConfig") or {}).get("PatchSchedule") or {}).get("NextPatchDate")
    return datetime.fromisoformat(date) if date else None
