"""The service over a real store, on a clock that is moved: deadlines, what is forgotten, what survives a restart."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.commands.desk import commands_over
from tests.core.world import group_spec
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.core.requests import create
from tocsin.model.changes import Change
from tocsin.model.cluster import Node, NodeStatus, ScriptState
from tocsin.model.command import Command, Details, Invocation, StepOutput
from tocsin.model.link import CommandEnded, CommandOutput, CommandStarted, Order, RunCommand
from tocsin.model.machine import LinkSeen
from tocsin.model.names import Scope
from tocsin.server.kinds import KINDS
from tocsin.services.commands import CommandLimits, Commands

SCOPE = Scope("111122223333", "us-west-2")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NODE = "i-0123456789abcdef0"


class Hand:
    """A clock moved by hand, one node, and what it is ordered. Each decision is asked for: no loop runs."""

    def __init__(self, store: SqliteStore, limits: CommandLimits | None = None) -> None:
        self.store, self.limits = store, limits
        self.at = BEGIN
        self.link = True
        self.ordered: list[Order] = []
        self.reported = 0
        asked = {"ClusterName": "lab", "InstanceGroups": [group_spec("workers", 1)]}
        node = Node(
            scope=SCOPE,
            cluster_id="abcdefghijkl",
            group="workers",
            index=1,
            instance_id=NODE,
            instance_type="ml.t3.medium",
            address="127.64.0.1",
            status=NodeStatus.RUNNING,
            launched_at=BEGIN,
            script=ScriptState.SUCCEEDED,
        )
        cluster = create(asked, scope=SCOPE, cluster_id="abcdefghijkl", now=BEGIN)
        self.world = World(cluster=cluster, nodes=Members({NODE: node}))
        self.commands = self.begun()

    def begun(self) -> Commands:
        """The service as a server that starts has it, before it is loaded."""
        return commands_over(self.store, self, self, self, self.limits)

    # Clock, NodeLinks and Nodes.

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody rests here")

    def seen(self) -> Mapping[str, LinkSeen]:
        return {NODE: LinkSeen(connected=self.link, since=BEGIN, heard=BEGIN)}

    def send(self, instance_id: str, order: Order) -> None:
        if self.link:
            self.ordered.append(order)

    def worlds(self, scope: Scope | None = None) -> list[World]:
        return [self.world]

    def node(self, instance_id: str) -> tuple[World, Node] | None:
        found = self.world.nodes.get(instance_id)
        return (self.world, found) if found else None

    async def keep(self, instance_id: str, n: int, *changes: Change) -> bool:
        await self.store.commit(*changes)
        return True

    # What the tests do.

    async def sent(self, **more: Any) -> str:
        request = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}, "InstanceIds": [NODE]}
        command = await self.commands.send(SCOPE, {**request, **more})
        await self.later(0)
        return command.id

    async def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await self.commands.look()

    async def tell(self, command_id: str, kind: type, **more: Any) -> None:
        self.reported += 1
        await self.commands.report(NODE, kind(n=self.reported, work=f"command/{command_id}", **more))

    async def invocation(self, command_id: str) -> Invocation:
        found = await self.store.get(Invocation, SCOPE, f"{command_id}/{NODE}")
        assert found
        return found

    async def command(self, command_id: str) -> Command | None:
        return await self.store.get(Command, SCOPE, command_id)


def by_hand(folder: Path, story: Callable[[Hand], Awaitable[None]], limits: CommandLimits | None = None) -> None:
    async def main() -> None:
        store = await SqliteStore.open(folder, KINDS)
        try:
            await story(Hand(store, limits))
        finally:
            await store.close()

    asyncio.run(main())


def test_what_no_link_takes_is_over_when_its_time_is_and_is_told_so(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        hand.link = False
        command = await hand.sent(TimeoutSeconds=30)
        assert (await hand.invocation(command)).details is Details.DELAYED
        await hand.later(29)
        assert (await hand.invocation(command)).details is Details.DELAYED
        await hand.later(2)
        assert (await hand.invocation(command)).details is Details.DELIVERY_TIMED_OUT
        await hand.later(0)
        found = await hand.command(command)
        assert found
        assert found.details is Details.DELIVERY_TIMED_OUT
        assert found.counts
        assert (found.counts.completed, found.counts.errors, found.counts.undelivered) == (1, 0, 1)
        assert hand.ordered == []

    by_hand(tmp_path, story)


def test_a_server_that_starts_again_orders_again_what_is_not_over(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        command = await hand.sent()
        await hand.tell(command, CommandStarted, at_ms=1)
        hand.commands, first = hand.begun(), list(hand.ordered)
        await hand.commands.load()
        hand.commands.linked(NODE)
        [before] = first
        [again] = hand.ordered[len(first) :]
        assert isinstance(before, RunCommand)
        assert isinstance(again, RunCommand)
        assert (before.work, before.begun) == (again.work, False)
        assert again.begun
        await hand.tell(command, CommandEnded, at_ms=2, outcome="succeeded")
        assert (await hand.invocation(command)).details is Details.SUCCESS

    by_hand(tmp_path, story)


def test_a_node_that_falls_silent_while_it_runs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        command = await hand.sent(TimeoutSeconds=2_592_000)
        await hand.tell(command, CommandStarted, at_ms=1)
        await hand.later(3600 + 59)
        assert (await hand.invocation(command)).details is Details.IN_PROGRESS
        await hand.later(2)
        found = await hand.invocation(command)
        assert (found.details, "not heard of again" in found.reason) == (Details.DELIVERY_TIMED_OUT, True)

    by_hand(tmp_path, story)


def test_a_node_that_is_gone_is_noticed_without_a_word(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        command = await hand.sent()
        hand.world = World(cluster=hand.world.cluster, nodes=Members())
        await hand.later(1)
        assert (await hand.invocation(command)).details is Details.UNDELIVERABLE
        await hand.later(0)
        assert hand.commands.open == 0

    by_hand(tmp_path, story)


def test_a_link_that_is_back_takes_what_waited_for_it(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        hand.link = False
        command = await hand.sent()
        await hand.later(1)
        hand.link = True
        await hand.later(1)
        assert (await hand.invocation(command)).details is Details.IN_PROGRESS
        assert [type(one) for one in hand.ordered] == [RunCommand]

    by_hand(tmp_path, story)


def test_an_order_that_was_lost_is_said_again(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        await hand.sent()
        assert len(hand.ordered) == 1
        await hand.later(31)
        assert len(hand.ordered) == 2

    by_hand(tmp_path, story)


def test_output_that_comes_after_the_end_is_kept_and_changes_nothing_else(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        command = await hand.sent(TimeoutSeconds=30)
        await hand.later(40)
        await hand.later(0)
        assert hand.commands.open == 0
        pieces = ((1, "late\n"),)
        await hand.tell(command, CommandOutput, step="aws:runShellScript", stream="stdout", at=0, pieces=pieces)
        await hand.tell(command, CommandEnded, at_ms=2, outcome="succeeded")
        assert (await hand.invocation(command)).details is Details.DELIVERY_TIMED_OUT
        [output] = await hand.store.find(StepOutput, SCOPE)
        assert output.stdout == "late\n"

    by_hand(tmp_path, story)


def test_no_node_has_more_in_hand_than_it_may(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        commands = [await hand.sent() for _ in range(4)]
        assert len(hand.ordered) == 2
        await hand.tell(commands[0], CommandEnded, at_ms=1, outcome="succeeded")
        await hand.later(0)
        assert len(hand.ordered) == 3

    by_hand(tmp_path, story, CommandLimits(in_hand_max=2))


def test_a_node_is_not_given_more_than_it_can_remember() -> None:
    with pytest.raises(ValueError, match="in_hand_max is 1 to 512"):
        CommandLimits(in_hand_max=513)


def test_what_is_over_and_old_is_forgotten_with_its_output_and_what_is_young_stays(tmp_path: Path) -> None:
    async def story(hand: Hand) -> None:
        old = await hand.sent()
        pieces = ((1, "x\n"),)
        await hand.tell(old, CommandOutput, step="aws:runShellScript", stream="stdout", at=0, pieces=pieces)
        await hand.tell(old, CommandEnded, at_ms=1, outcome="succeeded")
        await hand.later(20 * 3600)
        young = await hand.sent()
        await hand.tell(young, CommandEnded, at_ms=1, outcome="succeeded")
        await hand.later(10 * 3600)
        assert await hand.command(old) is None
        assert await hand.store.find(StepOutput, SCOPE) == []
        assert [one.command_id for one in await hand.store.find(Invocation, SCOPE)] == [young]
        assert list(hand.commands.history.newest(SCOPE)) == [young]

    by_hand(tmp_path, story, CommandLimits(history_days=1))
