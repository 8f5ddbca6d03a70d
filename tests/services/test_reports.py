"""Reports that come at once for one cluster: one commit, each once, and the fault of one is not the others'."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.core.world import SCOPE, group_spec
from tests.harness import WAIT_S
from tests.simulation.number_fleet import NumberFleet
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.policy import FleetPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.changes import Log
from tocsin.model.cluster import ClusterStatus, Node, NodeCursor
from tocsin.model.errors import Stale
from tocsin.model.logs import LogLine
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS
from tocsin.services import hearing as module
from tocsin.services.fleet import Fleet

NODES = 30


async def in_service(fleet: Fleet) -> None:
    async with asyncio.timeout(WAIT_S):
        while fleet.worlds()[0].cluster.status is not ClusterStatus.IN_SERVICE or not fleet.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_many_reports_at_once_are_each_taken_once_and_one_that_cannot_be_is_told_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPORTS_TOGETHER_MAX", 20)  # so that there are several commits of them
    asyncio.run(many_reports_at_once(tmp_path))


async def many_reports_at_once(directory: Path) -> None:
    store = await SqliteStore.open(directory, KINDS, synced=False)
    numbers = NumberFleet(store, SystemClock(), SimulatedSettings(speed=0), FleetPolicy(instances_max=NODES))
    fleet = numbers.fleet
    async with numbers.running():
        await fleet.create(SCOPE, {"ClusterName": "c", "InstanceGroups": [group_spec("w", NODES)]}, "abcdefghijkl")
        await in_service(fleet)
        [world] = fleet.worlds()
        ids = list(world.nodes)
        bad = ids[7]

        def change(node: Node) -> Node:
            return replace(node, message=f"heard from {node.instance_id}")

        def extra(instance_id: str) -> list[Log]:
            """Output for a log group; that of one node does not exist."""
            group = "/gone" if instance_id == bad else world.cluster.log_group
            lines = (LogLine(0, instance_id),)
            return [Log(scope=SCOPE, group=group, stream="s", lines=lines, ingested_ms=0)]

        numbered = {one: fleet.heard_through(one) + 1 for one in ids}
        told = await asyncio.gather(
            *(fleet.report(one, numbered[one], change, *extra(one)) for one in [*ids, *ids]), return_exceptions=True
        )
        assert [isinstance(one, Stale) for one in told] == [one == bad for one in [*ids, *ids]]
        nodes = {node.instance_id: node for node in await store.find(Node)}
        assert {one for one in ids if nodes[one].message == f"heard from {one}"} == set(ids) - {bad}
        cursors = {cursor.instance_id: cursor.n for cursor in await store.find(NodeCursor)}
        assert {one for one in ids if cursors[one] == numbered[one]} == set(ids) - {bad}
    await store.close()
