"""What befell a host goes with it from instance to instance: its machine is the same."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.plan import Launch, taken
from tocsin.core.plan.steps import Terminate
from tocsin.model.health import Mark, MarkKind
from tocsin.model.host import InventoryHost
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS
from tocsin.services.hosts import Hosts

HISTORY = (Mark(kind=MarkKind.LOST, fault="InstanceTerminated", at_ms=1),)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_host_that_is_released_tells_its_next_instance_what_befell_it(tmp_path: Path) -> None:
    async def told(*, there: bool) -> tuple[Mark, ...]:
        store = await SqliteStore.open(tmp_path / str(there), KINDS)
        one = InventoryHost(name="gpu-01", address="127.0.0.1", instance_type="ml.p5.48xlarge")
        hosts = Hosts(store, SystemClock(), [one], lambda: "token-1")
        _, token = await hosts.create_token("", 60, once=False)
        await hosts.join(token, "gpu-01")

        async def claim(instance_id: str) -> None:
            await hosts.claim(instance_id, "ml.p5.48xlarge", {"gpu-01"}, replacement=False, told=lambda _: [])

        await claim("i-first")
        first = hosts.of_instance("i-first")
        assert first is not None
        assert first.history == ()
        await hosts.release(first, faulty=True, why="a test", there=there, history=HISTORY)
        if there:
            await hosts.wiped("gpu-01")
        await hosts.free("gpu-01")
        await claim("i-second")
        again = Hosts(store, SystemClock(), [one], lambda: "token-2")
        await again.load()
        second = again.of_instance("i-second")
        assert second is not None
        await store.close()
        return second.history

    for there in (True, False):
        assert asyncio.run(told(there=there)) == HISTORY


def test_a_node_begins_with_what_befell_its_machine_and_is_not_told_again() -> None:
    world = SmallWorld(group_spec("workers", 1))
    world.turn()
    [node] = world.nodes.values()
    begun = taken(Launch(node), NOW, "10.0.0.1", HISTORY)
    assert begun is not None
    assert (begun.address, begun.history) == ("10.0.0.1", HISTORY)
    assert taken(Terminate(node), NOW, None, HISTORY) is None
    cleared_since = replace(begun, joined=True, history=())
    assert taken(Launch(cleared_since), NOW, "10.0.0.1", HISTORY) is None
