"""The real fleet, bus and nodes door on virtual time, from a seed: faults on, then healed, then all must converge.

TOCSIN_SIMULATION_SEEDS=1000 runs more seeds; TOCSIN_SIMULATION_SEED=17 plays one again.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from starlette.websockets import WebSocket

from tests.auditing import read_state, read_world
from tests.commands.desk import commands_over, extensions_over
from tests.core.world import SCOPE, group_spec
from tests.faults.table import CATALOGUE
from tests.simulation.virtual import VirtualClock, VirtualLoop, run
from tests.simulation.yard import LINES, Faults, FrameAgent, Wire, Yard
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.audit import Note, audit, unrest
from tocsin.core.batches import DELETE, REBOOT, REPLACE
from tocsin.core.policy import FleetPolicy
from tocsin.doors.links import Links
from tocsin.doors.nodes import NodesDoor
from tocsin.model.changes import Change, Put
from tocsin.model.errors import AwsError, Stale, StoreUnavailable, TocsinError
from tocsin.model.event import Event, Journaled, envelope
from tocsin.model.logs import LogGroup, LogQuery
from tocsin.model.machine import MachineState
from tocsin.model.names import DEFAULT_BUS, cluster_id, derived_uuid, log_group_arn
from tocsin.model.rule import Rule, Target
from tocsin.ports import Store
from tocsin.server.kinds import KINDS
from tocsin.services.bus import Bus
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections
from tocsin.targets.loggroups import LogGroups

T = TypeVar("T")

SEEDS = int(os.environ.get("TOCSIN_SIMULATION_SEEDS", "30"))
ONE_SEED = os.environ.get("TOCSIN_SIMULATION_SEED")
STORM_S = 100.0  # faults are on for so long, in virtual time
CALM_S = 3000.0  # everything converges within this: a replacement pauses up to 300 s
POLICY = FleetPolicy(beat_interval_s=5.0, replacement_pause_max_s=60.0)
NAMES = ("alpha", "beta", "gamma")
GROUPS = ("controller", "workers", "extra")
ASKED = ("create", "create", "update", "update", "delete", "batch", "batch", "software", "add")
SHARED_MEMORY = "/dev/shm"
SOURCE = "my.jobs"
SEEN, JOBS = "/seen", "/jobs"


class ShakyStore:
    """A real store whose commits sometimes fail with nothing kept, as the port allows. `committed` is called after."""

    def __init__(self, store: SqliteStore, loop: VirtualLoop, faults: Faults) -> None:
        self._store = store
        self._loop = loop
        self._faults = faults
        self._under_way: set[asyncio.Task[None]] = set()
        self.committed: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def commit(self, *changes: Change) -> None:
        await self._hold_up()
        if self._faults.strike(0.05):
            raise StoreUnavailable("no space left on device")
        if self._faults.strike(0.03):
            raise Stale("somebody was faster")
        # A caller that goes away does not take its commit back.
        commit = asyncio.create_task(self._commit(changes))
        self._under_way.add(commit)
        commit.add_done_callback(self._under_way.discard)
        await asyncio.shield(commit)
        await self._hold_up()

    async def _hold_up(self) -> None:
        """Disks answer at once, mostly; sometimes they let everybody wait while agents hang up and call again."""
        await asyncio.sleep(self._faults.chance.uniform(0, 2.0 if self._faults.strike(0.1) else 0.01))

    async def _commit(self, changes: Iterable[Change]) -> None:
        with self._loop.real():
            await self._store.commit(*changes)
        if self.committed and len(self._under_way) == 1:  # else the world may change while it is read
            await self.committed()

    async def settled(self) -> None:
        """Every commit under way has come to its end."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def grown(self, after: int) -> None:
        await self._store.grown(after)

    def __getattr__(self, name: str) -> Any:
        """Reads: in a thread or here, they fail like commits do."""
        read = getattr(self._store, name)

        async def shaky(*args: Any, **more: Any) -> Any:
            if self._faults.strike(0.01):
                raise StoreUnavailable("disk I/O error")
            with self._loop.real():
                return await read(*args, **more)

        return shaky


