"""How long a node may be silent: our link is one witness, the workload manager's view of the node is a second one.

follow.py asks. Two that agree are believed sooner; where they disagree the node has all the time there is.
services/drains.py keeps what the second witness says.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

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


class Witness(Struct, frozen=True, kw_only=True):
    """What the workload manager says of nodes, as far as it is believed: whether it `reached` them. `missed`: since
    when it does not. `at`: its last answer."""

    reached: Mapping[str, bool] = {}
    missed: Mapping[str, datetime] = {}
    at: datetime | None = None


def answered(before: Witness, told: Mapping[str, bool], policy: FleetPolicy, now: datetime) -> Witness:
    """A node that is not reached is believed lost when that lasts, as its silence has to: one ping that a busy network
    lost, or a node that was to pass it on, is no second witness. Until then what was said of it before counts."""
    missed = {key: before.missed.get(key, now) for key, there in told.items() if not there}
    lasting = timedelta(seconds=policy.witnessed_timeout_s)
    lost = {key for key, since in missed.items() if now - since >= lasting}
    reached = {key: key not in lost for key in told if key in lost or told[key] or before.reached.get(key)}
    return Witness(reached=reached, missed=missed, at=now)


def unanswered(before: Witness, policy: FleetPolicy, now: datetime) -> Witness:
    """It could not be asked: its last answer counts as long as a silent node has, for one command that fails makes
    nobody lost."""
    kept = before.at is not None and now - before.at < timedelta(seconds=policy.heartbeat_timeout_s)
    return before if kept else Witness()


def newly_lost(before: Mapping[str, bool], now: Mapping[str, bool]) -> set[str]:
    """Who is not reached any more, so that its silence may count already."""
    return {key for key, reached in now.items() if not reached and before.get(key) is not False}
