"""Providers under the conformance suite of the Machines port, each with what a test does to its machines."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.harness import WAIT_S
from tocsin.backends.sqlite import SqliteStore
from tocsin.machines.hosts import HostMachines
from tocsin.machines.local import LocalMachines
from tocsin.machines.simulated import Course, SeededCourses, SimulatedMachine, SimulatedMachines, SimulatedSettings
from tocsin.model.host import Host, InventoryHost, JoinToken
from tocsin.model.hostlink import HostLaunch, HostOrder, HostReboot, HostRefused, HostSeen, HostTerminate, ToHost
from tocsin.model.machine import LaunchOrder, MachineState
from tocsin.ports import Machines
from tocsin.server.clock import SystemClock
from tocsin.services.hosts import Hosts

TINY = [sys.executable, "-S", "-E", str(Path(__file__).with_name("tiny_agent.py"))]
ONE, TWO = "i-00000000000000001", "i-00000000000000002"


def launch(instance_id: str = ONE) -> LaunchOrder:
    return LaunchOrder(
        instance_id=instance_id,
        cluster_name="c",
        group="workers",
        instance_type="ml.p5.48xlarge",
        address="127.64.0.1",
        token="hush",
    )


class AnyYard(Protocol):
    """One provider after the other over the same machines, and the news of their ends."""

    changed: list[str]

    @property
    def machines(self) -> Machines: ...

    async def next_provider(self) -> Mapping[str, MachineState]:
        """What the next server's provider sees."""

    async def boot(self, instance_id: str = ONE) -> None:
        """Launch and wait until the agent lives."""

    def boots(self, instance_id: str = ONE) -> int:
        """How many agents of the machine lived."""

    def kill(self, instance_id: str = ONE) -> None:
        """End the machine without asking anybody."""

    def stored(self, instance_id: str = ONE) -> int:
        """How many boots the machine's disk remembers; -1 without a disk."""

    def left(self) -> int:
        """How many machines have left something behind."""

    async def rest(self) -> None:
        """Stop in good order."""

    async def until(self, true: Callable[[], bool]) -> None: ...

    def is_(self, state: MachineState | None, instance_id: str = ONE) -> Callable[[], bool]: ...


class News:
    """What yards have in common: the ends of their machines, and waiting for whatever happens."""

    machines: Any

    def __init__(self) -> None:
        self.changed: list[str] = []
        self._news = asyncio.Condition()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(true)

    def is_(self, state: MachineState | None, instance_id: str = ONE) -> Callable[[], bool]:
        return lambda: self.machines.seen().get(instance_id) is state

    def _changed(self, instance_id: str) -> None:
        self.changed.append(instance_id)
        self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        self._telling = asyncio.ensure_future(tell())


