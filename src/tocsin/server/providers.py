"""Where instances come from, by the setting `machines.provider`: machines, their links, and what keeps them going."""

import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from msgspec import Struct
from starlette.routing import BaseRoute

from tocsin.core.commit import World
from tocsin.core.faults import Catalogue
from tocsin.doors.hosts import HostsDoor
from tocsin.machines.hosts import HostMachines
from tocsin.machines.local import LocalMachines
from tocsin.machines.simulated import NumberAgents, SeededCourses, SimulatedMachines
from tocsin.model.cluster import Node
from tocsin.model.link import Report
from tocsin.ports import Clock, Machines, NodeLinks, Store
from tocsin.server.inventory import load_inventory
from tocsin.server.settings import Settings
from tocsin.services.hosts import Hosts


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a provider needs of the server around it."""

    endpoint: str
    links: NodeLinks
    store: Store
    clock: Clock
    changed: Callable[[str], None]
    take: Callable[[str, Report], Awaitable[None]]
    heard_through: Callable[[str], int]
    node: Callable[[str], tuple[World, Node] | None]
    new_id: Callable[[], str]
    catalogue: Catalogue


class Provider(Protocol):
    """Machines and the links to their agents. `loops` run as long as the server does."""

    machines: Machines
    links: NodeLinks
    loops: list[Coroutine[Any, Any, None]]
    hosts: Hosts | None

    def routes(self) -> list[BaseRoute]:
        """What it serves beside the doors."""

    def linked(self, host: str) -> bool:
        """Whether a host is linked now."""

    def domain(self, instance_id: str) -> str:
        """What an instance fails together with: its rack, say; "" where nobody knows."""

    def labels(self, instance_id: str) -> Mapping[str, str]:
        """What an inventory says of the instance's host."""

    @property
    def idle(self) -> bool:
        """Whether nothing is left to come without time passing."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class WithoutHosts:
    """What providers have in common that make machines themselves."""

    hosts: Hosts | None = None

    def routes(self) -> list[BaseRoute]:
        return []

    def linked(self, _host: str) -> bool:
        return False

    def domain(self, _instance_id: str) -> str:
        return ""

    def labels(self, _instance_id: str) -> Mapping[str, str]:
        return {}


class LocalProvider(WithoutHosts):
    """Agents that are processes on this machine, and come in through the nodes door."""

    idle = True

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._local = LocalMachines(settings.data / "machines", lambda: around.endpoint, around.changed)
        self._detach = settings.detach_agents
        self.machines: Machines = self._local
        self.links = around.links
        self.loops: list[Coroutine[Any, Any, None]] = []

    async def start(self) -> None:
        await self._local.start()

    async def close(self) -> None:
        await self._local.close(detach=self._detach)


class SimulatedProvider(WithoutHosts):
    """Agents that are numbers in this process."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._agents = NumberAgents(around.clock, around.take, around.changed, around.heard_through, around.catalogue)
        courses = SeededCourses(settings.simulated)
        self._simulated = SimulatedMachines(courses, self._agents.agent_of, around.changed)
        self._simulated.gone = self._agents.forget
        self._store = around.store
        self._racks = settings.simulated.racks
        self.machines: Machines = self._simulated
        self.links: NodeLinks = self._agents
        self.loops = [self._agents.run()]

    def domain(self, instance_id: str) -> str:
        """They are spread over their racks by their ids, so that a restart finds them where they were."""
        return f"rack-{zlib.crc32(instance_id.encode()) % self._racks + 1}" if self._racks else ""

    @property
    def idle(self) -> bool:
        return self._agents.idle and not self._simulated.at_once

    async def start(self) -> None:
        self._simulated.start([node.instance_id for node in await self._store.find(Node)])

    async def close(self) -> None:
        self._simulated.close()


class HostsProvider:
    """Agents on real hosts, which come in through a door of their own."""

    idle = True

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        inventory = load_inventory(settings.machines.inventory)
        self._pool = Hosts(around.store, around.clock, inventory, around.new_id)
        self._machines = HostMachines(self._pool, around.clock, around.node, around.changed)
        self.hosts: Hosts | None = self._pool
        self._label = settings.health.domain_label
        self.machines: Machines = self._machines
        self.links = around.links
        self.loops: list[Coroutine[Any, Any, None]] = []

    def routes(self) -> list[BaseRoute]:
        return HostsDoor(self._pool, self._machines).routes()

    def linked(self, host: str) -> bool:
        return self._machines.is_there(host)

    def domain(self, instance_id: str) -> str:
        return self.labels(instance_id).get(self._label, "")

    def labels(self, instance_id: str) -> Mapping[str, str]:
        host = self._pool.inventory.get(self._pool.instances().get(instance_id, ""))
        return host.labels if host else {}

    async def start(self) -> None:
        await self._pool.load()

    async def close(self) -> None:
        """Hosts live on without us."""


PROVIDERS: dict[str, Callable[[Settings, Surroundings], Provider]] = {
    "local": LocalProvider,
    "simulated": SimulatedProvider,
    "hosts": HostsProvider,
}
