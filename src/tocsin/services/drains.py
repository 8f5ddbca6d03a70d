"""Drains: looks at the workload manager when a node turned, and from time to time, and has it drain and resume what
core/drains decides.

The fleet asks it who is free of jobs, for nobody is repaired under a running job; who is reached: it is the second
witness of a node that is silent; and whose jobs ran on nodes that have errors of applications.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.drains import Drains, decide
from tocsin.core.faults import Catalogue, told_ms
from tocsin.core.histogram import Histogram
from tocsin.core.plan.silence import Witness, answered, newly_lost, unanswered
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Health, Node, Repair
from tocsin.model.errors import TocsinError
from tocsin.model.scheduling import Ran, Scheduled
from tocsin.model.times import epoch_ms
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
    """`silence` says how long the second witness has to miss a node, and how long its last answer counts; `catalogue`
    which errors are applications'. `drained_s` is from a node's turning unhealthy to its drain; `counts` are of
    drains, resumes and repairs asked for by an administrator, since the start."""

    def __init__(
        self,
        fleet: Fleet,
        orchestrator: Orchestrator,
        clock: Clock,
        policy: DrainPolicy,
        silence: FleetPolicy,
        catalogue: Catalogue,
    ) -> None:
        self._fleet = fleet
        self._orchestrator = orchestrator
        self._clock = clock
        self._policy = policy
        self._silence = silence
        self._catalogue = catalogue
        self._failing = False
        self._news = asyncio.Event()
        self._resumed: set[str] = set()
        self.free: frozenset[str] = frozenset()
        self.idle: frozenset[str] = frozenset()
        self.jobs: Mapping[str, Ran] | None = {}  # None: it cannot be asked
        self._witness = Witness()
        self._turned_ms: dict[str, int] = {}  # of nodes that turned unhealthy and are not drained yet
        self.drained_s = Histogram()
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
                self._failing, self.free, self.idle, self.jobs = True, frozenset(), frozenset(), None
                self._witness = unanswered(self._witness, self._silence, self._clock.now())
            await self._rest()

    def moved(self, before: World | None, after: World | None, touched: Sequence[str]) -> None:
        """Look at once where a node turned: it may have to be drained, or resumed."""
        if before is None or after is None:
            return
        for one in touched:
            old, new = before.nodes.get(one), after.nodes.get(one)
            if old is None or new is None or new.health is not Health.UNHEALTHY:
                self._turned_ms.pop(one, None)
            elif old.health is not new.health:
                self._turned_ms[one] = epoch_ms(self._clock.now())
            if not self._news.is_set() and old and new and self._turned(old, new):
                self._news.set()

    def _turned(self, old: Node, new: Node) -> bool:
        if old.health is not new.health or old.status is not new.status or old.deep_due is not new.deep_due:
            return True
        return old.faults is not new.faults and told_ms(old.faults, self._catalogue) < told_ms(
            new.faults, self._catalogue
        )

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
        seen = await self._orchestrator.seen()
        made = decide(members, seen)
        told = self._witnessed(made.reached)
        witness = answered(self._witness, told, self._silence, self._clock.now())
        news = (made.free - self.free) | (made.idle ^ self.idle) | newly_lost(self.reached, witness.reached)
        self.free, self.idle, self._witness = made.free, made.idle, witness
        for instance_id in news:
            self._fleet.changed(instance_id)  # a repair may wait for it, or a silence count already
        await self._ask_for_jobs(members, seen)
        await self._act(made)
        self._measure(members, made)
        self._resumed |= {node.instance_id for name, node in members if name in made.resume}

    def _measure(self, members: Sequence[tuple[str, Node]], made: Drains) -> None:
        """How long it took from the turning of those that were drained just now. Who was drained before, for another
        reason, is none of ours."""
        drained = {name for names in made.drain.values() for name in names}
        now_ms = epoch_ms(self._clock.now())
        for name, node in members if self._turned_ms else ():
            if name in drained and node.instance_id in self._turned_ms:
                self.drained_s.observe(max(0, now_ms - self._turned_ms.pop(node.instance_id)) / 1000)

    async def _ask_for_jobs(self, members: Sequence[tuple[str, Node]], seen: Mapping[str, Scheduled]) -> None:
        """Of nodes that have an error of an application, once for each time that it comes: later the jobs are
        forgotten there."""
        told = {node.instance_id: (name, told_ms(node.faults, self._catalogue)) for name, node in members}
        before = self.jobs or {}
        kept = {key: before[key] for key, (_, last_ms) in told.items() if last_ms and key in before}
        due = {key: name for key, (name, last_ms) in told.items() if last_ms > (kept[key].at_ms if key in kept else 0)}
        asked_ms, known = epoch_ms(self._clock.now()), [name for name in due.values() if name in seen]
        jobs = await self._orchestrator.jobs(known) if known else ()
        for key, name in due.items():
            ran = tuple(job for job in jobs if name in job.nodes) if name in seen else None
            kept[key] = Ran(at_ms=asked_ms, jobs=ran)
        self.jobs = kept
        for key in due:
            self._fleet.changed(key)

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


def _wish(repair: Repair) -> Callable[[Node], Node]:
    return lambda node: replace(node, repair=repair, why=f"Action:{repair} in Slurm")
