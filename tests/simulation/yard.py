"""The simulated machines of a storm: courses drawn from its misfortune, and agents that speak frames.

The machines are those of machines/simulated; the agents come in by the real nodes door. They keep the session law of
core/link; what they lose when they die is what a real one loses.
"""

import asyncio
import contextlib
import random
from collections import Counter
from typing import Protocol

import msgspec
from msgspec.structs import replace
from starlette.websockets import WebSocketDisconnect

from tocsin.core.link import Line, Session, at_rest, beyond, file, hear
from tocsin.machines.simulated import Course, SimulatedMachine, SimulatedMachines
from tocsin.model.health import Finding
from tocsin.model.link import (
    Beat,
    Found,
    FromAgent,
    Halt,
    Hello,
    Report,
    RunScript,
    ScriptEnded,
    ScriptOutput,
    ScriptStarted,
    ToAgent,
    Welcome,
)
from tocsin.model.machine import LaunchOrder, MachineState

LAUNCHES_FAIL, SCRIPTS_FAIL = 0.1, 0.05
LINES = 3  # of a script's output, each "<boot>/<number>"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToAgent).decode


class Faults:
    """How likely what goes wrong goes wrong. All zero: healed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.on = True

    def strike(self, likelihood: float) -> bool:
        return self.on and self.chance.random() < likelihood


class Cut(Exception):
    """The connection is gone."""


class Wire:
    """One connection. The server's end looks like a Starlette WebSocket. What is under way when it is cut is lost.

    Once `mute` it is half open: nothing arrives any more, and neither end hears of the other's end.
    """

    def __init__(self) -> None:
        self.mute = False
        self._up: asyncio.Queue[str] = asyncio.Queue()
        self._down: asyncio.Queue[str] = asyncio.Queue()
        self._up_cut = self._down_cut = False

    def cut_by_agent(self) -> None:
        self._down_cut = True
        self._down.put_nowait("")
        if not self.mute:
            self.cut_by_server()

    def cut_by_server(self) -> None:
        self._up_cut = True
        self._up.put_nowait("")
        if not self.mute and not self._down_cut:
            self.cut_by_agent()

    # the server's end
    async def accept(self) -> None: ...

    async def receive_text(self) -> str:
        text = "" if self._up_cut else await self._up.get()
        if self._up_cut:
            raise WebSocketDisconnect(1006)
        return text

    async def send_text(self, text: str) -> None:
        if self._up_cut:
            raise WebSocketDisconnect(1006)
        if not self.mute:
            self._down.put_nowait(text)

    async def close(self, code: int = 1000) -> None:
        self.cut_by_server()

    # the agent's end
    async def receive(self) -> ToAgent:
        text = "" if self._down_cut else await self._down.get()
        if self._down_cut:
            raise Cut
        frame: ToAgent = _decode(text)
        return frame

    def send(self, frame: FromAgent) -> None:
        if self._down_cut:
            raise Cut
        if not self.mute:
            self._up.put_nowait(_encode(frame).decode())


class Server(Protocol):
    """What the yard needs of the server: None of it while it is down."""

    def connect(self, wire: Wire) -> bool:
        """Serve a connection; False when nobody listens."""

    def changed(self, instance_id: str) -> None: ...


class FrameAgent:
    """The agent of one instance. `session` is its disk, `boots` counts its starts, `lost_until` cuts its network."""

    def __init__(self, yard: "Yard", machine: SimulatedMachine) -> None:
        self.machine = machine
        self.session = Session()
        self.boots = 0
        self.lost_until = 0.0
        self.wire: Wire | None = None
        self.runs: Counter[tuple[int, str]] = Counter()  # (boot, work) -> times begun
        self.ended_works: Counter[str] = Counter()
        self.found: list[str] = []  # texts of its findings, in order
        self._yard = yard
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def order(self) -> LaunchOrder:
        assert self.machine.order is not None, "it was launched"
        return self.machine.order

    def boot(self, course: Course) -> None:
        self.boots += 1
        self.session = at_rest(self.session)
        self._tasks = [asyncio.create_task(self._live(course.boot_s))]

    def halt(self) -> None:
        """The agent ends, with all it has in hand."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        if self.wire:
            self.wire.cut_by_agent()

    async def _live(self, boot_s: float) -> None:
        chance = self._yard.faults.chance
        await asyncio.sleep(boot_s)
        while True:
            wire = Wire()
            if asyncio.get_running_loop().time() >= self.lost_until and self._yard.server.connect(wire):
                self.wire = wire
                with contextlib.suppress(Cut):
                    await self._visit(wire)
                    self._yard.machines.kill(self.order.instance_id)  # the server ended it
                    return
            await asyncio.sleep(chance.uniform(0.1, 1.0))

    async def _visit(self, wire: Wire) -> None:
        """Until the server says Halt; Cut when the connection ends before."""
        self._line = Line()
        hello = Hello(
            instance_id=self.order.instance_id, token=self.order.token, boot=str(self.boots), version="0", pid=1
        )
        wire.send(hello)
        talking = asyncio.create_task(self._talk(wire))
        try:
            while True:
                frame = await wire.receive()
                await asyncio.sleep(self._yard.faults.chance.uniform(0, 0.02))
                heard = hear(self.session, self._line, frame)
                self.session, self._line = heard.session, heard.line
                if isinstance(frame, Welcome):
                    self._news.set()
                for order in heard.orders:
                    if isinstance(order, Halt):
                        return
                    if isinstance(order, RunScript):
                        self._tasks.append(asyncio.create_task(self._script(order)))
        finally:
            talking.cancel()
            wire.cut_by_agent()

    async def _talk(self, wire: Wire) -> None:
        with contextlib.suppress(Cut):
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), self._yard.beat_interval_s)
                self._news.clear()
                if not self._line.beat_interval_s:
                    continue  # not welcome yet
                wire.send(Beat())
                for report in beyond(self.session, self._line.sent):
                    self._line = replace(self._line, sent=report.n)
                    wire.send(report)
        wire.cut_by_agent()

    async def _script(self, order: RunScript) -> None:
        faults = self._yard.faults
        self.runs[self.boots, order.work] += 1
        self._file(ScriptStarted(n=0, work=order.work, at_ms=0))
        for number in range(LINES):
            await asyncio.sleep(faults.chance.uniform(0, 2))
            self._file(ScriptOutput(n=0, work=order.work, lines=((0, f"{self.boots}/{number}"),)))
        outcome = "failed" if faults.strike(SCRIPTS_FAIL) else "succeeded"
        self.ended_works[order.work] += 1
        self._file(ScriptEnded(n=0, work=order.work, at_ms=0, outcome=outcome, exit_code=0))

    def find(self, fault: str, code: int, text: str, *, over: bool = False) -> None:
        """A finding of the node's agent. It is on the disk before it is sent."""
        self.found.append(text)
        finding = Finding(fault=fault, code=code, at_ms=0, text=text, source="kmsg", over=over)
        self._file(Found(n=0, finding=finding))

    def _file(self, report: Report) -> None:
        self.session = file(self.session, report)
        self._news.set()


