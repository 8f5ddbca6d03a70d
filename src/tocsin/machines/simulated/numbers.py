"""Agents of simulated machines, and the NodeLinks port that reaches them: no sockets, no frames, a timer at a time.

What they report goes the way of every report: `take` is the nodes door's. A node's reports are taken in order, those
of different nodes side by side, so that their commits share the disk.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from tocsin.core.faults import Catalogue
from tocsin.machines.simulated.course import Course
from tocsin.machines.simulated.faults import put_in
from tocsin.machines.simulated.machines import SimulatedMachine
from tocsin.model.deep import CheckResult
from tocsin.model.errors import TocsinError
from tocsin.model.link import (
    AnswerPeers,
    CheckEnded,
    CommandEnded,
    GpuResetEnded,
    Inject,
    Order,
    Report,
    RunCommand,
    RunDeepCheck,
    RunGpuReset,
    RunScript,
    ScriptEnded,
    ScriptOutput,
    ScriptStarted,
)
from tocsin.model.machine import LinkSeen
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock

# Nodes whose reports are on their way to the disk at the same time: a group commit's worth.
REPORTS_AT_ONCE_MAX = 128
RETRY_PAUSE_S = 0.5

Take = Callable[[str, Report], Awaitable[None]]


class NumberAgents:
    """All agents of one provider. `heard_through` is the number of a node's last report that was committed."""

    def __init__(
        self,
        clock: Clock,
        take: Take,
        changed: Callable[[str], None],
        heard_through: Callable[[str], int],
        catalogue: Catalogue,
    ) -> None:
        self.clock = clock
        self.catalogue = catalogue
        self.changed = changed
        self.heard_through = heard_through
        self._take = take
        self._agents: dict[str, NumberAgent] = {}
        self._seen = _Seen(self._agents, clock)
        self._waiting: deque[NumberAgent] = deque()
        self._news = asyncio.Event()
        self._at_work = 0
        self.at_once = 0  # timers that ring at once: with a speed of 0, all of them

    def agent_of(self, machine: SimulatedMachine) -> "NumberAgent":
        agent = self._agents[machine.instance_id] = NumberAgent(self, machine)
        return agent

    def forget(self, machine: SimulatedMachine) -> None:
        self._agents.pop(machine.instance_id, None)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to come without time passing."""
        return not (self._waiting or self._at_work or self.at_once)

    # The NodeLinks port.

    def seen(self) -> Mapping[str, LinkSeen]:
        return self._seen

    def send(self, instance_id: str, order: Order) -> None:
        agent = self._agents.get(instance_id)
        if agent is not None and agent.since_connected is not None:
            agent.obey(order)

    # Reports.

    def reported(self, agent: "NumberAgent") -> None:
        """The agent has a report, and had none."""
        self._waiting.append(agent)
        self._news.set()

    async def run(self) -> None:
        """Carry reports to the fleet, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(REPORTS_AT_ONCE_MAX):
                group.create_task(self._carry())

    async def _carry(self) -> None:
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            agent = self._waiting.popleft()
            self._at_work += 1
            try:
                await self._deliver(agent)
            finally:
                self._at_work -= 1

    async def _deliver(self, agent: "NumberAgent") -> None:
        """All reports the agent has, each when the one before is committed."""
        while agent.outbox:
            report = agent.outbox[0]
            try:
                await self._take(agent.machine.instance_id, report)
                if agent.outbox and agent.outbox[0] is report:  # else the machine was halted meanwhile
                    agent.outbox.popleft()
            except TocsinError:  # not committed: it comes again, as an agent's reports do
                await self.clock.sleep(RETRY_PAUSE_S)


