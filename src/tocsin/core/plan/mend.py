"""Mending: rebooting and replacing nodes, within the budgets.

What to do with a node comes from its record: `repair`, whoever wrote it there, is done whatever NodeRecovery says.
What is unhealthy, or failed while replacing, is replaced unless NodeRecovery is None. What failed on its way to a place
that nobody had yet is tried again, unless the operation under way fails by it. The controller's nodes wait for no
budget: the others wait for them. A group that comes first and is no controller's by name waits for itself alone.
"""

from collections import Counter

from tocsin.core.plan.budget import Budget, Held, of_lost
from tocsin.core.plan.deep import afresh
from tocsin.core.plan.draft import Draft, controller_group, named_controller_group
from tocsin.model.cluster import InstanceGroup, Node, NodeRecovery, NodeStatus, Repair


def mend(draft: Draft) -> None:
    """Begin the repairs that are due. Where a group has too many nodes anyway, its sick ones go without replacement."""
    groups = {group.name: group for group in draft.cluster.groups}
    first, controller = controller_group(draft.cluster), named_controller_group(draft.cluster)
    under_way = Counter(node.group == first for node in draft.nodes.stirred() if _under_repair(node))
    budget = Budget(draft, of_lost(draft.health))  # before any begins: nobody knows yet where a replacement will be
    for node in draft.nodes.stirred():
        repair = _due(draft, node)
        if repair is None or node.group not in groups:
            continue
        if _newcomer(node) and not node.repair:
            _try_again(draft, groups[node.group], node)
            continue
        if repair is Repair.REPLACE and draft.size(groups[node.group]) > groups[node.group].wanted:
            continue
        if node.group != controller:
            leads = node.group == first
            if under_way[leads] >= draft.policy.replacements_at_once_max:
                draft.wait(f"{node.instance_id} waits to be {_DONE[repair]}: {under_way[leads]} repairs are under way")
                continue
            # lost: nobody, and no budget, has agreed to it yet
            if node.repair is None and _held(draft, node, budget.held_alone(node) if leads else budget.held(node)):
                continue
            under_way[leads] += 1
        if node.repair is None:
            budget.begin(node)
        _BEGIN[repair](draft, node)


def _held(draft: Draft, node: Node, held: Held | None) -> bool:
    """Whether too many are under repair for another one. It may answer again meanwhile, and is well then."""
    if held is not None:
        draft.held[node.instance_id] = held.budget
        draft.wait(f"{node.instance_id} waits to be {_DONE[Repair.REPLACE]}: {held.why}")
    return held is not None


def _under_repair(node: Node) -> bool:
    return node.status is NodeStatus.PENDING and (bool(node.replaces) or node.rebooting)


def _due(draft: Draft, node: Node) -> Repair | None:
    """What is to be done with the node now."""
    if node.status is NodeStatus.SHUTTING_DOWN or node.rebooting:
        return None
    if node.repair is Repair.REBOOT and not node.prepared:  # no reboot runs a lifecycle script
        return Repair.REPLACE if node.status is NodeStatus.FAILURE else None
    if node.repair is not None:
        return node.repair
    left = draft.cluster.node_recovery is NodeRecovery.NONE and not _newcomer(node)
    wanted = not left or bool(node.logical_id and not node.joined)
    return Repair.REPLACE if wanted and _to_replace(draft, node) else None


def _to_replace(draft: Draft, node: Node) -> bool:
    """A member that is unhealthy, or one that failed on its way in once its pause is over."""
    if node.status is not NodeStatus.FAILURE:
        return False
    return node.joined or (node.retry_at is not None and draft.expired(node.retry_at, 0))


def _newcomer(node: Node) -> bool:
    """Nobody was at its place before."""
    return not node.joined and not node.replaces


def _try_again(draft: Draft, group: InstanceGroup, node: Node) -> None:
    """Nothing was lost yet at this place, so no budget holds it up."""
    if draft.size(group) <= group.wanted:
        _replace(draft, node)


def _replace(draft: Draft, node: Node) -> None:
    group = next(group for group in draft.cluster.groups if group.name == node.group)
    draft.end(node)
    attempts = 0 if node.joined else node.attempts + 1
    draft.add(group, node.index, replaces=node.instance_id, attempts=attempts)


def _reboot(draft: Draft, node: Node) -> None:
    draft.set(node, status=NodeStatus.PENDING, repair=None, reboot_due=True, reset=None, deep=afresh(node.deep))


_DONE = {Repair.REPLACE: "replaced", Repair.REBOOT: "rebooted"}
_BEGIN = {Repair.REPLACE: _replace, Repair.REBOOT: _reboot}


def worn_out(draft: Draft, node: Node) -> bool:
    """A place where replacements fail again and again."""
    failed = node.status is NodeStatus.FAILURE and not node.joined
    return failed and node.attempts + 1 >= draft.policy.degraded_after_attempts