class StormCourses:
    """Boots as misfortune has them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def draw(self, order: LaunchOrder) -> Course:
        if self._faults.strike(LAUNCHES_FAIL):
            raise OSError("no machine to be had")
        chance = self._faults.chance
        return Course(order_s=chance.uniform(0, 0.4), boot_s=chance.uniform(0.05, 1.0), end_s=chance.uniform(0.05, 2))


class Yard:
    """Machines that outlive the server, and their agents, those of machines that are gone as well."""

    def __init__(self, faults: Faults, server: Server, beat_interval_s: float) -> None:
        self.faults = faults
        self.server = server
        self.beat_interval_s = beat_interval_s
        self.machines = SimulatedMachines(StormCourses(faults), self._agent_of, server.changed)
        self.agents: dict[str, FrameAgent] = {}

    def _agent_of(self, machine: SimulatedMachine) -> FrameAgent:
        agent = self.agents[machine.instance_id] = FrameAgent(self, machine)
        return agent

    def seen(self) -> dict[str, MachineState]:
        return dict(self.machines.seen())

    def park(self) -> None:
        """All machines are put to rest, as a server does that is asked to stop."""
        self.machines.park()

    def running(self) -> list[FrameAgent]:
        return [self.agents[machine.instance_id] for machine in self.machines.running()]
