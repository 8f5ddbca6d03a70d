"""The nodes of a cluster, and of them at a glance: who is not at rest, how many there are, which addresses are in use.

In a large cluster nearly all nodes are calm, or pass: what comes next of them is seen when it comes. What they are
counted and told apart by goes along from plan to plan and from commit to commit, so that neither looks at more nodes
than change.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, ValuesView
from datetime import datetime
from types import MappingProxyType

from tocsin.core.layers import Layered
from tocsin.model.cluster import Node, NodeStatus


def calm(node: Node) -> bool:
    """It runs, nothing is wrong with it, and nothing is to be done with it."""
    return node.status is NodeStatus.RUNNING and _quiet(node) and not node.deep_due


def passing(node: Node) -> bool:
    """It is on its way in for the first time, or out: what is seen of it moves it on, or time."""
    if node.status is NodeStatus.SHUTTING_DOWN:
        return _quiet(node)
    first = not node.joined and not node.replaces and not node.rebooting
    return node.status is NodeStatus.PENDING and first and _quiet(node)


def stirs(node: Node) -> bool:
    """It neither is calm nor passes: each plan looks at it."""
    return not calm(node) and not passing(node)


def _quiet(node: Node) -> bool:
    return node.repair is None and not node.faults and not node.advice


def stays(node: Node) -> bool:
    return node.status is not NodeStatus.SHUTTING_DOWN


Rank = tuple[datetime, str, int, str]


def _rank(node: Node) -> Rank:
    """Who is looked at first: the eldest, then by place."""
    return node.launched_at, node.group, node.index, node.instance_id


class Glance:
    """What is known of a cluster's nodes without looking at all of them.

    `stirred` are those that stir, in the order of their `ranks`: whose turn is first must not depend on who turned
    first. `addresses` counts who has each. By group: `sizes` counts those that are meant to stay, `joined` those of
    them that have joined, `running` those that run, `coming` those that pass on their way in, `leaving` those that
    shut down. `nameless` have no logical id.
    """

    __slots__ = ("addresses", "coming", "joined", "leaving", "nameless", "ranks", "running", "sizes", "stirred")

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        everybody = nodes.values()
        self.stirred = sorted(filter(stirs, everybody), key=_rank)
        self.ranks = [_rank(node) for node in self.stirred]
        self.addresses: Layered[int] = Layered(Counter(node.address for node in everybody))
        self.sizes = Counter(node.group for node in everybody if stays(node))
        self.joined = Counter(node.group for node in everybody if stays(node) and node.joined)
        self.running = Counter(node.group for node in everybody if node.status is NodeStatus.RUNNING)
        self.coming = Counter(node.group for node in everybody if stays(node) and passing(node))
        self.leaving = Counter(node.group for node in everybody if not stays(node))
        self.nameless = sum(not node.logical_id for node in everybody)

    def copy(self) -> "Glance":
        twin = Glance.__new__(Glance)  # without a look at nobody, several times a plan
        twin.stirred, twin.ranks, twin.addresses = list(self.stirred), list(self.ranks), self.addresses.copy()
        twin.sizes, twin.joined, twin.running = Counter(self.sizes), Counter(self.joined), Counter(self.running)
        twin.coming, twin.leaving, twin.nameless = Counter(self.coming), Counter(self.leaving), self.nameless
        return twin

    def turn(self, old: Node | None, new: Node | None) -> None:
        """One came, changed or went."""
        if old is not None:
            self._count(old, -1)
            if stirs(old):
                place = bisect_left(self.ranks, _rank(old))
                del self.stirred[place], self.ranks[place]
        if new is not None:
            self._count(new, 1)
            if stirs(new):
                place = bisect_left(self.ranks, _rank(new))
                self.stirred.insert(place, new)
                self.ranks.insert(place, _rank(new))

    def _count(self, node: Node, change: int) -> None:
        staying = stays(node)
        self.sizes[node.group] += change * staying
        self.joined[node.group] += change * (staying and node.joined)
        self.coming[node.group] += change * (staying and passing(node))
        self.leaving[node.group] += change * (not staying)
        self.running[node.group] += change * (node.status is NodeStatus.RUNNING)
        self.nameless += change * (not node.logical_id)
        users = self.addresses.get(node.address, 0) + change
        if users:
            self.addresses[node.address] = users
        else:
            del self.addresses[node.address]


class Members(Mapping[str, Node]):
    """Nodes by instance id, and the `glance` at them. Never changed: `|` makes another, which shares what stays."""

    __slots__ = ("glance", "nodes")

    def __init__(self, nodes: Mapping[str, Node] = MappingProxyType({})) -> None:
        known = nodes if isinstance(nodes, Members) else None
        self.nodes: Layered[Node] = known.nodes if known is not None else Layered(nodes)
        self.glance: Glance = known.glance if known is not None else Glance(nodes)

    def stirred(self) -> list[Node]:
        """Those that stir."""
        return list(self.glance.stirred)

    def restless(self) -> list[Node]:
        """Those that are not calm. Looks at all of them."""
        return sorted((node for node in self.values() if not calm(node)), key=_rank)

    def stirred_or(self, news: frozenset[str]) -> Iterator[Node]:
        """And those of whom there is news."""
        yield from self.stirred()
        others = (node for node in map(self.nodes.get, sorted(news)) if node is not None)
        yield from (node for node in others if not stirs(node))

    def differing(self, before: "Members") -> list[str]:
        """Whose record is not the very same, those that are gone last."""
        return self.nodes.differing(before.nodes)

    def __or__(self, changed: Mapping[str, Node]) -> "Members":
        made = Changing(self)
        for key, node in changed.items():
            made[key] = node
        return Members(made)

    def __getitem__(self, key: str) -> Node:
        return self.nodes[key]

    def __contains__(self, key: object) -> bool:
        return key in self.nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def values(self) -> ValuesView[Node]:
        return self.nodes.whole().values()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Members):
            return self.nodes.whole() == other
        return all(self.get(key) == other.get(key) for key in self.differing(other))

    __hash__ = None  # type: ignore[assignment]


class Changing(Members):
    """The same while it is being changed: a plan's own copy. `Members(it)` is what came of it, `touched` by whom."""

    __slots__ = ("touched",)

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        super().__init__(nodes)
        self.nodes, self.glance = self.nodes.copy(), self.glance.copy()
        self.touched: set[str] = set()

    def __setitem__(self, key: str, node: Node) -> None:
        self.touched.add(key)
        self.glance.turn(self.nodes.get(key), node)
        self.nodes[key] = node

    def __delitem__(self, key: str) -> None:
        self.touched.add(key)
        self.glance.turn(self.nodes[key], None)
        del self.nodes[key]