class NumberAgent:
    """One agent: linked or not, and what it has to report."""

    def __init__(self, agents: NumberAgents, machine: SimulatedMachine) -> None:
        self.machine = machine
        self.since_connected: datetime | None = None
        self.since_lost: datetime | None = None
        self.ordered: frozenset[str] = frozenset()
        self.outbox: deque[Report] = deque()
        self._agents = agents
        self._filed = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._at_once = 0

    def boot(self, course: Course) -> None:
        if not course.never_up:
            self._after(course.boot_s, self._link)

    def halt(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._agents.at_once -= self._at_once
        self._timers.clear()
        self._at_once = 0
        self.outbox.clear()
        if self.since_connected is not None:
            self.since_connected, self.since_lost = None, self._agents.clock.now()
        self.ordered = frozenset()

    def obey(self, order: Order) -> None:
        if isinstance(order, RunScript):
            self.ordered |= {order.work}
            self._report(ScriptStarted(n=0, work=order.work, at_ms=self._now_ms()))
            self._after(self.machine.course.script_s, self._end_script, order)
        elif isinstance(order, RunDeepCheck):
            self.ordered |= {order.work}
            self._after(self.machine.course.script_s, self._end_check, order)
        elif isinstance(order, RunGpuReset):
            self.ordered |= {order.work}
            self._after(self.machine.course.reset_s, self._end_reset, order)
        elif isinstance(order, Inject):
            for report in put_in(order, self._now_ms(), self._agents.catalogue):
                self._report(report)
        elif isinstance(order, AnswerPeers):
            self.ordered |= {order.work}
        elif isinstance(order, RunCommand):
            words = "a simulated machine: the command is not run"
            at_ms = self._now_ms()
            self._report(CommandEnded(n=0, work=order.work, at_ms=at_ms, outcome="not-started", detail=words))

    def _link(self) -> None:
        self.since_connected = self._agents.clock.now()
        self._filed = max(self._filed, self._agents.heard_through(self.machine.instance_id))
        self._agents.changed(self.machine.instance_id)

    def _end_script(self, order: RunScript) -> None:
        failed = self.machine.course.script_fails or order.fault
        text = f"[Tocsin] a simulated machine: {order.on_create} of {order.source} is not run"
        self._report(ScriptOutput(n=0, work=order.work, lines=((self._now_ms(), text),)))
        outcome, code = ("failed", 1) if failed else ("succeeded", 0)
        ended = ScriptEnded(
            n=0, work=order.work, at_ms=self._now_ms(), outcome=outcome, exit_code=code, detail=order.fault
        )
        self._report(ended)

    def _end_check(self, order: RunDeepCheck) -> None:
        """Well, unless it was drawn or asked for: a machine of numbers has nothing that could be measured."""
        drawn = "a simulated machine: this check was drawn to fail" if self.machine.course.check_fails else ""
        fault = order.fault or drawn
        outcome, detail = ("failed", fault) if fault else ("passed", "a simulated machine: nothing is run")
        results = tuple(
            CheckResult(kind=kind, test="simulated", outcome=outcome, detail=detail) for kind in order.kinds
        )
        self._report(CheckEnded(n=0, work=order.work, at_ms=self._now_ms(), results=results))

    def _end_reset(self, order: RunGpuReset) -> None:
        """It fails on this boot if that was drawn: the next rung is a reboot, which draws anew."""
        failed = (
            "a simulated machine: resets were drawn to fail on this boot" if self.machine.course.reset_fails else ""
        )
        self._report(GpuResetEnded(n=0, work=order.work, at_ms=self._now_ms(), failed=failed))

    def _report(self, report: Report) -> None:
        self._filed += 1
        self.outbox.append(replace(report, n=self._filed))
        if len(self.outbox) == 1:
            self._agents.reported(self)

    def _now_ms(self) -> int:
        return epoch_ms(self._agents.clock.now())

    def _after(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        def ring() -> None:
            self._timers.discard(timer)
            if not seconds:
                self._at_once -= 1
                self._agents.at_once -= 1
            act(*arguments)

        timer = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers.add(timer)
        if not seconds:
            self._at_once += 1
            self._agents.at_once += 1


class _Seen(Mapping[str, LinkSeen]):
    """The links as they are when they are asked for. One that is up was heard just now: beats are not played."""

    def __init__(self, agents: Mapping[str, NumberAgent], clock: Clock) -> None:
        self._agents = agents
        self._clock = clock

    def __getitem__(self, instance_id: str) -> LinkSeen:
        agent = self._agents[instance_id]
        if agent.since_connected is not None:
            now = self._clock.now()
            linked, works = agent.since_connected, agent.ordered
            return LinkSeen(connected=True, since=linked, heard=now, ordered=works, resets=True)
        if agent.since_lost is None:
            raise KeyError(instance_id)
        return LinkSeen(connected=False, since=agent.since_lost, heard=agent.since_lost)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, one in self._agents.items() if one.since_connected or one.since_lost])

    def __len__(self) -> int:
        return sum(1 for _ in self)
