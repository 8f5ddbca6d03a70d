"""Links of cards on a clock that is moved: when they end, what is then told, and when they are forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from tests.commands.test_service import NODE, SCOPE, Hand
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.cards import Suspect
from tocsin.model.command import Command, Investigation
from tocsin.model.names import topic_arn
from tocsin.model.times import epoch_ms
from tocsin.model.topic import TopicMessage
from tocsin.server.kinds import KINDS
from tocsin.services.commands import Documents
from tocsin.services.investigations import LINK_LIFE_MS, Investigations, Invitations

SUSPECT = Suspect(account=SCOPE.account, region=SCOPE.region, cluster_id="abcdefghijkl", instance_id=NODE)
LIFE = timedelta(milliseconds=LINK_LIFE_MS)


class Look:
    """A hand's world, with links into it."""

    def __init__(self, hand: Hand, document: str = "AWS-RunShellScript") -> None:
        self.hand = hand
        self.invitations = Invitations(key=b"key", address=lambda: "http://here", document=document)
        self.investigations = Investigations(
            store=hand.store,
            clock=hand,
            nodes=hand,
            commands=hand.commands,
            documents=Documents(hand.store),
            invitations=self.invitations,
        )

    def ticket(self, message_id: str = "m1") -> str:
        message = TopicMessage(
            topic_arn=topic_arn(SCOPE, "alerts"), message_id=message_id, at_ms=epoch_ms(self.hand.at), message=""
        )
        link = self.invitations.to(SUSPECT, message, SCOPE.account)
        assert link
        return link.url.partition("ticket=")[2]


def played(folder: Path, story: Callable[[Look], Awaitable[None]], document: str = "Tocsin-CollectDiagnostics") -> None:
    async def play() -> None:
        store = await SqliteStore.open(folder / "data", KINDS, synced=False)
        try:
            await story(Look(Hand(store), document))
        finally:
            await store.close()

    asyncio.run(play())


def test_a_link_ends_after_a_day_and_then_begins_nothing(tmp_path: Path) -> None:
    async def story(look: Look) -> None:
        ticket = look.ticket()
        look.hand.at += LIFE - timedelta(seconds=1)
        early = await look.investigations.look(ticket)
        assert early
        assert not early.expired
        look.hand.at += timedelta(seconds=1)
        late = await look.investigations.begin(ticket)
        assert late
        assert late.expired
        assert late.run is None
        assert await look.hand.store.find(Command) == []

    played(tmp_path, story)


def test_what_it_ran_is_remembered_until_nobody_can_press_it_again(tmp_path: Path) -> None:
    async def story(look: Look) -> None:
        ticket = look.ticket()
        begun = await look.investigations.begin(ticket)
        again = await look.investigations.begin(ticket)
        assert begun
        assert begun.run
        assert again == begun
        look.hand.at += LIFE
        await look.hand.later(0)
        late = await look.investigations.begin(ticket)
        assert late
        assert late.expired
        assert late.run
        assert late.run.command_id == begun.run.command_id
        look.hand.at += LIFE
        await look.hand.later(0)
        assert await look.hand.store.find(Investigation) == []
        assert len(await look.hand.store.find(Command)) == 1

    played(tmp_path, story)


def test_each_message_about_a_node_may_run_it_once(tmp_path: Path) -> None:
    async def story(look: Look) -> None:
        for message_id in ("m1", "m2", "m1"):
            await look.investigations.begin(look.ticket(message_id))
        assert len(await look.hand.store.find(Command)) == 2

    played(tmp_path, story)


def test_a_node_that_was_replaced_is_not_looked_at_and_its_successor_is_named(tmp_path: Path) -> None:
    async def story(look: Look) -> None:
        ticket, world = look.ticket(), look.hand.world
        new = replace(world.nodes[NODE], instance_id="i-new", replaces=NODE)
        look.hand.world = replace(world, nodes={"i-new": new})
        standing = await look.investigations.begin(ticket)
        assert standing
        assert (standing.node, standing.replacement, standing.run) == (None, "i-new", None)

    played(tmp_path, story)


def test_without_a_command_there_are_no_links_and_old_ones_have_expired(tmp_path: Path) -> None:
    async def story(look: Look) -> None:
        ticket = look.ticket()
        off = Look(look.hand, "")
        message = TopicMessage(topic_arn=topic_arn(SCOPE, "alerts"), message_id="m", at_ms=0, message="")
        assert off.invitations.to(SUSPECT, message, SCOPE.account) is None
        standing = await off.investigations.begin(ticket)
        assert standing
        assert standing.expired

    played(tmp_path, story)
