"""Who looks at a sick node before its repair: from the commit that tells of it to the end of the last command."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tests.outbox.post import turn
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.model.cluster import Health, NodeStatus, Repair
from tocsin.services.onlookers import Onlookers

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Sickroom:
    """A cluster of one node. The router stands still until `route`, commands run as long as `commanded` says."""

    def __init__(self, store: SqliteStore) -> None:
        small = SmallWorld(group_spec("workers", 1))
        small.settle()
        [self.node] = small.nodes.values()
        self.cluster = small.living
        self.router, self.commanded = asyncio.Event(), False
        self.asked: list[dict[str, datetime]] = []  # who was looked at whenever the router was asked
        self.changed: list[str] = []
        self.onlookers = Onlookers(
            store=store,
            clock=self,
            routed=self._routed,
            commanded=lambda _: self.commanded,
            changed=self.changed.append,
        )

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing fails here")

    async def _routed(self, place: int) -> None:
        self.asked.append(dict(self.onlookers.looked_at))
        await self.router.wait()

    def turn(self, health: Health, status: NodeStatus = NodeStatus.RUNNING, repair: Repair | None = None) -> None:
        """A commit of the cluster."""
        self.node = replace(self.node, health=health, status=status, repair=repair)
        world = World(cluster=self.cluster, nodes=Members({self.node.instance_id: self.node}))
        self.onlookers.moved(world, [self.node.instance_id])

    async def route(self) -> None:
        """The router gets on, and who waits for it too."""
        self.router.set()
        while not self.onlookers.idle:
            await turn()


def played(folder: Path, story: Callable[[Sickroom], Awaitable[None]]) -> None:
    async def play() -> None:
        store = await SqliteStore.open(folder / "data", ())
        room = Sickroom(store)
        loop = asyncio.create_task(room.onlookers.run())
        try:
            await story(room)
        finally:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
            await store.close()

    asyncio.run(play())


def test_a_node_whose_event_leads_to_no_command_is_let_go_once_it_is_routed(tmp_path: Path) -> None:
    async def story(room: Sickroom) -> None:
        room.turn(Health.UNHEALTHY)
        assert room.onlookers.looked_at == {room.node.instance_id: NOW}
        assert not room.onlookers.idle
        await room.route()
        assert room.onlookers.looked_at == {}
        assert room.changed == [room.node.instance_id]

    played(tmp_path, story)


def test_a_command_that_ends_lets_its_node_go(tmp_path: Path) -> None:
    async def story(room: Sickroom) -> None:
        room.commanded = True
        room.turn(Health.UNHEALTHY)
        await room.route()
        assert room.onlookers.looked_at == {room.node.instance_id: NOW}
        room.onlookers.ended(room.node.instance_id)  # one of two
        assert room.changed == []
        room.commanded = False
        room.onlookers.ended(room.node.instance_id)
        assert room.onlookers.looked_at == {}
        assert room.changed == [room.node.instance_id]

    played(tmp_path, story)


def test_a_node_that_turns_sick_anew_waits_until_the_new_event_is_routed(tmp_path: Path) -> None:
    async def story(room: Sickroom) -> None:
        room.turn(Health.UNHEALTHY)
        while not room.asked:
            await turn()
        room.turn(Health.HEALTHY)
        room.turn(Health.UNHEALTHY)  # the router is asked for the first event only
        room.router.set()
        while len(room.asked) < 2:
            await turn()
        assert room.asked[1] == {room.node.instance_id: NOW}
        await room.route()
        assert room.onlookers.looked_at == {}

    played(tmp_path, story)


def test_a_node_that_is_well_before_its_event_is_routed_is_waited_for_no_more(tmp_path: Path) -> None:
    async def story(room: Sickroom) -> None:
        room.turn(Health.UNHEALTHY)
        while not room.asked:
            await turn()
        room.turn(Health.HEALTHY)
        await room.route()
        assert room.onlookers.idle
        assert room.changed == []

    played(tmp_path, story)


def test_only_nodes_that_wait_for_a_repair_are_looked_at(tmp_path: Path) -> None:
    async def story(room: Sickroom) -> None:
        room.turn(Health.UNHEALTHY, NodeStatus.FAILURE)
        assert room.onlookers.looked_at == {}
        room.turn(Health.UNHEALTHY)
        room.turn(Health.HEALTHY)
        assert room.onlookers.looked_at == {}
        room.turn(Health.UNHEALTHY)
        room.turn(Health.UNHEALTHY, repair=Repair.REPLACE)
        assert room.onlookers.looked_at == {}
        room.turn(Health.HEALTHY)
        room.turn(Health.UNHEALTHY)
        room.onlookers.moved(None, [room.node.instance_id])
        assert room.onlookers.looked_at == {}

    played(tmp_path, story)
