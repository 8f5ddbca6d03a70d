"""Clusters of nodes that are numbers, on virtual time: what fails, fails by the seed; the fleet is the real one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.auditing import read_world
from tests.core.world import SCOPE, group_spec
from tests.simulation.number_fleet import NumberFleet
from tests.simulation.virtual import Still, VirtualClock, VirtualLoop, run
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.audit import audit, unrest
from tocsin.core.policy import FleetPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.cluster import Cluster, ClusterStatus, Health, Node, NodeStatus
from tocsin.model.deep import DeepState
from tocsin.model.errors import Conflict
from tocsin.model.health import Finding, Remedy
from tocsin.model.link import Found, Inject
from tocsin.model.times import epoch_ms
from tocsin.ports import Store
from tocsin.server.kinds import KINDS

HOUR_S = 3600.0
NOTHING_ELSE: dict[str, Any] = {}
EKS = "arn:aws:eks:us-west-2:111122223333:cluster/k"
POLICY = FleetPolicy(instances_max=1000)
RUNNING = NodeStatus.RUNNING


class Server(NumberFleet):
    """What a test asks of a fleet."""

    async def create(self, *counts: int, name: str = "c", **more: Any) -> None:
        groups = [group_spec(f"group-{number}", count) for number, count in enumerate(counts, 1)]
        request = {"ClusterName": name, "InstanceGroups": groups, **more}
        await self.fleet.create(SCOPE, request, f"{name * 12}"[:12])

    async def rest(self, after_s: float) -> Cluster:
        """Let time pass, then see to it that all is lawful and at rest."""
        await asyncio.sleep(after_s)
        world = await read_world(self.store, dict(self.provider.machines.seen()))
        unrouted = "every event is routed"  # there is no bus here
        assert [note for note in (*audit(world), *unrest(world)) if note.law != unrouted] == []
        return world.clusters[0]

    async def nodes(self) -> list[Node]:
        return await self.store.find(Node)

    async def story(self) -> list[str]:
        return [told.line.what for told in await self.store.story(SCOPE)]


@contextlib.asynccontextmanager
async def a_server(
    directory: Path, loop: VirtualLoop, views: Mapping[str, Any] = NOTHING_ELSE, **simulated: Any
) -> AsyncIterator[Server]:
    with loop.real():
        store = await SqliteStore.open(directory / "data", KINDS, synced=False)
    settings = SimulatedSettings(**simulated)
    server = Server(cast("Store", Still(store, loop)), VirtualClock(loop), settings, POLICY, **views)
    try:
        async with server.running():
            yield server
    finally:
        with loop.real():
            await store.close()


def played(act: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    logging.getLogger("tocsin").setLevel(logging.CRITICAL)
    loop = VirtualLoop()

    run(act(loop), loop)


@pytest.mark.parametrize("orchestrator", [{}, {"Orchestrator": {"Eks": {"ClusterArn": EKS}}}])
def test_only_nodes_that_the_workload_manager_drives_wait_for_its_word(
    tmp_path: Path, orchestrator: dict[str, Any]
) -> None:
    """It says of nobody that no job runs there. Of a cluster that it does not drive it never will."""

    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop, {"free": frozenset, "jobs": dict}) as server:
            await server.create(2, **orchestrator)
            await server.rest(60)
            [sick, _] = await server.nodes()
            told = Finding(fault="xid", code=64, at_ms=epoch_ms(VirtualClock(loop).now()), text="x", source="kmsg")
            await server.take(sick.instance_id, Found(n=server.fleet.heard_through(sick.instance_id) + 1, finding=told))
            await asyncio.sleep(60)
            replaced = sick.instance_id not in {node.instance_id for node in await server.nodes()}
            assert replaced is bool(orchestrator)

    played(act)


def test_a_cluster_of_numbers_comes_up_and_goes(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop) as server:
            await server.create(1, 60)
            cluster = await server.rest(60)
            assert cluster.status is ClusterStatus.IN_SERVICE
            await server.fleet.delete(SCOPE, {"ClusterName": "c"})
            await asyncio.sleep(10)
            assert await server.store.find(Cluster) == []
            assert dict(server.provider.machines.seen()) == {}

    played(act)


@pytest.mark.parametrize("trouble", ["boots_fail_percent", "scripts_fail_percent"])
def test_what_fails_for_all_fails_the_cluster(tmp_path: Path, trouble: str) -> None:
    async def act(loop: VirtualLoop) -> None:
        simulated: dict[str, Any] = {trouble: 100}
        async with a_server(tmp_path, loop, **simulated) as server:
            await server.create(3)
            cluster = await server.rest(200)
            assert cluster.status is ClusterStatus.FAILED
            assert "failed to provision" in cluster.failure_message

    played(act)


def test_deep_checks_fail_by_the_seed_and_what_failed_is_replaced_and_checked_afresh(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop, seed=3, checks_fail_percent=30) as server:
            spec = group_spec("group-1", 20, OnStartDeepHealthChecks=["InstanceStress", "InstanceConnectivity"])
            await server.fleet.create(SCOPE, {"ClusterName": "c", "InstanceGroups": [spec]}, "c" * 12)
            cluster = await server.rest(600)
            assert cluster.status is ClusterStatus.IN_SERVICE
            nodes = await server.nodes()
            assert {node.deep and node.deep.state for node in nodes} == {DeepState.PASSED}
            story = await server.story()
            failed = sum("Healthy → Unhealthy" in line for line in story)
            checked = sum("Pending → DeepHealthCheckInProgress" in line for line in story)
            assert 0 < failed < 20
            assert checked == 20 + failed, "each that failed has a successor, and that is checked too"

    played(act)


def test_a_check_on_request_that_fails_by_the_seed_ends_its_operation_and_mends_the_node(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop, checks_fail_percent=100) as server:
            await server.create(2)
            await server.rest(60)
            before = {node.instance_id for node in await server.nodes()}
            config = {"InstanceGroupName": "group-1", "DeepHealthChecks": ["InstanceStress"]}
            request = {"ClusterName": "c", "DeepHealthCheckConfigurations": [config]}
            await server.fleet.check_health(SCOPE, request)
            cluster = await server.rest(600)
            assert [operation.checked for operation in cluster.operations] == [True]
            assert not before & {node.instance_id for node in await server.nodes()}, "one after the other"

    played(act)


def test_machines_that_die_by_themselves_are_replaced(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop, mtbf_hours=20) as server:
            await server.create(40)
            await asyncio.sleep(60)
            before = {node.instance_id for node in await server.nodes()}
            await asyncio.sleep(2 * HOUR_S)
            after = {node.instance_id for node in await server.nodes()}
            assert len(after) == 40
            assert 0 < len(before - after) < 20

    played(act)


def test_a_seed_tells_the_same_story_again(tmp_path: Path) -> None:
    stories: list[list[str]] = []

    def tell(number: int, seed: int) -> None:
        async def act(loop: VirtualLoop) -> None:
            async with a_server(tmp_path / str(number), loop, seed=seed, mtbf_hours=5) as server:
                await server.create(5)
                await asyncio.sleep(HOUR_S)
                stories.append(await server.story())

        played(act)

    for number, seed in enumerate((1, 1, 2)):
        tell(number, seed)
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


def test_the_next_server_finds_its_machines_and_boots_them(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop) as server:
            await server.create(1, 5)
            await server.rest(30)
            before = sorted(node.instance_id for node in await server.nodes())
        async with a_server(tmp_path, loop) as server:
            cluster = await server.rest(30)
            assert cluster.status is ClusterStatus.IN_SERVICE
            assert sorted(node.instance_id for node in await server.nodes()) == before

    played(act)


LADDER = [Remedy.GPU_RESET, Remedy.REBOOT, Remedy.REPLACE, Remedy.REPLACE]
XID_OF_A_RESET, XID_OF_THE_APPLICATION = "95", "94"


async def strike(server: Server, code: str) -> int:
    """Put an Xid into every node that runs and is well; to how many."""
    well = [node for node in await server.nodes() if node.health is Health.HEALTHY and node.status is RUNNING]
    for number, node in enumerate(well):
        order = Inject(work=f"fault-{number}", what="xid", argument=code, for_s=60)
        server.provider.links.send(node.instance_id, order)
    return len(well)


def test_a_fault_that_comes_back_walks_the_whole_ladder_on_every_node(tmp_path: Path) -> None:
    """App, reset of the GPU, reboot, replace twice, quarantine; whether the reset works or, by the seed, does not.

    A machine that turns out to be a lemon on its way is put aside before the end.
    """

    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop, resets_fail_percent=50) as server:
            await server.create(4, 8, NodeRecovery="Automatic")
            await server.rest(60)
            assert await strike(server, XID_OF_THE_APPLICATION) == 12
            await server.rest(60)
            assert not any(node.mended for node in await server.nodes())
            struck = 0
            while await strike(server, XID_OF_A_RESET):
                struck += 1
                assert struck <= len(LADDER) + 1
                await asyncio.sleep(1200)  # some nodes at a time: the budget
            nodes = await server.nodes()
            [world] = server.fleet.worlds()
            for node in nodes:
                rungs = [one.remedy for one in node.mended]
                assert rungs == LADDER[: len(rungs)], "one after the other"
                [left] = [why for why in world.waiting if node.instance_id in why]
                assert ("replaced twice for xid-95" if rungs == LADDER else "is a lemon") in left
            assert {node.health for node in nodes} == {Health.UNHEALTHY}
            assert LADDER in [[one.remedy for one in node.mended] for node in nodes]
            failed = [bool(node.mended[0].failed) for node in nodes]
            assert any(failed)
            assert not all(failed)
            await server.rest(60)

    played(act)


def test_simulated_nodes_take_lines_of_the_kernel_and_refuse_what_they_have_not(tmp_path: Path) -> None:
    async def act(loop: VirtualLoop) -> None:
        async with a_server(tmp_path, loop) as server:
            await server.create(1, NodeRecovery="None")
            await server.rest(60)
            [world], [node] = server.fleet.worlds(), await server.nodes()
            line = "EXT4-fs error (device sdb1): ext4_find_entry:1455"
            placed = await server.injections.put_in(world, node, "kmsg", argument=line, for_s=60)
            assert placed.confirmed
            with pytest.raises(Conflict, match="a simulated machine takes --xid and --kmsg"):
                await server.injections.put_in(world, node, "disk-full", for_s=60)
            await asyncio.sleep(1)
            [known] = [fault for node in await server.nodes() for fault in node.faults]
            assert (known.name, known.subject) == ("ext4-error", "sdb1")

    played(act)
