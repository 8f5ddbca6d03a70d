"""What a workload manager says of a node."""

from msgspec import Struct


class Scheduled(Struct, frozen=True, kw_only=True):
    """`busy`: jobs run on it. `drained`: it takes no new ones, for the reason told. `reached`: its daemon answers."""

    busy: bool
    drained: bool
    reached: bool = True
    reason: str = ""
