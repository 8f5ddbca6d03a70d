"""Drains: looks at the workload manager from time to time, and has it drain and resume what core/drains decides.

The fleet asks it who is free of jobs, for nobody is repaired under a running job; and who is reached: it is the second
witness of a node that is silent.
"""

import logging
from collections import Counter
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.drains import Drains, decide
from tocsin.core.plan.silence import newly_lost
from tocsin.model.cluster import Node, Repair
from tocsin.model.errors import TocsinError
from tocsin.ports import Clock, Orchestrator
from tocsin.services.fleet import Fleet

log = logging.getLogger(__name__)


class DrainPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds."""

    # Whether Slurm is driven: its commands have to be on the server's PATH.
    enabled: bool = False
    # What its commands are given as SLURM_CONF; empty: what they find by themselves.
    conf: str = ""
    # What a node is called there: after its address, as on HyperPod (ip-10-1-2-3), or by its own name (worker-2).
    node_names: str = "ip"
    poll_s: float = 2.0


class DrainService:
    """`counts` are of drains, resumes and repairs asked for by an administrator, since the start."""

    def __init__(self, fleet: Fleet, orchestrator: Orchestrator, clock: Clock, policy: DrainPolicy) -> None:
        self._fleet = fleet
        self._orchestrator = orchestrator
        self._clock = clock
        self._policy = policy
        self._failing = False
        self.free: frozenset[str] = frozenset()
        self.reached: dict[str, bool] = {}
        self.counts: Counter[str] = Counter(drained=0, resumed=0, asked=0)

    async def run(self) -> None:
        """Look for ever. While it cannot be asked, nobody is free."""
        while True:
            try:
                await self.look()
                self._failing = False
            except (OSError, TocsinError) as error:
                if not self._failing:
                    log.warning("the workload manager cannot be asked, and repairs wait: %s", error)
                self._failing, self.free, self.reached = True, frozenset(), {}
            await self._clock.sleep(self._policy.poll_s)

    async def look(self) -> None:
        """Once: see, decide, act."""
        members = [
            (self._name(node), node)
            for world in self._fleet.worlds()
            if "Eks" not in (world.cluster.spec.get("Orchestrator") or {})
            for node in world.nodes.values()
        ]
        made = decide(members, await self._orchestrator.seen())
        news = (made.free - self.free) | newly_lost(self.reached, made.reached)
        self.free, self.reached = made.free, made.reached
        for instance_id in news:
            self._fleet.changed(instance_id)  # a repair may wait for it, or a silence count already
        await self._act(made)

    async def _act(self, made: Drains) -> None:
        for instance_id, repair in made.asked.items():  # first: what is drained for a reason of ours is asked no more
            await self._fleet.amend(instance_id, _wish(repair), f"Action:{repair} in Slurm")
            self.counts["asked"] += 1
        for reason, names in made.drain.items():
            await self._orchestrator.drain(names, reason)
            self.counts["drained"] += len(names)
        if made.resume:
            await self._orchestrator.resume(made.resume)
            self.counts["resumed"] += len(made.resume)

    def _name(self, node: Node) -> str:
        return node.name if self._policy.node_names == "name" else f"ip-{node.address.replace('.', '-')}"


def _wish(repair: Repair) -> Callable[[Node], Node]:
    return lambda node: replace(node, repair=repair, why=f"Action:{repair} in Slurm")
