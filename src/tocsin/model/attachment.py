"""What a client attached to a node: volumes and network interfaces of EC2's. They go with their node."""

from datetime import datetime

from msgspec import Struct


class Attached(Struct, frozen=True, kw_only=True):
    """`id` as EC2 has it: `vol-…` or `eni-…`."""

    id: str
    attached_at: datetime


class Volume(Attached, frozen=True, kw_only=True):
    device: str


class Interface(Attached, frozen=True, kw_only=True):
    attachment_id: str
