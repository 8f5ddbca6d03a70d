"""The budget of repairs: how many nodes of a cluster, of a group and of a failure domain may be under repair at a time.

One count, and two sets of bounds: of nodes that are sick, and of nodes that are lost. A failure domain is what fails
together (a rack, an UltraServer): machine providers tell a node's, else it is its group's only subnet. heal.py and
mend.py ask before each repair; nobody asks before a node comes back.
"""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from tocsin.core.faults import HealthPolicy
from tocsin.core.members import stays
from tocsin.core.plan.draft import Draft
from tocsin.model.cluster import InstanceGroup, Node, NodeStatus

BUDGETS = CLUSTER, GROUP, DOMAIN = "cluster", "group", "domain"
Key = tuple[str, str]


class Bounds(Struct, frozen=True):
    """Percents of what a node is a part of, and how many nodes always may."""

    cluster: float
    group: float
    domain: float
    floor: int


def of_sick(policy: HealthPolicy) -> Bounds:
    return Bounds(policy.cluster_percent_max, policy.group_percent_max, policy.domain_percent_max, policy.repairs_floor)


def of_lost(policy: HealthPolicy) -> Bounds:
    return Bounds(
        policy.lost_cluster_percent_max,
        policy.lost_group_percent_max,
        policy.lost_domain_percent_max,
        policy.lost_floor,
    )


class Held(Struct, frozen=True):
    """Which budget holds a repair back, and why in words."""

    budget: str
    why: str


class Budget:
    """Counted once a plan. Sizes of domains only once a repair waits for its turn: they take a look at all nodes."""

    def __init__(self, draft: Draft, bounds: Bounds) -> None:
        self._draft = draft
        self._bounds = bounds
        self._subnets = {group.name: _subnet(group) for group in draft.cluster.groups}
        sizes = draft.nodes.glance.sizes
        self._sizes: Counter[Key] = Counter({(GROUP, name): size for name, size in sizes.items()})
        self._sizes[CLUSTER, ""] = sizes.total()
        self._domains_counted = False
        self._under_way: Counter[Key] = Counter()
        for node in draft.nodes.stirred():
            if stays(node) and under_repair(node):
                self.begin(node)

    def held(self, node: Node) -> Held | None:
        """None: its repair need not wait."""
        for key, name, percent in self._shares(node):
            if why := self._over(key, name, percent):
                return Held(key[0], why)
        return None

    def held_alone(self, node: Node) -> Held | None:
        """The same as if its group were all there is: others, which may wait for this one, do not count."""
        group = (GROUP, node.group), f"group {node.group}"
        for budget, percent in ((CLUSTER, self._bounds.cluster), (GROUP, self._bounds.group)):
            if why := self._over(*group, percent, always=1):
                return Held(budget, why)
        return None

    def _over(self, key: Key, name: str, percent: float, always: int = 0) -> str:
        """Why no more of this share may be under repair; "" when one may."""
        size, under_way = self._size(key), self._under_way[key]
        if under_way < max(always, self._bounds.floor, int(size * percent / 100)):
            return ""
        return f"{under_way} of {size} nodes of {name} are under repair, and {percent:g} % may be"

    def begin(self, node: Node) -> None:
        self._under_way.update(key for key, _, _ in self._shares(node))

    def _shares(self, node: Node) -> Iterator[tuple[Key, str, float]]:
        """What the node is a part of, in words, and how much of that may be under repair."""
        bounds = self._bounds
        yield (CLUSTER, ""), "the cluster", bounds.cluster
        yield (GROUP, node.group), f"group {node.group}", bounds.group
        domain = self._domain(node)
        if domain:
            yield (DOMAIN, domain), f"failure domain {domain}", bounds.domain

    def _domain(self, node: Node) -> str:
        return self._draft.seen.domain(node.instance_id) or self._subnets.get(node.group, "")

    def _size(self, key: Key) -> int:
        if key[0] == DOMAIN and not self._domains_counted:
            self._domains_counted = True
            for node in filter(stays, self._draft.nodes.values()):
                self._sizes[DOMAIN, self._domain(node)] += 1
        return self._sizes[key]


def _subnet(group: InstanceGroup) -> str:
    """One that spreads over several is no domain: nobody here knows which node is in which."""
    subnets: list[str] = (group.spec.get("OverrideVpcConfig") or {}).get("Subnets") or []
    return subnets[0] if len(subnets) == 1 else ""


def under_repair(node: Node) -> bool:
    on_the_way = node.status is NodeStatus.PENDING and (bool(node.replaces) or node.rebooting)
    return node.repair is not None or node.reset is not None or on_the_way
