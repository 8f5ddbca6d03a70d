"""What a workload manager says of a node."""

from msgspec import Struct


class Scheduled(Struct, frozen=True, kw_only=True):
    """`busy`: jobs run on it. `drained`: it takes no new ones, for the reason told."""

    busy: bool
    drained: bool
    reason: str = ""
