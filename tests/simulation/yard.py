"""Simulated machines and their agents: the Machines port, and the agents' end of the real nodes door.

Agents keep the session law of core/link; what they lose when they die is what a real one loses.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec.structs import replace
from starlette.websockets import WebSocketDisconnect

from tocsin.core.link import Line, Session, at_rest, beyond, file, hear
from tocsin.model.link import (
    Beat,
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


class Machine:
    """One instance and its agent. `session` is its disk, `boots` counts its starts, `lost_until` cuts its network."""

    def __init__(self, yard: "Yard", order: LaunchOrder) -> None:
        self.order = order
        self.state = MachineState.RUNNING
        self.session = Session()
        self.boots = 0
        self.lost_until = 0.0
        self.wire: Wire | None = None
        self.runs: Counter[tuple[int, str]] = Counter()  # (boot, work) -> times begun
        self.ended_works: Counter[str] = Counter()
        self._yard = yard
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def boot(self) -> None:
        self.boots += 1
        self.state = MachineState.RUNNING
        self.session = at_rest(self.session)
        self._tasks = [asyncio.create_task(self._live())]

    def halt(self, state: MachineState) -> None:
        """The agent ends, with all it has in hand."""
        self.state = state
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        if self.wire:
            self.wire.cut_by_agent()

    async def _live(self) -> None:
        chance = self._yard.faults.chance
        await asyncio.sleep(chance.uniform(0.05, 1.0))
        while True:
            wire = Wire()
            if asyncio.get_running_loop().time() >= self.lost_until and self._yard.server.connect(wire):
                self.wire = wire
                with contextlib.suppress(Cut):
                    await self._visit(wire)
                    self.halt(MachineState.DEAD)  # the server ended it
                    self._yard.server.changed(self.order.instance_id)
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
        outcome = "failed" if faults.strike(self._yard.scripts_fail) else "succeeded"
        self.ended_works[order.work] += 1
        self._file(ScriptEnded(n=0, work=order.work, at_ms=0, outcome=outcome, exit_code=0))

    def _file(self, report: Report) -> None:
        self.session = file(self.session, report)
        self._news.set()


class Yard:
    """The Machines port. Machines outlive the server."""

    scripts_fail = 0.05
    launches_fail = 0.1

    def __init__(self, faults: Faults, server: Server, beat_interval_s: float) -> None:
        self.faults = faults
        self.server = server
        self.beat_interval_s = beat_interval_s
        self.machines: dict[str, Machine] = {}
        self.gone: list[Machine] = []
        self._ending: set[asyncio.Task[None]] = set()

    def seen(self) -> Mapping[str, MachineState]:
        return {key: machine.state for key, machine in self.machines.items()}

    async def launch(self, order: LaunchOrder) -> None:
        await asyncio.sleep(self.faults.chance.uniform(0, 0.2))
        machine = self.machines.get(order.instance_id)
        if machine and machine.state is MachineState.RUNNING:
            return
        if machine and machine.state is MachineState.ENDING:
            raise OSError("it is being terminated")
        if self.faults.strike(self.launches_fail):
            raise OSError("no machine to be had")
        if machine is None:
            machine = self.machines[order.instance_id] = Machine(self, order)
        machine.boot()
        await asyncio.sleep(self.faults.chance.uniform(0, 0.2))

    async def terminate(self, instance_id: str) -> None:
        machine = self.machines.get(instance_id)
        if machine is None or machine.state is MachineState.ENDING:
            return
        machine.halt(MachineState.ENDING)
        task = asyncio.create_task(self._end(instance_id))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, instance_id: str) -> None:
        await asyncio.sleep(self.faults.chance.uniform(0.05, 2))
        self.gone.append(self.machines.pop(instance_id))
        self.server.changed(instance_id)

    def park(self) -> None:
        """All machines are put to rest, as a server does that is asked to stop."""
        for machine in self.running():
            machine.halt(MachineState.STOPPED)

    def running(self) -> list[Machine]:
        return [one for one in self.machines.values() if one.state is MachineState.RUNNING]

    def all_there_were(self) -> list[Machine]:
        return [*self.gone, *self.machines.values()]
