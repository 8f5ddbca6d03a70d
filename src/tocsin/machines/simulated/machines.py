"""The Machines port on numbers: states and the times between them. Who speaks for a machine is its agent's affair.

The fleet calls it; `changed` tells the fleet that a machine came to its end. Time is the event loop's, so a loop with
virtual time plays a year in a second.
"""

import asyncio
import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from tocsin.machines.simulated.course import Course, Courses
from tocsin.model.machine import LaunchOrder, MachineState


class Agent(Protocol):
    """What runs on a machine. It has the machine's disk in hand: it stays the same from boot to boot."""

    def boot(self, course: Course) -> None:
        """Come up, sometime."""

    def halt(self) -> None:
        """End at once, with all that is in hand."""


class SimulatedMachine:
    """One instance. A machine that only the records know, from before the server's start, has no order yet."""

    def __init__(self, instance_id: str, state: MachineState) -> None:
        self.instance_id = instance_id
        self.state = state
        self.order: LaunchOrder | None = None
        self.course = Course()
        self.agent: Agent | None = None
        self.dies: asyncio.TimerHandle | None = None

    def boot(self, order: LaunchOrder, course: Course, agent_of: "AgentOf", dies: Callable[[str], None]) -> None:
        self.order, self.course, self.state = order, course, MachineState.RUNNING
        self.agent = self.agent or agent_of(self)
        self.agent.boot(course)
        if course.lives_s:
            self.dies = asyncio.get_running_loop().call_later(course.lives_s, dies, self.instance_id)

    def halt(self, state: MachineState) -> None:
        """The machine stops, and its agent with it."""
        self.state = state
        if self.dies:
            self.dies.cancel()
        if self.agent:
            self.agent.halt()


AgentOf = Callable[[SimulatedMachine], Agent]


class SimulatedMachines:
    """`agent_of` makes the agent of a new machine, `courses` says how each boot goes."""

    def __init__(self, courses: Courses, agent_of: AgentOf, changed: Callable[[str], None]) -> None:
        self.machines: dict[str, SimulatedMachine] = {}
        self.gone: Callable[[SimulatedMachine], None] = lambda _: None
        self._courses = courses
        self._agent_of = agent_of
        self._changed = changed
        self._seen = _Seen(self.machines)
        self._closed = False
        self.at_once = 0  # machines that end at once: with a speed of 0, all that end

    def start(self, known: Iterable[str]) -> None:
        """Have the machines of an earlier server again, at rest: they are no more than what the records tell."""
        for instance_id in known:
            self.machines[instance_id] = SimulatedMachine(instance_id, MachineState.STOPPED)

    def close(self) -> None:
        """Put all machines to rest, and launch no more."""
        self._closed = True
        self.park()

    def park(self) -> None:
        """Put all machines to rest. A launch boots them again."""
        for machine in self.running():
            machine.halt(MachineState.STOPPED)

    def seen(self) -> Mapping[str, MachineState]:
        return self._seen

    def running(self) -> list[SimulatedMachine]:
        return [machine for machine in self.machines.values() if machine.state is MachineState.RUNNING]

    async def launch(self, order: LaunchOrder) -> None:
        if self._runs(order.instance_id):
            return
        course = self._courses.draw(order)
        if course.order_s:
            await asyncio.sleep(course.order_s)
            if self._runs(order.instance_id):
                return
        new = SimulatedMachine(order.instance_id, MachineState.RUNNING)
        machine = self.machines.setdefault(order.instance_id, new)
        machine.boot(order, course, self._agent_of, self.kill)

    def _runs(self, instance_id: str) -> bool:
        machine = self.machines.get(instance_id)
        if self._closed or (machine and machine.state is MachineState.ENDING):
            raise OSError(errno.EBUSY, f"{instance_id} is being terminated")
        return machine is not None and machine.state is MachineState.RUNNING

    async def terminate(self, instance_id: str) -> None:
        machine = self.machines.get(instance_id)
        if machine is None or machine.state is MachineState.ENDING:
            return
        machine.halt(MachineState.ENDING)
        self.at_once += not machine.course.end_s
        asyncio.get_running_loop().call_later(machine.course.end_s, self._end, instance_id)

    async def reboot(self, instance_id: str) -> None:
        """Same machine, same disk, another boot."""
        machine = self.machines.get(instance_id)
        if self._closed or machine is None or machine.state is MachineState.ENDING or machine.order is None:
            raise OSError(errno.ENODEV, f"cannot reboot '{instance_id}' now")
        machine.halt(MachineState.RUNNING)
        machine.boot(machine.order, self._courses.draw(machine.order), self._agent_of, self.kill)

    def kill(self, instance_id: str) -> None:
        """The machine ends without being asked to."""
        machine = self.machines.get(instance_id)
        if machine is not None and machine.state is MachineState.RUNNING:
            machine.halt(MachineState.DEAD)
            self._changed(instance_id)

    def _end(self, instance_id: str) -> None:
        machine = self.machines.pop(instance_id)
        self.at_once -= not machine.course.end_s
        self.gone(machine)
        self._changed(instance_id)


class _Seen(Mapping[str, MachineState]):
    """The machines' states, read when they are asked for: a copy would cost the whole fleet at every plan."""

    def __init__(self, machines: Mapping[str, SimulatedMachine]) -> None:
        self._machines = machines

    def __getitem__(self, instance_id: str) -> MachineState:
        return self._machines[instance_id].state

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._machines))

    def __len__(self) -> int:
        return len(self._machines)
