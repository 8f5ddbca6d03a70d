"""The fleet on simulated nodes: what a node costs on its way in, what a change costs at rest. `python -m bench.fleet`.

One process, a real store on disk, machines that take no time: all of it is the fleet's own work.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.core.world import SCOPE, group_spec
from tests.simulation.number_fleet import NumberFleet

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.policy import FleetPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.cluster import ClusterStatus
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS

SIZES = (100, 1000, 10_000)
GROUP_MAX = 5000  # InstanceCount goes to 6,758
CHANGES = 20
QUIET_S = 5.0
UNTIL_S = 600


class Meter:
    """CPU and wall time of a stretch."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        return time.process_time() - self._cpu, time.perf_counter() - self._wall


async def until(true: Callable[[], bool]) -> None:
    for _ in range(UNTIL_S * 500):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"not within {UNTIL_S} s")


async def measure(nodes: int, clusters: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder), KINDS)
        policy = FleetPolicy(instances_max=1_000_000)
        numbers = NumberFleet(store, SystemClock(), SimulatedSettings(speed=0), policy)
        async with numbers.running():
            await _measure(numbers, nodes, clusters)
        await store.close()


async def _measure(numbers: NumberFleet, nodes: int, clusters: int) -> None:
    fleet = numbers.fleet
    each = nodes // clusters
    meter = Meter()
    for number in range(clusters):
        counts = [GROUP_MAX] * (each // GROUP_MAX) + [each % GROUP_MAX] * (each % GROUP_MAX > 0)
        groups = [group_spec(f"group-{place}", count) for place, count in enumerate(counts, 1)]
        request = {"ClusterName": f"c-{number}", "InstanceGroups": groups, "NodeRecovery": "Automatic"}
        await fleet.create(SCOPE, request, f"{number:012d}")
    await until(lambda: all(world.cluster.status is ClusterStatus.IN_SERVICE for world in fleet.worlds()))
    cpu, wall = meter.read()

    quiet = Meter()
    await asyncio.sleep(QUIET_S)
    quiet_cpu, quiet_wall = quiet.read()

    change = Meter()
    for number in range(CHANGES):
        world = fleet.worlds()[number % clusters]
        victim = list(world.nodes)[number * 7 % len(world.nodes)]
        numbers.provider.machines.kill(victim)  # type: ignore[attr-defined]
        await until(lambda victim=victim: fleet.node(victim) is None and fleet.idle and numbers.provider.idle)  # type: ignore[misc]
    change_cpu, change_wall = change.read()
    up = f"{wall:9.1f}  {cpu / nodes * 1e3:14.2f}"
    changed = f"{change_cpu / CHANGES * 1e3:15.1f}  {change_wall / CHANGES * 1e3:11.1f}"
    print(f"  {nodes:7,}  {clusters:8,}  {up}  {changed}  {quiet_cpu / quiet_wall * 100:11.1f}")


def main(sizes: tuple[int, ...]) -> None:
    print("A cluster of simulated nodes comes up; then nodes die, one at a time, and are replaced")
    print("    nodes  clusters  up, s wall  CPU ms/node up  CPU ms/replaced  ms/replaced  % CPU quiet")
    for nodes in sizes:
        for clusters in sorted({1, max(1, nodes // 100)}):
            asyncio.run(measure(nodes, clusters))


if __name__ == "__main__":
    main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
