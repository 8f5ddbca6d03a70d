"""Pursuing operations: from the cluster's status and its nodes to the next status (facts/hyperpod.md §3.1)."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from tocsin.core.plan.continuous import pursue_continuous
from tocsin.core.plan.draft import Draft, controller_group
from tocsin.core.plan.mend import mend, worn_out
from tocsin.core.plan.patch import begin_scheduled, pursue_system_updating, take_back
from tocsin.core.plan.size import fill, provisioning, settled, shrinking
from tocsin.core.plan.texts import NO_CAPACITY_BEGINS, PROVISION_FAILED
from tocsin.model.cluster import Cluster, ClusterStatus, GroupStatus, InstanceGroup, Node, NodeRecovery, NodeStatus


def pursue(draft: Draft) -> None:
    """Bring the operation under way one step further."""
    if draft.cluster.continuous:
        pursue_continuous(draft)
    else:
        _PURSUE[draft.cluster.status](draft)


def _pursue_creating(draft: Draft) -> None:
    mend(draft)
    fill(draft)
    failed = _hopeless(draft)
    if failed is not None:
        groups = [replace(group, status=GroupStatus.FAILED) for group in draft.cluster.groups]
        _roll_back(draft, groups, failed)
    elif provisioning(draft):
        draft.wait(f"{provisioning(draft)} of {len(draft.nodes)} instances are being provisioned")
    else:
        draft.move(ClusterStatus.IN_SERVICE, settled(draft.cluster.groups))


def _pursue_updating(draft: Draft) -> None:
    """Additions first: as long as one may fail, nothing is taken away that a rollback would want back."""
    mend(draft)
    fill(draft)
    failed = _hopeless(draft)
    if failed is not None:
        _roll_back(draft, _restored(draft.cluster), failed, **_told_before(draft.cluster))
    elif provisioning(draft):
        draft.wait(f"{provisioning(draft)} of {len(draft.nodes)} instances are being provisioned")
    elif not shrinking(draft):
        draft.move(ClusterStatus.IN_SERVICE, settled(draft.cluster.groups), before=(), former=None)


def _pursue_rolling_back(draft: Draft) -> None:
    if draft.cluster.reverting:
        take_back(draft)
    elif draft.cluster.before:
        if not shrinking(draft):
            mend(draft)
            draft.move(ClusterStatus.IN_SERVICE, settled(draft.cluster.groups), before=(), former=None)
    elif not shrinking(draft):
        draft.move(ClusterStatus.FAILED, draft.cluster.groups)


def _pursue_in_service(draft: Draft) -> None:
    mend(draft)
    fill(draft)
    degraded = {node.group for node in draft.nodes.stirred() if worn_out(draft, node)}
    status = {True: GroupStatus.DEGRADED, False: GroupStatus.IN_SERVICE}
    groups = tuple(replace(group, status=status[group.name in degraded]) for group in draft.cluster.groups)
    draft.cluster = replace(draft.cluster, groups=groups)
    begin_scheduled(draft)


def _pursue_deleting(draft: Draft) -> None:
    draft.gone = not shrinking(draft)


def _pursue_failed(draft: Draft) -> None:
    shrinking(draft)


_PURSUE: dict[ClusterStatus, Callable[[Draft], None]] = {
    ClusterStatus.CREATING: _pursue_creating,
    ClusterStatus.UPDATING: _pursue_updating,
    ClusterStatus.SYSTEM_UPDATING: pursue_system_updating,
    ClusterStatus.ROLLING_BACK: _pursue_rolling_back,
    ClusterStatus.IN_SERVICE: _pursue_in_service,
    ClusterStatus.DELETING: _pursue_deleting,
    ClusterStatus.FAILED: _pursue_failed,
}


def _hopeless(draft: Draft) -> Node | None:
    """The node for which the operation under way cannot succeed.

    Either it failed on the way in (a replacement is tried again instead), or others wait for it and it stays away.
    """
    failed = [node for node in draft.nodes.stirred() if node.status is NodeStatus.FAILURE]
    lost = [node for node in failed if not node.joined and not node.replaces]
    if not lost and provisioning(draft):
        first = controller_group(draft.cluster)
        left = draft.cluster.node_recovery is NodeRecovery.NONE
        lost = [node for node in failed if node.group == first and (left or worn_out(draft, node))]
    return lost[0] if lost else None


def _roll_back(draft: Draft, groups: Iterable[InstanceGroup], failed: Node, **changes: object) -> None:
    """Turn back, in a step of its own: RollingBack and the node that failed are always seen, however shortly."""
    message = failed.message
    if not message.startswith(NO_CAPACITY_BEGINS):  # that is told as it is: there is no instance that could have failed
        message = PROVISION_FAILED.format(instance_id=failed.instance_id, message=message)
    draft.move(ClusterStatus.ROLLING_BACK, groups, failure_message=message, **changes)


def _told_before(cluster: Cluster) -> dict[str, object]:
    """What the operation changed of the cluster itself, as it was: all or nothing."""
    former = cluster.former
    return {"node_recovery": former.node_recovery, "spec": former.spec} if former else {}


def _restored(cluster: Cluster) -> list[InstanceGroup]:
    """The groups as they stood before the operation; those it added are on their way out."""
    old = {group.name for group in cluster.before}
    added = [replace(group, target=0, status=GroupStatus.DELETING) for group in cluster.groups if group.name not in old]
    return [*cluster.before, *added]
