"""How soon a fault has its node drained, by a real Slurm: a part of `python -m bench.health`."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.core.world import SCOPE, group_spec
from tests.doors.sickbay import Sickbay
from tests.faults.table import CATALOGUE
from tests.harness import RunningServer
from tests.simulation.number_fleet import NumberFleet
from tests.slurm.controller import RealSlurm

from bench.fleet import Meter, until
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.commit import World
from tocsin.core.policy import FleetPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.cluster import ClusterStatus
from tocsin.model.health import Finding
from tocsin.model.link import Found
from tocsin.orchestrators.slurm import Slurm
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS
from tocsin.services.clusters import Moved
from tocsin.services.drains import DrainPolicy, DrainService

Clear = Callable[[RunningServer, str], None]


@contextlib.contextmanager
def slurm_of(names: list[str], *, daemons: bool) -> Iterator[RealSlurm]:
    """Without daemons there is only the controller: it drains nodes that do not answer like any others."""
    with tempfile.TemporaryDirectory() as folder:
        running = RealSlurm(Path(folder), names)
        try:
            running.start(daemons=daemons)
            yield running
        finally:
            running.stop()


def drained(place: Path, faults: int, line: str, clear: Clear) -> list[float]:
    """Milliseconds from a record in the kernel's log until sinfo says that its node is drained."""
    with slurm_of(["workers-1"], daemons=True) as slurm:
        config = place / "tocsin.toml"
        config.write_text(f'[slurm]\nenabled = true\nconf = "{slurm.conf}"\nnode_names = "name"\n')
        server = RunningServer(place / "data", "--config", str(config))
        try:
            [node] = Sickbay(server, "111122223333", 1, "None").nodes
            times = []
            with (server.data_dir / "machines" / node / "kmsg").open("a", buffering=1) as log:
                for number in range(faults):
                    begun = time.perf_counter()
                    log.write(line.format(number=number, bus=number))
                    _until(slurm, "drained")
                    times.append((time.perf_counter() - begun) * 1000)
                    clear(server, node)
                    _until(slurm, "idle")
            return times
        finally:
            server.stop()


def _until(slurm: RealSlurm, state: str) -> None:
    while slurm.states()["workers-1"] != state:
        pass


def _tell(watching: list[Moved], before: World | None, after: World | None, touched: Sequence[str]) -> None:
    for moved in watching:
        moved(before, after, touched)


async def all_drained(nodes: int) -> tuple[float, float]:
    """(seconds until the last event is committed, until Slurm has drained the last) of as many faulted at once."""
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder), KINDS)
        policy = FleetPolicy(instances_max=nodes)
        watching: list[Moved] = []
        numbers = NumberFleet(
            store, SystemClock(), SimulatedSettings(speed=0), policy, lambda *moved: _tell(watching, *moved)
        )
        fleet = numbers.fleet
        async with numbers.running():
            request: dict[str, Any] = {"ClusterName": "c", "InstanceGroups": [group_spec("g", nodes)]}
            await fleet.create(SCOPE, {**request, "NodeRecovery": "None"}, "000000000000")
            await until(lambda: fleet.worlds()[0].cluster.status is ClusterStatus.IN_SERVICE and fleet.idle)
            names = [node.name for node in fleet.worlds()[0].nodes.values()]
            with slurm_of(names, daemons=False) as slurm:
                own = Slurm(str(slurm.conf))
                settings = DrainPolicy(enabled=True, node_names="name")
                drains = DrainService(fleet, own, SystemClock(), settings, policy, CATALOGUE)
                watching.append(drains.moved)
                draining = asyncio.create_task(drains.run())
                finding = Finding(fault="xid", code=64, at_ms=time.time_ns() // 1_000_000, text="x", source="kmsg")
                meter = Meter()
                struck = list(fleet.worlds()[0].nodes)
                await asyncio.gather(
                    *(numbers.take(one, Found(n=fleet.heard_through(one) + 1, finding=finding)) for one in struck)
                )
                told = meter.read()[1]
                while any(not there.drained for there in (await own.seen()).values()):
                    pass
                last = meter.read()[1]
                draining.cancel()
                await asyncio.wait([draining])
        await store.close()
    return told, last
