"""`tocsin serve` on machines that are numbers, and whose agents come in by the real door: bench.links is they."""

from collections.abc import Coroutine
from typing import Any

from tocsin.cli import main
from tocsin.machines.simulated import Course, SeededCourses, SimulatedMachine, SimulatedMachines, SimulatedSettings
from tocsin.ports import Machines
from tocsin.server import providers
from tocsin.server.providers import Surroundings, WithoutHosts
from tocsin.server.settings import Settings


class Nobody:
    """The agent of a machine, as far as the machine knows."""

    def __init__(self, _machine: SimulatedMachine) -> None: ...

    def boot(self, course: Course) -> None: ...

    def halt(self) -> None: ...


class BareProvider(WithoutHosts):
    idle = True

    def __init__(self, _settings: Settings, around: Surroundings) -> None:
        courses = SeededCourses(SimulatedSettings(speed=0))
        self.machines: Machines = SimulatedMachines(courses, Nobody, around.changed)
        self.links = around.links
        self.loops: list[Coroutine[Any, Any, None]] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...


if __name__ == "__main__":
    providers.PROVIDERS["local"] = BareProvider
    main()