class Simulation:
    """One server and its yard, client and misfortune. `notes` are the laws that were broken, and when."""

    def __init__(self, seed: int, loop: VirtualLoop, store: SqliteStore, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.faults = Faults(self.chance)
        self.real_store = store
        self.shaky = ShakyStore(store, loop, self.faults)
        self.store = cast("Store", self.shaky)
        self.yard = Yard(self.faults, self, POLICY.beat_interval_s)
        self.notes: list[tuple[float, Note]] = []
        self.accepted: list[str] = []
        self.refused: list[str] = []
        self.fell: list[BaseException] = []
        self.audits = 0
        self._directory = directory
        self._journal: tuple[Journaled, ...] = ()
        self._fleet: Fleet | None = None
        self._bus: Bus | None = None
        self._door: NodesDoor | None = None
        self._server: set[asyncio.Task[Any]] = set()
        self._wires: list[Wire] = []
        self._sent = 0
        self._findings = 0

    # The server.

    async def start(self) -> None:
        """A server on what there is. A start that the store fails is tried again, as its supervisor would."""
        while True:
            try:
                await self._assemble()
                return
            except TocsinError:
                self.crash()
                await asyncio.sleep(1)

    async def _assemble(self) -> None:
        links = Links()
        fleet = Fleet(
            store=self.store,
            machines=self.yard.machines,
            links=links,
            clock=self.clock,
            policy=POLICY,
            secret=b"secret",
            catalogue=CATALOGUE,
        )
        bus = Bus(store=self.store, clock=self.clock, targets={"logs": LogGroups(self.store)})
        await bus.load()
        await fleet.load()
        self._fleet, self._bus = fleet, bus
        commands = commands_over(self.store, self.clock, fleet, links)
        self._door = NodesDoor(
            fleet=fleet,
            commands=commands,
            extensions=extensions_over(self.store, self.clock, fleet, links, commands),
            injections=Injections(self.store, links, self.clock, lambda: "fault", fleet.keep),
            links=links,
            store=self.store,
            clock=self.clock,
            beat_interval_s=POLICY.beat_interval_s,
            catalogue=CATALOGUE,
        )
        self._spawn(self._loop_of(fleet.run()))
        self._spawn(self._loop_of(bus.run()))

    def crash(self) -> None:
        """kill -9: whatever was under way is forgotten; commits that the disk has got are kept."""
        self._fleet = self._bus = self._door = None
        for task in self._server:
            task.cancel()
        self._server.clear()
        for wire in self._wires:
            wire.cut_by_server()
        self._wires.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._server.add(task)
        task.add_done_callback(self._server.discard)

    async def _loop_of(self, loop: Coroutine[Any, Any, None]) -> None:
        """Loops run for ever: one that ends takes the server down."""
        try:
            await loop
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.fell.append(error)
            raise

    def connect(self, wire: Wire) -> bool:
        door = self._door
        if door is None:
            return False
        self._wires.append(wire)

        async def serve() -> None:
            # What escapes here is logged by uvicorn, which then closes the connection.
            with contextlib.suppress(TocsinError):
                await door._serve(cast("WebSocket", wire))
            wire.cut_by_server()

        self._spawn(serve())
        return True

    def changed(self, instance_id: str) -> None:
        if self._fleet:
            self._fleet.changed(instance_id)

    # The law.

    async def look(self) -> None:
        """Judge the world as the store has it after a commit."""
        place = self._journal[-1].seq if self._journal else 0
        self._journal += tuple(await self.real_store.journal(place, 10_000))
        self.judge(audit(await read_state(self.real_store, self._journal, self.yard.seen())))
        self.audits += 1

    def judge(self, notes: Iterable[Note]) -> None:
        self.notes += [(self.loop.moment, note) for note in notes]

    # The client.

    async def rules(self) -> None:
        for group, source in ((SEEN, "aws.sagemaker"), (JOBS, SOURCE)):
            target = Target(id="log", arn=log_group_arn(SCOPE, group), spec={})
            rule = Rule(scope=SCOPE, name=group.strip("/"), pattern=json.dumps({"source": [source]}), targets=(target,))
            with self.loop.real():
                await self.real_store.commit(Put(LogGroup(scope=SCOPE, name=group, created_ms=0)), Put(rule))

    async def ask(self) -> None:
        """One call of a client; that it is refused is none of our business."""
        fleet, name = self._fleet, self.chance.choice(NAMES)
        if fleet is None:
            return
        with contextlib.suppress(AwsError, Stale, StoreUnavailable):
            match self.chance.choice(
                ("create", "create", "update", "update", "delete", "batch", "batch", "software", "add")
            ):
                case "create":
                    recovery = self.chance.choice(({}, {"NodeRecovery": "Automatic"}, {"NodeRecovery": "None"}))
                    mode = self.chance.choice(({}, {"NodeProvisioningMode": "Continuous"}))
                    request = {"ClusterName": name, "InstanceGroups": self._groups(), **recovery, **mode}
                    await fleet.create(SCOPE, request, cluster_id(self.chance.randbytes(12)))
                case "update":
                    doomed = {"InstanceGroupsToDelete": [self.chance.choice(GROUPS)]}
                    grown = {"InstanceGroups": self._groups()}
                    await fleet.update(SCOPE, {"ClusterName": name, **self.chance.choice((doomed, grown))})
                case "delete":
                    if self.chance.random() < 0.4:
                        await fleet.delete(SCOPE, {"ClusterName": name})
                case "add":
                    added = {"InstanceGroupName": self.chance.choice(GROUPS), "IncrementTargetCountBy": 1}
                    await fleet.add_nodes(SCOPE, {"ClusterName": name, "NodesToAdd": [added]})
                case "software":
                    size = {"Type": "CAPACITY_PERCENTAGE", "Value": self.chance.choice((30, 100))}
                    config = {"RollingUpdatePolicy": {"MaximumBatchSize": size}, "WaitIntervalInSeconds": 3}
                    await fleet.update_software(SCOPE, {"ClusterName": name, "DeploymentConfig": config})
                case "batch":
                    operation = self.chance.choice((DELETE, REBOOT, REBOOT, REPLACE))
                    nodes = sorted(fleet.world_of(SCOPE, name).nodes)
                    some = self.chance.sample(nodes, min(len(nodes), self.chance.randint(1, 2)))
                    await fleet.batch(SCOPE, operation, {"ClusterName": name, "NodeIds": some})

    def _groups(self) -> list[dict[str, Any]]:
        names = [GROUPS[0], *self.chance.sample(GROUPS[1:], self.chance.randint(0, 2))]
        return [group_spec(name, self.chance.randint(1, 3)) for name in names]

    async def put_event(self) -> None:
        bus = self._bus
        if bus is None:
            return
        self._sent += 1
        event = job(self._sent, int(self.clock.now().timestamp() * 1000))
        try:
            await bus.accept([event])
            self.accepted.append(event.id)
        except (StoreUnavailable, Stale):
            self.refused.append(event.id)

    # Misfortune.

    async def misfortune(self) -> None:
        match self.chance.choice(
            ("kill", "lose", "flap", "flap", "mute", "crash", "stop", "sicken", "sicken", "none", "none")
        ):
            case "kill":
                self._strike(self._kill)
            case "lose":
                self._strike(self._lose)
            case "flap":
                self._strike(self._flap)
            case "mute":
                self._strike(self._mute)
            case "sicken":
                self._strike(self._sicken)
            case "crash":
                self.crash()
                await asyncio.sleep(self.chance.uniform(0, 15))
                await self.start()
            case "stop":
                self.crash()
                self.yard.park()
                await asyncio.sleep(self.chance.uniform(0, 15))
                await self.start()

    def _strike(self, what: Callable[[FrameAgent], object]) -> None:
        running = self.yard.running()
        if running:
            what(self.chance.choice(running))

    def _kill(self, agent: FrameAgent) -> None:
        self.yard.machines.kill(agent.order.instance_id)

    def _lose(self, agent: FrameAgent) -> None:
        agent.lost_until = self.loop.time() + self.chance.uniform(0, 40)
        if agent.wire:
            agent.wire.cut_by_agent()

    def _sicken(self, agent: FrameAgent) -> None:
        """A fault, or its end, of one of the kinds that lead to different deeds."""
        self._findings += 1
        fault, code = self.chance.choice(
            (("oom-kill", 0), ("xid", 79), ("xid", 64), ("disk-full", 0), ("disk-full", 0))
        )
        agent.find(fault, code, f"finding {self._findings}", over=fault == "disk-full" and self.chance.random() < 0.5)

    def _flap(self, agent: FrameAgent) -> None:
        if agent.wire:
            agent.wire.cut_by_agent()

    def _mute(self, agent: FrameAgent) -> None:
        """The connection is half open; the agent finds out after three beats, the server never."""
        if agent.wire:
            agent.wire.mute = True
            self.loop.call_later(self.chance.uniform(0, 40), agent.wire.cut_by_agent)

    # The play.

    async def storm(self) -> None:
        end = self.loop.time() + STORM_S
        asking = [
            asyncio.create_task(self._repeat(self.ask, 4.0, end)),
            asyncio.create_task(self._repeat(self.put_event, 1.0, end)),
            asyncio.create_task(self._repeat(self.misfortune, 6.0, end)),
        ]
        await asyncio.gather(*asking)

    async def _repeat(self, act: Callable[[], Awaitable[None]], mean_s: float, end: float) -> None:
        while self.loop.time() < end:
            await act()
            await asyncio.sleep(self.chance.uniform(0, 2 * mean_s))

    async def calm(self) -> list[Note]:
        """Heal everything and wait until all is settled; what is not, in the end."""
        self.faults.on = False
        for agent in self.yard.agents.values():
            agent.lost_until = 0
        end = self.loop.time() + CALM_S
        left = [Note("not looked yet", "")]
        while left and self.loop.time() < end:
            await asyncio.sleep(5)
            await self.shaky.settled()
            left = unrest(await read_world(self.store, self.yard.seen()))
        return left

    async def close(self) -> None:
        self.crash()
        self.yard.park()
        await asyncio.sleep(10)
        await self.shaky.settled()


def job(number: int, at_ms: int) -> Event:
    event_id = derived_uuid("job", number)
    body = envelope(
        scope=SCOPE,
        id=event_id,
        source=SOURCE,
        detail_type="Job",
        time="2026-01-01T00:00:00Z",
        resources=[],
        detail={"number": number},
    )
    return Event(scope=SCOPE, bus=DEFAULT_BUS, id=event_id, at_ms=at_ms, body=body)


async def read_output(store: Store, kind: str = "LifecycleConfig/") -> dict[str, list[str]]:
    """What lifecycle scripts wrote, or another kind of stream holds, by instance, in the order it was kept."""
    output: dict[str, list[str]] = {}
    for group in await store.find(LogGroup, SCOPE, prefix="/aws/sagemaker/Clusters/"):
        events = await store.log_events(LogQuery(scope=SCOPE, group=group.name))
        for event in sorted((one for one in events if one.stream.startswith(kind)), key=lambda one: one.id):
            output.setdefault(event.stream.rpartition("/")[2], []).append(event.message)
    return output


def check_output(agent: FrameAgent, lines: list[str]) -> None:
    """Each line once and in order, whatever was sent again; and all of them where the node lives."""
    assert lines == sorted(set(lines), key=lambda line: tuple(map(int, line.split("/")))), lines
    if agent.machine.state is MachineState.RUNNING and agent.ended_works:
        boot = max(boot for boot, _ in agent.runs)
        assert lines[-LINES:] == [f"{boot}/{number}" for number in range(LINES)], lines


def check_findings(agent: FrameAgent, lines: list[str]) -> None:
    """Each finding once and in order, whatever was sent again; and all of them where the node lives."""
    told = [text for line in lines if "details: " in line for text in agent.found if f'{text}\\"' in line]
    assert told == agent.found[: len(told)], (told, agent.found)
    if agent.machine.state is MachineState.RUNNING and not agent.session.outbox:
        assert told == agent.found, (told, agent.found)


@contextlib.asynccontextmanager
async def simulated(seed: int, loop: VirtualLoop, directory: Path) -> AsyncIterator[Simulation]:
    with loop.real():
        store = await SqliteStore.open(directory / "data", KINDS)
    simulation = Simulation(seed, loop, store, directory)
    await simulation.rules()
    simulation.shaky.committed = simulation.look
    await simulation.start()
    try:
        yield simulation
    finally:
        await simulation.close()
        with loop.real():
            await store.close()


async def play(seed: int, loop: VirtualLoop, directory: Path) -> Simulation:
    """A storm, a calm, and the judgement of everything. Raises AssertionError with all that is wrong."""
    async with simulated(seed, loop, directory) as simulation:
        await simulation.storm()
        left = await simulation.calm()
        world = await read_world(simulation.store, simulation.yard.seen())
        simulation.judge(audit(world))
        wrong = [*simulation.notes, *((loop.moment, note) for note in left), *simulation.fell]
        assert not wrong, f"seed {seed}:\n" + "\n".join(map(str, wrong[:20]))
        journaled = Counter(entry.event.id for entry in world.journal)
        assert [one for one in simulation.accepted if journaled[one] != 1] == []
        assert [one for one in simulation.refused if one in journaled] == []
        output = await read_output(simulation.store)
        health = await read_output(simulation.store, "SagemakerHealthMonitoringAgent/")
        for agent in simulation.yard.agents.values():
            assert max(agent.runs.values(), default=0) <= 1, "a script ran twice in one life of its node"
            assert max(agent.ended_works.values(), default=0) <= 1, "a script that had ended ran again"
            check_output(agent, output.get(agent.order.instance_id, []))
            check_findings(agent, health.get(agent.order.instance_id, []))
        return simulation


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what a disk adds here is waiting."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize("seed", [int(ONE_SEED)] if ONE_SEED else range(SEEDS))
def test_after_every_storm_the_world_is_whole_and_comes_to_rest(seed: int, memory: Path) -> None:
    logging.getLogger("tocsin").setLevel(logging.CRITICAL)  # faults are many, and all of them are meant
    loop = VirtualLoop()
    simulation = run(play(seed, loop, memory), loop)
    assert simulation.audits
