"""Counts of node health, since the start: who turned, and which repairs began. Told of each commit by the fleet.

/metrics shows them. What is wrong now, and what a budget holds back, is asked of the fleet itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tocsin.core.commit import World
from tocsin.core.faults import HealthPolicy, score
from tocsin.model.cluster import Node
from tocsin.model.health import Remedy


def lemons(worlds: Iterable[World], policy: HealthPolicy, now_ms: int) -> int:
    """How many nodes are lemons now."""
    marked = (node for world in worlds for node in world.nodes.values() if node.history)
    return sum(score(node.history, policy, now_ms).lemon for node in marked)


REPAIRS = (Remedy.GPU_RESET, Remedy.REBOOT, Remedy.REPLACE)


class Sickness:
    """`verdicts` by the health that nodes turned to, `repairs` by what began; `failed` are resets that did not do."""

    def __init__(self) -> None:
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
        if old.health is not new.health:
            self.verdicts[new.health] += 1
        self.repairs[Remedy.REBOOT] += new.reboot_due and not old.reboot_due
        self.repairs[Remedy.GPU_RESET] += new.reset is not None and old.reset is None
        ended = new.reset_end if old.reset is not None and new.reset is None else None
        self.failed += ended is not None and bool(ended.failed)
