"""A report on its way through the fleet."""

from collections.abc import Callable

from tocsin.model.changes import Change
from tocsin.model.cluster import Node


class Reported:
    """A report that waits for its cluster's lock. What it failed with is its reporter's to hear."""

    def __init__(self, instance_id: str, n: int, change: Callable[[Node], Node], extra: tuple[Change, ...]) -> None:
        self.instance_id = instance_id
        self.n = n
        self.change = change
        self.extra = extra
        self.settled = False
        self.failure: Exception | None = None
