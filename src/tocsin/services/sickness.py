"""Counts of node health, since the start: who turned, and which repairs began. Told of each commit by the fleet.

/metrics shows them. What is wrong now, and what a budget holds back, is asked of the fleet itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tocsin.core.commit import World
from tocsin.core.faults import HealthPolicy, score
from tocsin.core.histogram import Histogram
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.health import Remedy


def lemons(worlds: Iterable[World], policy: HealthPolicy, now_ms: int) -> int:
    """How many nodes are lemons now."""
    marked = (node for world in worlds for node in world.nodes.values() if node.history)
    return sum(score(node.history, policy, now_ms).lemon for node in marked)


REPAIRS = (Remedy.GPU_RESET, Remedy.REBOOT, Remedy.REPLACE)


class Sickness:
    """`verdicts` by the health that nodes turned to, `repairs` by what began; `failed` are resets that did not do.
    `found_s` is from a fault's first sight on its node to its commit here, `told_s` from the last sight before its node
    turned unhealthy to the commit of that and its event."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.found_s, self.told_s = Histogram(), Histogram()
        self.verdicts: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.failed = 0

    def moved(self, before: World | None, after: World | None, touched: Sequence[str]) -> None:
        for instance_id in touched if after else ():
            old = before.nodes.get(instance_id) if before else None
            new = after.nodes.get(instance_id) if after else None
            if new is not None:
                self._turned(old, new)

    def _turned(self, old: Node | None, new: Node) -> None:
        if old is None:
            self.repairs[Remedy.REPLACE] += bool(new.replaces)
            return
        if old.faults is not new.faults:
            known = {one.part for one in old.faults}
            for one in new.faults:
                if one.part not in known:
                    self._measure(self.found_s, one.since_ms)
        if old.health is not new.health:
            self.verdicts[new.health] += 1
            if new.health is Health.UNHEALTHY and new.faults:
                self._measure(self.told_s, max(one.last_ms for one in new.faults))
        begins = new.reboot_due and not old.reboot_due
        self.repairs[Remedy.REBOOT] += begins and new.status is not NodeStatus.SYSTEM_UPDATING
        self.repairs[Remedy.GPU_RESET] += new.reset is not None and old.reset is None
        ended = new.reset_end if old.reset is not None and new.reset is None else None
        self.failed += ended is not None and bool(ended.failed)

    def _measure(self, histogram: Histogram, since_ms: int) -> None:
        """A node's clock may be ahead of ours."""
        histogram.observe(max(0, self._now_ms() - since_ms) / 1000)
