"""The nodes of a plan while it is made, and of those who is not calm. In a large cluster nearly all nodes are.

Most of what a plan asks is about the few that are not; so one look at all of them, when the plan begins, is enough.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from tocsin.model.cluster import Node, NodeStatus


def calm(node: Node) -> bool:
    """It runs, nothing is wrong with it, and nothing is to be done with it."""
    quiet = node.repair is None and not node.faults and not node.advice and not node.deep_due
    return quiet and node.status is NodeStatus.RUNNING


class Members(dict[str, Node]):
    """Nodes by instance id. `sizes` counts, by group, those that are meant to stay."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        super().__init__(nodes)
        self._stirred = {key: None for key, node in nodes.items() if not calm(node)}
        self.sizes = Counter([node.group for node in nodes.values()])
        for key in self._stirred:
            self._count(nodes[key], -1 if nodes[key].status is NodeStatus.SHUTTING_DOWN else 0)

    def stirred(self) -> list[Node]:
        """Those that are not calm, as they are now."""
        return [self[key] for key in self._stirred]

    def stirred_or(self, news: frozenset[str]) -> Iterator[Node]:
        """And those of whom there is news."""
        yield from self.stirred()
        yield from (self[key] for key in news if key in self and key not in self._stirred)

    def __setitem__(self, key: str, node: Node) -> None:
        if key in self:
            self._leave(self[key])
        super().__setitem__(key, node)
        self._count(node, 0 if node.status is NodeStatus.SHUTTING_DOWN else 1)
        if calm(node):
            self._stirred.pop(key, None)
        else:
            self._stirred[key] = None

    def __delitem__(self, key: str) -> None:
        self._leave(self[key])
        self._stirred.pop(key, None)
        super().__delitem__(key)

    def _leave(self, node: Node) -> None:
        self._count(node, 0 if node.status is NodeStatus.SHUTTING_DOWN else -1)

    def _count(self, node: Node, change: int) -> None:
        self.sizes[node.group] += change
