"""What a step that was taken, or refused, makes of its node. The fleet commits it, and plans again."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from tocsin.core.plan.steps import Launch, Reboot, Step
from tocsin.core.plan.texts import REPLACEMENT_FAILED
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.health import Mark


def taken(step: Step, begun: datetime, address: str | None = None, history: tuple[Mark, ...] = ()) -> Node | None:
    """The node after its step; None when the step leaves no trace but in what is seen.

    A reboot does: once the machine is up again, nothing else tells that it was ever down. So does a launch on a machine
    that has an address of its own, and a `history` from what it was before.
    """
    if isinstance(step, Reboot):
        return replace(step.node, reboot_due=False, rebooted_at=begun)
    node = step.node
    past = history if isinstance(step, Launch) and not node.joined else node.history
    after = replace(node, address=address or node.address, history=node.history or past)
    return after if after != node else None


def refused(step: Step, message: str, policy: FleetPolicy, now: datetime) -> Node | None:
    """The node for which no machine is to be had. One that had joined already is only out of reach."""
    return None if step.node.joined else failed_provision(step.node, message, policy, now)


def failed_provision(node: Node, message: str, policy: FleetPolicy, now: datetime) -> Node:
    """A node that failed on its way in. Unless an operation fails by it, it is tried again, each time after twice the
    pause."""
    text = REPLACEMENT_FAILED.format(message=message) if node.replaces else message
    pause = min(policy.replacement_pause_s * 2.0**node.attempts, policy.replacement_pause_max_s)
    return replace(node, status=NodeStatus.FAILURE, message=text, retry_at=now + timedelta(seconds=pause))