class Yard(News):
    """Providers over one folder, one after the other, and the news of their agents."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.root = folder / "machines"
        super().__init__()
        self.booted: dict[str, list[int]] = defaultdict(list)  # process ids, by instance
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._place = tempfile.TemporaryDirectory(prefix="yard-", dir="/tmp")  # a socket's name has 108 bytes at most
        news = f"{self._place.name}/news"
        self._told.bind(news)
        self._command = [*TINY, news, *options]
        asyncio.get_running_loop().add_reader(self._told, self._hear)
        self.machines = self.provider()

    def provider(self, command: list[str] | None = None) -> LocalMachines:
        return LocalMachines(self.root, lambda: "http://127.0.0.1:9", self._changed, command or self._command)

    async def next_provider(self) -> Mapping[str, MachineState]:
        self.machines = self.provider()
        await self.machines.start()
        return dict(self.machines.seen())

    async def launch(self, instance_id: str = ONE) -> int:
        """Launch and wait until the agent lives; returns its process id."""
        before = len(self.booted[instance_id])
        await self.machines.launch(launch(instance_id))
        await self.until(lambda: len(self.booted[instance_id]) > before)
        return self.booted[instance_id][-1]

    async def boot(self, instance_id: str = ONE) -> None:
        await self.launch(instance_id)

    def boots(self, instance_id: str = ONE) -> int:
        return len(self.booted[instance_id])

    def kill(self, instance_id: str = ONE) -> None:
        os.kill(self.booted[instance_id][-1], signal.SIGKILL)

    def stored(self, instance_id: str = ONE) -> int:
        file = self.root / instance_id / "boots"
        return len(file.read_text().splitlines()) if file.exists() else -1

    def left(self) -> int:
        return len(list(self.root.iterdir()))

    async def rest(self) -> None:
        await self.machines.close(detach=False)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._told)
        self._told.close()
        self._place.cleanup()

    def _hear(self) -> None:
        instance_id, pid = self._told.recv(200).decode().split()
        self.booted[instance_id].append(int(pid))
        self._tell()


@asynccontextmanager
async def a_yard(folder: Path, *options: str) -> AsyncIterator[Yard]:
    place = Yard(folder, *options)
    await place.machines.start()
    try:
        async with asyncio.timeout(WAIT_S):
            yield place
    finally:
        await place.machines.close(detach=False)
        place.close()


class NumberYard(News):
    """Simulated machines, whose agents count their boots."""

    def __init__(self) -> None:
        super().__init__()
        self._booted: Counter[str] = Counter()
        self._disks: dict[str, int] = {}
        self.machines = self._provider()

    def _provider(self) -> SimulatedMachines:
        machines = SimulatedMachines(SeededCourses(SimulatedSettings(speed=20)), self._agent_of, self._changed)
        machines.gone = lambda machine: self._disks.__delitem__(machine.instance_id)
        return machines

    def _agent_of(self, machine: SimulatedMachine) -> "CountingAgent":
        return CountingAgent(self._count, machine.instance_id)

    def _count(self, instance_id: str) -> None:
        self._booted[instance_id] += 1
        self._disks[instance_id] = self._disks.get(instance_id, 0) + 1

    async def next_provider(self) -> Mapping[str, MachineState]:
        known = list(self.machines.seen())
        self.machines = self._provider()
        self.machines.start(known)
        return dict(self.machines.seen())

    async def boot(self, instance_id: str = ONE) -> None:
        await self.machines.launch(launch(instance_id))

    def boots(self, instance_id: str = ONE) -> int:
        return self._booted[instance_id]

    def kill(self, instance_id: str = ONE) -> None:
        self.machines.kill(instance_id)

    def stored(self, instance_id: str = ONE) -> int:
        return self._disks.get(instance_id, -1)

    def left(self) -> int:
        return len(self._disks)

    async def rest(self) -> None:
        self.machines.close()


class CountingAgent:
    def __init__(self, count: Callable[[str], None], instance_id: str) -> None:
        self._count = count
        self._instance_id = instance_id

    def boot(self, _course: Course) -> None:
        self._count(self._instance_id)

    def halt(self) -> None: ...


@asynccontextmanager
async def a_number_yard(_folder: Path) -> AsyncIterator[NumberYard]:
    async with asyncio.timeout(WAIT_S):
        yield NumberYard()


class OneHost(Yard):
    """A host: machines on this machine, that do what the server's end says and tell what they are."""

    def __init__(self, folder: Path, tell: Callable[[], None]) -> None:
        self._tell_all = tell
        super().__init__(folder)
        self.news = asyncio.Event()

    def _changed(self, instance_id: str) -> None:
        self.news.set()

    def _tell(self) -> None:
        self._tell_all()

    async def serve(self, machines: HostMachines, name: str) -> None:
        """Be linked to the server, for ever."""
        queue, done = machines.came(name), 0
        getting: asyncio.Task[ToHost] = asyncio.create_task(queue.get())
        while True:
            await machines.heard(name, HostSeen(machines=dict(self.machines.seen()), done=done))
            self.news.clear()
            self._tell_all()
            news = asyncio.create_task(self.news.wait())
            await asyncio.wait([getting, news], return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if getting.done():
                order = getting.result()
                assert not isinstance(order, HostRefused)
                await self._obey(order)
                done, getting = order.n, asyncio.create_task(queue.get())

    async def _obey(self, order: HostOrder) -> None:
        match order:
            case HostLaunch():
                await self.machines.launch(launch(order.instance_id))
            case HostTerminate():
                await self.machines.terminate(order.instance_id)
            case HostReboot():
                await self.machines.reboot(order.instance_id)


class HostYard(News):
    """Real hosts, three of them, each with processes and a directory of its own."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        super().__init__()
        self._store = store
        self._serving: list[asyncio.Task[None]] = []
        self._hosts = {name: OneHost(folder / name, self._tell) for name in ("h-1", "h-2", "h-3")}

    async def start(self) -> None:
        inventory = [InventoryHost(name=name, address="", instance_type=launch().instance_type) for name in self._hosts]
        pool = Hosts(self._store, SystemClock(), inventory, lambda: str(len(self._serving)))
        await pool.load()
        self.machines = HostMachines(pool, SystemClock(), lambda _: None, self._changed)
        for name, host in self._hosts.items():
            if pool.host(name) is None:
                await pool.join((await pool.create_token(name, 60, once=True))[1], name)
            await host.machines.start()
            self._serving.append(asyncio.create_task(host.serve(self.machines, name)))
        await self.until(lambda: all(self.machines.told(name) for name in self._hosts))

    async def stop(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._serving.clear()
        for host in self._hosts.values():
            await host.machines.close(detach=False)

    async def next_provider(self) -> Mapping[str, MachineState]:
        for host in self._hosts.values():
            host.machines = host.provider()
        await self.start()
        return dict(self.machines.seen())

    async def boot(self, instance_id: str = ONE) -> None:
        before = self.boots(instance_id)
        await self.machines.launch(launch(instance_id))
        await self.until(lambda: self.boots(instance_id) > before)

    def boots(self, instance_id: str = ONE) -> int:
        return sum(host.boots(instance_id) for host in self._hosts.values())

    def kill(self, instance_id: str = ONE) -> None:
        next(host for host in self._hosts.values() if host.boots(instance_id)).kill(instance_id)

    def stored(self, instance_id: str = ONE) -> int:
        return max(host.stored(instance_id) for host in self._hosts.values())

    def left(self) -> int:
        return sum(host.left() for host in self._hosts.values())

    async def rest(self) -> None:
        await self.stop()

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()


@asynccontextmanager
async def a_host_yard(folder: Path) -> AsyncIterator[HostYard]:
    for name in ("h-1", "h-2", "h-3"):
        (folder / name).mkdir()
    store = await SqliteStore.open(folder / "store", (Host, JoinToken), synced=False)
    yard = HostYard(folder, store)
    await yard.start()
    try:
        async with asyncio.timeout(WAIT_S):
            yield yard
    finally:
        await yard.stop()
        yard.close()
        await store.close()
