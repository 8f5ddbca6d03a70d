"""How long a node may be silent: our link is one witness, the workload manager's view of the node is a second one.

follow.py asks. Two that agree are believed sooner; where they disagree the node has all the time there is.
"""

from collections.abc import Mapping

from tocsin.core.policy import FleetPolicy
from tocsin.model.machine import LinkSeen


def silence_limit_s(link: LinkSeen, policy: FleetPolicy, reached: bool | None = None) -> float:
    """From the link's last sign of life. `reached`: whether the workload manager reaches the node; None: it is not
    asked, or does not know."""
    full_s = policy.heartbeat_timeout_s
    if reached:
        return full_s  # a closed link is the agent's affair then, not the node's
    if not link.connected:
        return policy.link_lost_grace_s
    return full_s if reached is None else min(policy.witnessed_timeout_s, full_s)


def newly_lost(before: Mapping[str, bool], now: Mapping[str, bool]) -> set[str]:
    """Who is not reached any more, so that its silence may count already."""
    return {key for key, reached in now.items() if not reached and before.get(key) is not False}
