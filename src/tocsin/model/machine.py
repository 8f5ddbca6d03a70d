"""Machines and links as the fleet sees them."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field


class MachineState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"  # put to rest in good order, with what it stored: launch boots it again
    DEAD = "dead"  # it ended without being asked to
    ENDING = "ending"  # termination has begun
    REBOOTING = "rebooting"  # it goes down and comes up again by itself


class LaunchRefused(OSError):
    """No machine is to be had. The text is what clients are told, as AWS words it."""


NEVER_S = float("inf")


class LaunchOrder(Struct, frozen=True, kw_only=True):
    """What a provider needs to start a machine. `token` proves to the server that the agent is this instance's."""

    instance_id: str
    cluster_name: str
    group: str
    instance_type: str
    address: str
    token: str
    boot_delay_s: float = 0.0  # on demand: the boot is held back so long; infinite, it never comes


class LinkSeen(Struct, frozen=True, kw_only=True):
    """A node's link. `since` is when it came up (connected) or was lost (not connected); `heard` the last sign of life.

    `ordered` holds the works handed over on this very connection. `resets`: its agent can reset GPUs.
    """

    connected: bool
    since: datetime
    heard: datetime
    ordered: frozenset[str] = field(default_factory=frozenset)
    resets: bool = False
