"""Following nodes: from what is seen of machine and agent to the node's status."""

from collections.abc import Callable

from msgspec.structs import replace

from tocsin.core.faults import after_reboot, noted
from tocsin.core.plan.deep import be_well, due, interrupted, up
from tocsin.core.plan.draft import Draft
from tocsin.core.plan.outcome import failed_provision
from tocsin.core.plan.silence import silence_limit_s
from tocsin.core.plan.texts import (
    ENDED_EARLY,
    FAULT_ENDED,
    FAULT_SILENT,
    NEVER_CAME_BACK,
    NEVER_CAME_UP,
    SCRIPT_FAILED,
    UNHEALTHY,
)
from tocsin.model.cluster import Health, Node, NodeStatus, ScriptState
from tocsin.model.health import Mark, MarkKind
from tocsin.model.machine import MachineState
from tocsin.model.times import epoch_ms


def follow(draft: Draft, node: Node) -> None:
    """Take the node where its machine and agent are."""
    _FOLLOW[node.status](draft, node)


def _follow_pending(draft: Draft, node: Node) -> None:
    if node.rebooting:
        _follow_rebooting(draft, node)
        return
    machine = draft.seen.machines.get(node.instance_id)
    link = draft.seen.links.get(node.instance_id)
    if node.script is ScriptState.FAILED:
        _fail_provision(draft, node, node.message or SCRIPT_FAILED)
    elif machine is MachineState.DEAD:
        _fail_provision(draft, node, ENDED_EARLY)
    elif link is not None and link.connected and node.prepared:
        draft.set(node, joined=True, message="", attempts=0, retry_at=None, **up(draft, node))
    elif link is None or not link.connected:
        timeout = draft.policy.launch_timeout_s
        if draft.expired(node.launched_at if link is None else link.since, timeout):
            _fail_provision(draft, node, NEVER_CAME_UP.format(seconds=timeout))


def _fail_provision(draft: Draft, node: Node, message: str) -> None:
    draft.nodes[node.instance_id] = failed_provision(node, message, draft.policy, draft.now)


def _follow_rebooting(draft: Draft, node: Node) -> None:
    """Back on a connection no older than the reboot; or lost, when its machine or its agent stays away."""
    machine = draft.seen.machines.get(node.instance_id)
    link = draft.seen.links.get(node.instance_id)
    since, timeout = node.rebooted_at, draft.policy.launch_timeout_s
    if machine in (None, MachineState.ENDING) or (since is not None and machine is MachineState.DEAD):
        _lose(draft, node, FAULT_ENDED, NEVER_CAME_BACK)
    elif since is None:
        return  # not begun yet: the step is listed again
    elif link is not None and link.connected and link.since >= since:
        node = replace(node, faults=after_reboot(node.faults))
        if node.status is NodeStatus.SYSTEM_UPDATING:
            draft.set(node, rebooted_at=None)  # up from the new image; now its script
        else:
            be_well(draft, node)
    elif draft.expired(since, timeout):
        _lose(draft, node, FAULT_SILENT, NEVER_CAME_BACK)


def _lose(draft: Draft, node: Node, fault: str, message: str) -> None:
    draft.set(
        node,
        status=NodeStatus.FAILURE,
        health=Health.UNHEALTHY,
        fault=fault,
        message=message.format(fault=fault),
        history=noted(node.history, Mark(kind=MarkKind.LOST, fault=fault, at_ms=epoch_ms(draft.now))),
        reboot_due=False,
        rebooted_at=None,
        reset=None,
        deep=interrupted(node.deep),
    )


def _follow_system_updating(draft: Draft, node: Node) -> None:
    """On its new image once its script has run; whether one that failed runs again is decided by the update."""
    if node.rebooting:
        _follow_rebooting(draft, node)
        return
    fault = _fault(draft, node)
    if fault:
        _lose(draft, node, fault, UNHEALTHY)
    elif node.prepared:
        be_well(draft, replace(node, updated_at=draft.now, tries=0))


def _follow_running(draft: Draft, node: Node) -> None:
    fault = _fault(draft, node)
    if fault:
        _lose(draft, node, fault, UNHEALTHY)
        return
    link = draft.seen.links.get(node.instance_id)
    if link is not None and link.connected and link.resets is not node.resets:
        draft.set(node, resets=link.resets)
        node = draft.nodes[node.instance_id]
    if node.deep_due and node.repair is None and node.reset is None:
        due(draft, node)


def _fault(draft: Draft, node: Node) -> str:
    """The fault type the fleet itself finds in a node that should run; "" when it is alive."""
    machine = draft.seen.machines.get(node.instance_id)
    if machine in (None, MachineState.DEAD, MachineState.ENDING):
        return FAULT_ENDED
    link = draft.seen.links.get(node.instance_id)
    policy = draft.policy
    if link is None:
        silent = draft.expired(node.launched_at, policy.reconnect_grace_s)
    else:
        limit_s = silence_limit_s(link, policy, draft.seen.reached.get(node.instance_id))
        silent = draft.expired(link.heard if link.connected else link.since, limit_s)
    return FAULT_SILENT if silent else ""


def _follow_failure(draft: Draft, node: Node) -> None:
    """A node that was given up for lost and answers again is healthy. A failed provision stays failed.

    So does what is broken in another way: that it answers says nothing about its hardware; and what was lost on its way
    to another image, whose script has not run.
    """
    link = draft.seen.links.get(node.instance_id)
    lost = node.joined and node.fault in (FAULT_ENDED, FAULT_SILENT) and node.repair is None
    if lost and node.prepared and link is not None and link.connected and not _fault(draft, node):
        be_well(draft, node)


def _follow_shutting_down(draft: Draft, node: Node) -> None:
    if node.instance_id not in draft.seen.machines:
        del draft.nodes[node.instance_id]


_FOLLOW: dict[NodeStatus, Callable[[Draft, Node], None]] = {
    NodeStatus.PENDING: _follow_pending,
    NodeStatus.RUNNING: _follow_running,
    NodeStatus.FAILURE: _follow_failure,
    NodeStatus.SHUTTING_DOWN: _follow_shutting_down,
    NodeStatus.SYSTEM_UPDATING: _follow_system_updating,
    NodeStatus.DEEP_HEALTH_CHECK: _follow_running,
}
