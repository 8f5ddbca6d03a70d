"""Mending: replacing what is unhealthy, and what failed while replacing, within the budget."""

from tocsin.core.plan.draft import Draft, controller_group
from tocsin.model.cluster import Node, NodeRecovery, NodeStatus


def mend(draft: Draft) -> None:
    """Replace what is unhealthy, and what failed while replacing, within the budget. Only if recovery is wanted."""
    if draft.cluster.node_recovery is NodeRecovery.NONE:
        return
    # Where a group has too many nodes anyway, its sick ones go without replacement.
    groups = {group.name: group for group in draft.cluster.groups if len(draft.of(group)) <= group.wanted}
    first = controller_group(draft.cluster)
    pending = [node for node in draft.nodes.values() if node.status is NodeStatus.PENDING]
    under_way = sum(1 for node in pending if node.replaces and node.group != first)
    for node in list(draft.nodes.values()):
        if node.group not in groups or not _to_replace(draft, node):
            continue
        if node.group != first:
            if under_way >= draft.policy.replacements_at_once_max:
                draft.wait(f"{node.instance_id} waits to be replaced: {under_way} replacements are under way")
                continue
            under_way += 1
        draft.end(node)
        attempts = 0 if node.joined else node.attempts + 1
        draft.add(groups[node.group], node.index, replaces=node.instance_id, attempts=attempts)


def _to_replace(draft: Draft, node: Node) -> bool:
    """A member that is unhealthy, or a replacement that failed once its pause is over."""
    if node.status is not NodeStatus.FAILURE:
        return False
    return node.joined or (node.retry_at is not None and draft.expired(node.retry_at, 0))


def worn_out(draft: Draft, node: Node) -> bool:
    """A place where replacements fail again and again."""
    failed = node.status is NodeStatus.FAILURE and not node.joined
    return failed and node.attempts + 1 >= draft.policy.degraded_after_attempts
