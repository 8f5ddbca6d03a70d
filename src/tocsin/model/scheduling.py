"""What a workload manager says of a node and of jobs."""

from msgspec import Struct


class Scheduled(Struct, frozen=True, kw_only=True):
    """`busy`: jobs run on it. `drained`: it takes no new ones, for the reason told. `reached`: its daemon answers."""

    busy: bool
    drained: bool
    reached: bool = True
    reason: str = ""


class Job(Struct, frozen=True, kw_only=True):
    """A job that runs or ran on these nodes, by their names there. `until_ms` 0: it runs."""

    id: str
    nodes: frozenset[str]
    since_ms: int
    until_ms: int = 0


class Ran(Struct, frozen=True, kw_only=True):
    """Which jobs a workload manager told of a node when it was asked; None: it does not know the node."""

    at_ms: int
    jobs: tuple[Job, ...] | None = None
