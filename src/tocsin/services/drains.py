"""Drains: looks at the workload manager when a node turned, and from time to time, and has it drain and resume what
core/drains decides.

The fleet asks it who is free of jobs, for nobody is repaired under a running job; and who is reached: it is the second
witness of a node that is silent.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.drains import Drains, decide
from tocsin.core.plan.silence import Witness, answered, newly_lost, unanswered
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Node, Repair
from tocsin.model.errors import TocsinError
from tocsin.ports import Clock, Orchestrator
from tocsin.services.fleet import Fleet
from tocsin.services.waiting import news_or_pause

log = logging.getLogger(__name__)

# Nodes that turn within this are drained by one command, and the workload manager is not asked without a pause.
TOGETHER_S = 0.02


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
    """`silence` says how long the second witness has to miss a node, and how long its last answer counts. `counts` are
    of drains, resumes and repairs asked for by an administrator, since the start."""

    def __init__(
        self, fleet: Fleet, orchestrator: Orchestrator, clock: Clock, policy: DrainPolicy, silence: FleetPolicy
    ) -> None:
        self._fleet = fleet
        self._orchestrator = orchestrator
        self._clock = clock
        self._policy = policy
        self._silence = silence
        self._failing = False
        self._news = asyncio.Event()
        self._resumed: set[str] = set()
        self.free: frozenset[str] = frozenset()
        self.idle: frozenset[str] = frozenset()
        self._witness = Witness()
        self.counts: Counter[str] = Counter(drained=0, resumed=0, asked=0)

    @property
    def reached(self) -> Mapping[str, bool]:
        """By instance id, of those it knows: whether the workload manager reaches the node."""
        return self._witness.reached

    async def run(self) -> None:
        """Look for ever. While it cannot be asked, nobody is free."""
        while True:
            try:
                await self.look()
                self._failing = False
            except (OSError, TocsinError) as error:
                if not self._failing:
                    log.warning("the workload manager cannot be asked, and repairs wait: %s", error)
                self._failing, self.free, self.idle = True, frozenset(), frozenset()
                self._witness = unanswered(self._witness, self._silence, self._clock.now())
            await self._rest()

    def moved(self, before: World | None, after: World | None, touched: Sequence[str]) -> None:
        """Look at once where a node turned: it may have to be drained, or resumed."""
        if before is None or after is None or self._news.is_set():
            return
        pairs = ((before.nodes.get(one), after.nodes.get(one)) for one in touched)
        if any(old and new and _turned(old, new) for old, new in pairs):
            self._news.set()

    async def _rest(self) -> None:
        """Until it is time to look again, or a node turned; and a moment, in which more may turn."""
        await self._clock.sleep(TOGETHER_S)
        await news_or_pause(self._news, self._clock, self._policy.poll_s)
        self._news.clear()

    async def look(self) -> None:
        """Once: see, decide, act."""
        members = [
            (self._name(node), node)
            for world in self._fleet.worlds()
            if "Eks" not in (world.cluster.spec.get("Orchestrator") or {})
            for node in world.nodes.values()
        ]
        made = decide(members, await self._orchestrator.seen())
        told = self._witnessed(made.reached)
        witness = answered(self._witness, told, self._silence, self._clock.now())
        news = (made.free - self.free) | (made.idle ^ self.idle) | newly_lost(self.reached, witness.reached)
        self.free, self.idle, self._witness = made.free, made.idle, witness
        for instance_id in news:
            self._fleet.changed(instance_id)  # a repair may wait for it, or a silence count already
        await self._act(made)
        self._resumed |= {node.instance_id for name, node in members if name in made.resume}

    def _witnessed(self, reached: dict[str, bool]) -> dict[str, bool]:
        """Who is resumed is not responding for a moment (`idle*`), and no witness of anything until that is over."""
        self._resumed &= {one for one, there in reached.items() if not there}  # who is gone is forgotten
        return {one: there for one, there in reached.items() if one not in self._resumed}

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


def _turned(old: Node, new: Node) -> bool:
    return old.health is not new.health or old.status is not new.status or old.deep_due is not new.deep_due


def _wish(repair: Repair) -> Callable[[Node], Node]:
    return lambda node: replace(node, repair=repair, why=f"Action:{repair} in Slurm")
