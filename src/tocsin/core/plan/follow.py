"""Following nodes: from what is seen of machine and agent to the node's status."""

from collections.abc import Callable
from datetime import timedelta

from tocsin.core.plan.draft import Draft
from tocsin.core.plan.texts import (
    ENDED_EARLY,
    FAULT_ENDED,
    FAULT_SILENT,
    NEVER_CAME_UP,
    REPLACEMENT_FAILED,
    SCRIPT_FAILED,
)
from tocsin.model.cluster import Health, Node, NodeStatus, ScriptState
from tocsin.model.machine import MachineState


def follow(draft: Draft, node: Node) -> None:
    """Take the node where its machine and agent are."""
    _FOLLOW[node.status](draft, node)


def _follow_pending(draft: Draft, node: Node) -> None:
    machine = draft.seen.machines.get(node.instance_id)
    link = draft.seen.links.get(node.instance_id)
    if node.script is ScriptState.FAILED:
        _fail_provision(draft, node, node.message or SCRIPT_FAILED)
    elif machine is MachineState.DEAD:
        _fail_provision(draft, node, ENDED_EARLY)
    elif link is not None and link.connected and node.script in (ScriptState.NONE, ScriptState.SUCCEEDED):
        draft.set(node, status=NodeStatus.RUNNING, joined=True, message="", attempts=0, retry_at=None)
    elif link is None or not link.connected:
        timeout = draft.policy.launch_timeout_s
        if draft.expired(node.launched_at if link is None else link.since, timeout):
            _fail_provision(draft, node, NEVER_CAME_UP.format(seconds=timeout))


def _fail_provision(draft: Draft, node: Node, message: str) -> None:
    text = REPLACEMENT_FAILED.format(message=message) if node.replaces else message
    policy = draft.policy
    pause = min(policy.replacement_pause_s * 2.0**node.attempts, policy.replacement_pause_max_s)
    retry_at = draft.now + timedelta(seconds=pause) if node.replaces else None
    draft.set(node, status=NodeStatus.FAILURE, message=text, retry_at=retry_at)


def _follow_running(draft: Draft, node: Node) -> None:
    fault = _fault(draft, node)
    if fault:
        message = f"The instance is unhealthy: {fault}."
        draft.set(node, status=NodeStatus.FAILURE, health=Health.UNHEALTHY, fault=fault, message=message)


def _fault(draft: Draft, node: Node) -> str:
    """The fault type the fleet itself finds in a node that should run; "" when it is alive."""
    machine = draft.seen.machines.get(node.instance_id)
    if machine in (None, MachineState.DEAD, MachineState.ENDING):
        return FAULT_ENDED
    link = draft.seen.links.get(node.instance_id)
    policy = draft.policy
    if link is None:
        silent = draft.expired(node.launched_at, policy.reconnect_grace_s)
    elif link.connected:
        silent = draft.expired(link.heard, policy.heartbeat_timeout_s)
    else:
        silent = draft.expired(link.since, policy.link_lost_grace_s)
    return FAULT_SILENT if silent else ""


def _follow_failure(draft: Draft, node: Node) -> None:
    """A node that was given up for lost and answers again is healthy. A failed provision stays failed."""
    link = draft.seen.links.get(node.instance_id)
    if node.joined and link is not None and link.connected and not _fault(draft, node):
        draft.set(node, status=NodeStatus.RUNNING, health=Health.HEALTHY, fault="", message="")


def _follow_shutting_down(draft: Draft, node: Node) -> None:
    if node.instance_id not in draft.seen.machines:
        del draft.nodes[node.instance_id]


_FOLLOW: dict[NodeStatus, Callable[[Draft, Node], None]] = {
    NodeStatus.PENDING: _follow_pending,
    NodeStatus.RUNNING: _follow_running,
    NodeStatus.FAILURE: _follow_failure,
    NodeStatus.SHUTTING_DOWN: _follow_shutting_down,
    NodeStatus.SYSTEM_UPDATING: _follow_running,
    NodeStatus.DEEP_HEALTH_CHECK: _follow_running,
}
