"""How many nodes groups have, want, and are to get or lose. Shared by all operations of the planner."""

from collections.abc import Iterable

from msgspec.structs import replace

from tocsin.core.plan.draft import Draft
from tocsin.model.cluster import GroupStatus, Health, InstanceGroup, Node, NodeStatus


def fill(draft: Draft) -> None:
    """Add the nodes that groups lack, each at the lowest free place."""
    for group in draft.cluster.groups:
        if draft.size(group) >= group.wanted:
            continue
        taken = {node.index for node in draft.of(group)}
        free = (index for index in range(1, group.wanted + 1) if index not in taken)
        for index, _ in zip(free, range(group.wanted - len(draft.of(group))), strict=False):
            draft.add(group, index)


def provisioning(draft: Draft) -> int:
    """How many nodes of the operation are still on their way in."""
    pending = (node for node in draft.nodes.stirred() if node.status is NodeStatus.PENDING)
    return draft.nodes.glance.coming.total() + sum(1 for node in pending if not node.replaces and not node.joined)


def shrinking(draft: Draft) -> bool:
    """Begin to end what groups have too much, and say whether anything is still ending."""
    for group in draft.cluster.groups:
        if draft.size(group) > group.wanted:
            for node in surplus(draft.of(group), group.wanted):
                draft.end(node)
    ending = draft.nodes.glance.leaving.total()
    if ending:
        draft.wait(f"{ending} instances are shutting down")
    return ending > 0


def surplus(nodes: list[Node], target: int) -> list[Node]:
    """Which nodes go when there are too many: those that never joined, then the sick, then the highest places."""
    ranked = sorted(nodes, key=lambda node: (node.joined, node.health is Health.HEALTHY, -node.index))
    return ranked[: max(0, len(nodes) - target)]


def settled(groups: Iterable[InstanceGroup]) -> list[InstanceGroup]:
    """The groups of a finished operation: the deleted ones are gone, the others in service."""
    return [
        replace(group, status=GroupStatus.IN_SERVICE) for group in groups if group.status is not GroupStatus.DELETING
    ]
