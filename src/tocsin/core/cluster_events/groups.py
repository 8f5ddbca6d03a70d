"""What is told about instance groups: creation, scaling, minimums, deletion, software updates."""

from collections.abc import Iterator, Mapping

from tocsin.core.cluster_events.said import ERROR, INFO, WARN, Said, of_group, of_scaling
from tocsin.model.cluster import Cluster, GroupStatus, InstanceGroup, Node, SoftwareUpdate
from tocsin.model.cluster import SoftwareUpdateStatus as S
from tocsin.model.operation import OperationStatus

_WAITING = (GroupStatus.CREATING, GroupStatus.UPDATING)


def groups_begun(before: Cluster | None, after: Cluster, members: Mapping[str, Node]) -> Iterator[Said]:
    old = _groups(before)
    for name, group in _groups(after).items():
        was = old.get(name)
        if was is None:
            yield of_scaling(
                INFO, f"InstanceGroup {name} creation started successfully in Cluster {after.name}", group, members
            )
        elif was.status is not group.status and group.status is GroupStatus.DELETING:
            yield of_group(INFO, f"InstanceGroup {name} deletion started successfully in Cluster {after.name}", group)
        elif (was.target, was.minimum) != (group.target, group.minimum) and not group.message:
            yield of_scaling(
                INFO, f"InstanceGroup {name} scaling started successfully in Cluster {after.name}", group, members
            )
        if was is not None:
            yield from _update_begun(after, was, group)


def groups_ended(before: Cluster | None, after: Cluster, members: Mapping[str, Node]) -> Iterator[Said]:
    now = _groups(after)
    done = _done(before, after)
    for name, was in _groups(before).items():
        group = now.get(name)
        if group is None:
            yield of_group(INFO, f"Instance Group {name} deletion in Cluster {after.name} completed successfully", was)
            continue
        yield from _status_ended(after, was, group, members)
        yield from _update_ended(after, was, group)
        if name in done:
            text = f"Instance Group {name} scaling in Cluster {after.name} completed successfully"
            yield of_scaling(INFO, text, group, members, operation_id=done[name])


def _status_ended(
    cluster: Cluster, was: InstanceGroup, group: InstanceGroup, members: Mapping[str, Node]
) -> Iterator[Said]:
    place = f"for IG {group.name} in Cluster {cluster.name}"
    if group.message and group.message != was.message:
        yield of_scaling(WARN, f"Rollback initiated {place}", group, members, failure=group.message)
    elif was.status in _WAITING and group.status is GroupStatus.IN_SERVICE and group.minimum:
        yield of_scaling(INFO, f"Minimum capacity reached {place}", group, members)
    if was.status is GroupStatus.CREATING and group.status is GroupStatus.IN_SERVICE:
        yield of_group(
            INFO, f"Instance Group {group.name} creation in Cluster {cluster.name} completed successfully", group
        )
    if was.status is not group.status and group.status is GroupStatus.FAILED:
        failure = cluster.failure_message
        yield of_group(
            ERROR, f"Instance Group {group.name} creation in Cluster {cluster.name} failed", group, failure=failure
        )


def _update_begun(cluster: Cluster, was: InstanceGroup, group: InstanceGroup) -> Iterator[Said]:
    """A software update on its way, in the words of AWS's reference for patching."""
    update, old = group.update, was.update
    if update is None or update is old:
        return
    ig = f"IG {group.name} in Cluster {cluster.name}"
    status = old.status if old and old.image.n == update.image.n else None
    if status is not S.PENDING and update.status is S.PENDING:
        text = f"InstanceGroup {group.name} in Cluster {cluster.name} has been scheduled for UpdateClusterSoftware to"
        yield of_group(INFO, f"{text} {update.image.id}.", group)
    if status is not S.IN_PROGRESS and update.status is S.IN_PROGRESS:
        strategy = "RollingUpdatePolicy" if update.config.get("RollingUpdatePolicy") else "AllAtOnce"
        yield of_group(INFO, f"UpdateClusterSoftware initiated for {ig} using {strategy} strategy.", group)
    if update.in_batch and not (old and old.in_batch):
        yield of_group(INFO, f"Next update batch selected for {ig}.", group)
    if status is not S.ROLLBACK_IN_PROGRESS and update.status is S.ROLLBACK_IN_PROGRESS:
        text = f"UpdateClusterSoftware failed for {ig}. Initiating rollback."
        yield of_group(ERROR, text, group, failure=cluster.failure_message)


def _update_ended(cluster: Cluster, was: InstanceGroup, group: InstanceGroup) -> Iterator[Said]:
    update, old = group.update, was.update
    if update is None or old is None or update is old:
        return
    ig = f"IG {group.name} in Cluster {cluster.name}"
    seconds, alarms = update.config.get("WaitIntervalInSeconds", 0), _alarms(update)
    if seconds and update.baked_until and not old.baked_until and update.status is S.IN_PROGRESS:
        yield of_group(
            INFO, f"Baking period started for {ig}. Monitoring alarms [{alarms}] for {seconds} seconds.", group
        )
    if seconds and old.baked_until and not update.baked_until and update.status in (S.IN_PROGRESS, S.SUCCEEDED):
        text = f"Baking period completed for {ig}. No alarms triggered during the {seconds}-second baking period."
        yield of_group(INFO, text, group)
    if old.status is update.status:
        return
    match update.status:
        case S.SUCCEEDED:
            yield of_group(INFO, f"UpdateClusterSoftware completed successfully for {ig}.", group)
        case S.ROLLBACK_COMPLETE:
            yield of_group(INFO, f"Rollback completed successfully for {ig}.", group)
        case S.FAILED:
            text = f"Rollback failed for {ig}. Some instances may be in FailedMaintenance state."
            yield of_group(ERROR, text, group, failure=cluster.failure_message)


def _alarms(update: SoftwareUpdate) -> str:
    return ", ".join(alarm["AlarmName"] for alarm in update.config.get("AutoRollbackConfiguration") or [])


def _groups(cluster: Cluster | None) -> dict[str, InstanceGroup]:
    return {group.name: group for group in cluster.groups} if cluster else {}


def _done(before: Cluster | None, after: Cluster) -> dict[str, str]:
    """The groups whose scaling has just come to its end, with its operation."""
    if before is None or before.operations is after.operations:
        return {}
    open_ = {
        (operation.id, scaling.group)
        for operation in before.operations
        for scaling in operation.scalings
        if scaling.status is OperationStatus.IN_PROGRESS
    }
    return {
        scaling.group: operation.id
        for operation in after.operations
        for scaling in operation.scalings
        if scaling.status is OperationStatus.DONE and (operation.id, scaling.group) in open_
    }
