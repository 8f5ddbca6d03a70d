"""Continuous provisioning: what can be had is had, what fails is tried again, and the cluster stays InService.

The cluster is in service as soon as one node of its controller group, and of its login group, runs. Groups that ask for
a minimum wait for it, for a time (facts/hyperpod.md §3.2).
"""

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from tocsin.core.operations import progressed
from tocsin.core.plan.draft import Draft, controller_group
from tocsin.core.plan.mend import mend, worn_out
from tocsin.core.plan.order import logical_id
from tocsin.core.plan.patch import begin_scheduled, pursue_system_updating, take_back
from tocsin.core.plan.size import fill, shrinking
from tocsin.core.plan.texts import (
    MINIMUM_MISSED,
    NO_CAPACITY_BEGINS,
    PROVISION_FAILED,
    SCRIPT_FAILED,
    SCRIPT_TIMED_OUT,
)
from tocsin.model.cluster import ClusterStatus, GroupStatus, InstanceGroup, Node, NodeStatus

# What does not get better by another try, as long as the cluster has no controller.
_FINAL = (NO_CAPACITY_BEGINS, SCRIPT_FAILED[:40], SCRIPT_TIMED_OUT)


def pursue_continuous(draft: Draft) -> None:
    """Bring the cluster closer to what it wants to be."""
    _name(draft)
    _PURSUE[draft.cluster.status](draft)
    operations = progressed(draft.cluster, draft.nodes)
    if operations != draft.cluster.operations:
        draft.cluster = replace(draft.cluster, operations=operations)


def _name(draft: Draft) -> None:
    """A cluster that was made without continuous provisioning has nodes without logical ids."""
    for node in list(draft.nodes.values()) if draft.nodes.glance.nameless else ():
        if not node.logical_id:
            draft.set(node, logical_id=logical_id(draft.cluster, node.instance_id))


def _scale(draft: Draft) -> None:
    mend(draft)
    fill(draft)
    shrinking(draft)


def _creating(draft: Draft) -> None:
    _scale(draft)
    missing = [group for group in _essential(draft) if group.wanted and not _running(draft, group)]
    failed = next((node for group in missing for node in draft.of(group) if _finally_failed(node)), None)
    if failed is not None:
        message = failed.message
        if not message.startswith(NO_CAPACITY_BEGINS):
            message = PROVISION_FAILED.format(instance_id=failed.instance_id, message=message)
        groups = [replace(group, status=GroupStatus.FAILED) for group in draft.cluster.groups]
        draft.move(ClusterStatus.FAILED, groups, failure_message=message)
    elif missing:
        draft.wait(f"the first node of {', '.join(group.name for group in missing)} is not there yet")
    else:
        draft.move(ClusterStatus.IN_SERVICE, draft.cluster.groups)
        _settle_groups(draft)


def _essential(draft: Draft) -> list[InstanceGroup]:
    """Groups of which one node at least is there before the cluster is of any use."""
    first = controller_group(draft.cluster)
    return [
        group
        for group in draft.cluster.groups
        if first and (group.name == first or (group.spec.get("SlurmConfig") or {}).get("NodeType") == "Login")
    ]


def _finally_failed(node: Node) -> bool:
    return node.status is NodeStatus.FAILURE and not node.joined and node.message.startswith(_FINAL)


def _running(draft: Draft, group: InstanceGroup) -> int:
    return draft.nodes.glance.running[group.name]


def _in_service(draft: Draft) -> None:
    _scale(draft)
    _settle_groups(draft)
    begin_scheduled(draft)


def _settle_groups(draft: Draft) -> None:
    worn = {node.group for node in draft.nodes.stirred() if worn_out(draft, node)}
    settled = (_settled(draft, group, worn=group.name in worn) for group in draft.cluster.groups)
    groups = tuple(group for group in settled if group is not None)
    if groups != draft.cluster.groups:
        draft.cluster = replace(draft.cluster, groups=groups)


def _settled(draft: Draft, group: InstanceGroup, *, worn: bool) -> InstanceGroup | None:
    """The group as it now stands; None when it is gone."""
    if group.status is GroupStatus.DELETING:
        return group if draft.size(group) or draft.nodes.glance.leaving[group.name] else None
    if group.status in (GroupStatus.CREATING, GroupStatus.UPDATING):
        return _waited_for(draft, group)
    return replace(group, status=GroupStatus.DEGRADED if worn else GroupStatus.IN_SERVICE)


def _waited_for(draft: Draft, group: InstanceGroup) -> InstanceGroup:
    """A group that has its minimum is in service; one that misses it for too long goes back to the count it had."""
    running, since = _running(draft, group), group.waiting_since or draft.now
    if running >= group.minimum:
        return replace(group, status=GroupStatus.IN_SERVICE, waiting_since=None, message="")
    if not draft.expired(since + timedelta(seconds=draft.policy.minimum_timeout_s), 0):
        draft.wait(f"instance group {group.name} has {running} of its minimum of {group.minimum} instances")
        return replace(group, waiting_since=since)
    hours = draft.policy.minimum_timeout_s / 3600
    message = MINIMUM_MISSED.format(group=group.name, minimum=group.minimum, hours=hours)
    spec = {key: value for key, value in group.spec.items() if key != "MinInstanceCount"}
    spec["InstanceCount"] = group.fallback
    return replace(
        group,
        status=GroupStatus.IN_SERVICE,
        target=group.fallback,
        spec=spec,
        waiting_since=None,
        message=message,
    )


def _rolling_back(draft: Draft) -> None:
    """Only a software update is ever taken back."""
    shrinking(draft)
    take_back(draft)


def _failed(draft: Draft) -> None:
    shrinking(draft)


def _deleting(draft: Draft) -> None:
    draft.gone = not shrinking(draft)


_PURSUE: dict[ClusterStatus, Callable[[Draft], None]] = {
    ClusterStatus.CREATING: _creating,
    ClusterStatus.IN_SERVICE: _in_service,
    ClusterStatus.SYSTEM_UPDATING: pursue_system_updating,
    ClusterStatus.ROLLING_BACK: _rolling_back,
    ClusterStatus.FAILED: _failed,
    ClusterStatus.DELETING: _deleting,
}
