"""Frames of a host's link: JSON, one per WebSocket message, tagged by `t`.

Each frame of the host tells all that runs on it, and the last order it has carried out; orders are numbered on each
link. The server gives an order again as long as things are not as they should be.
"""

from typing import Annotated

from msgspec import Meta, Struct

from tocsin.model.host import NAME
from tocsin.model.machine import MachineState


class HostHello(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-hello"):
    host: str
    credential: str
    version: str


class HostSeen(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-seen"):
    """All machines in the host's directory, by instance id, after the order `done`."""

    machines: dict[str, MachineState]
    done: int = 0


class HostLaunch(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-launch"):
    """Be this instance, or boot it again. `token` is its agent's."""

    n: int
    instance_id: str
    token: str


class HostTerminate(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-terminate"):
    """Wipe the instance's directory, with all that runs in it."""

    n: int
    instance_id: str


class HostReboot(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-reboot"):
    n: int
    instance_id: str


class HostRefused(Struct, frozen=True, kw_only=True, tag_field="t", tag="host-refused"):
    reason: str


FromHost = HostHello | HostSeen
HostOrder = HostLaunch | HostTerminate | HostReboot
ToHost = HostLaunch | HostTerminate | HostReboot | HostRefused


class JoinAsked(Struct, frozen=True, kw_only=True):
    """The body of a request to join."""

    token: str
    host: Annotated[str, Meta(pattern=NAME)]


class Joined(Struct, frozen=True, kw_only=True):
    """Its answer: what the host shows from now on."""

    host: str
    credential: str
