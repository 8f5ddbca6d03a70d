"""A report on its way through the fleet."""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from tocsin.model.changes import Change
from tocsin.model.cluster import Node, NodeCursor, cursor_of


class Reported:
    """A report that waits for its cluster's lock. What it failed with is its reporter's to hear."""

    def __init__(self, instance_id: str, n: int, change: Callable[[Node], Node], extra: tuple[Change, ...]) -> None:
        self.instance_id = instance_id
        self.n = n
        self.change = change
        self.extra = extra
        self.settled = False
        self.failure: Exception | None = None


def folded(
    together: Iterable[Reported], known: Mapping[str, Node], cursors: Mapping[str, NodeCursor]
) -> tuple[dict[str, Node], dict[str, NodeCursor], list[Change]]:
    """What reports make of nodes and of their cursors, and what else they change. Those heard before change nothing."""
    nodes: dict[str, Node] = {}
    moved: dict[str, NodeCursor] = {}
    changes: list[Change] = []
    for one in together:
        node = nodes.get(one.instance_id) or known.get(one.instance_id)
        cursor = cursors.get(one.instance_id)
        heard = moved.get(one.instance_id) or cursor
        if node is None or one.n <= (heard.n if heard else 0):
            continue  # gone, or committed before
        first = cursor_of(node)
        moved[one.instance_id] = replace(cursor or first, n=one.n, revision=(cursor or first).revision + 1)
        nodes[one.instance_id] = one.change(node)
        changes += one.extra
    return nodes, moved, changes
