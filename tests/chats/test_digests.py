"""A flood of messages: some cards one by one, the rest in one, whatever becomes of the server meanwhile."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.chats.desk import BOT, Desk, health, opened, run
from tests.chats.stand_in import says, slack_says
from tests.outbox.post import turn
from tocsin.model.changes import Delete, Put
from tocsin.model.chat import HeldPost, Provider
from tocsin.model.records import successor
from tocsin.services.flows import RETRY_PAUSE_S

PER_MINUTE = 2


async def flood(desk: Desk, count: int, status: str = "Unhealthy") -> None:
    for number in range(count):
        await desk.publish(health(status, f"i-{number}"))


def titles(desk: Desk, path: str = "/hook") -> list[str]:
    return [card["attachments"][0]["blocks"][0]["text"]["text"] for card in desk.chat.posts(path)]


def text(card: dict[str, object]) -> str:
    return str(card["attachments"])


def test_a_flood_is_some_cards_and_one_that_lists_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await desk.configure("hook")
            await flood(desk, 12)
            await desk.publish(health("Healthy", "i-3"))
            await desk.sweep()
            assert len(await desk.store.find(HeldPost)) == 11  # the minute is not over
            assert desk.chats.counts["held"] == 11
            await desk.until_with_time(delivered=2)
            desk.clock.move(60)
            await desk.sweep()
            await desk.until_with_time(delivered=3)
            assert titles(desk) == ["Node i-0 of c is unhealthy", "Node i-1 of c is unhealthy", "11 more messages"]
            listed = text(desk.chat.posts("/hook")[-1])
            assert all(f"Node i-{number} of c is unhealthy" in listed for number in range(2, 12))
            assert listed.index("Node i-11 of c") < listed.index("Node i-3 of c is healthy again")  # the worst first
            assert desk.chat.posts("/hook")[-1]["attachments"][0]["color"] == "#e01e5a"
            assert await desk.store.find(HeldPost) == []

    run(main())


def test_each_channel_has_a_minute_of_its_own_and_after_a_quiet_one_cards_come_one_by_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await desk.configure("hook")
            await flood(desk, 3)
            await desk.configure("teams", Provider.TEAMS)
            desk.chat.answers["/teams"] = [says(202, "")]
            await flood(desk, 1)
            await desk.until_with_time(delivered=3)
            assert (len(desk.chat.posts("/hook")), len(desk.chat.posts("/teams"))) == (2, 1)
            desk.clock.move(60)
            await desk.sweep()
            desk.clock.move(61)
            await desk.sweep()
            await flood(desk, 1)
            await desk.until_with_time(delivered=6)
            assert titles(desk)[2:] == ["2 more messages", "Node i-0 of c is unhealthy"]

    run(main())


def test_what_was_held_is_told_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await desk.configure("hook")
            await flood(desk, 5)
            await desk.until_with_time(delivered=2)
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await flood(desk, 1)
            desk.clock.move(60)
            await desk.sweep()
            await desk.until_with_time(delivered=1)
            assert titles(desk) == ["4 more messages"]

    run(main())


def test_a_recovery_that_a_digest_lists_closes_its_thread(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await desk.configure("bot")
            desk.chat.answers[BOT] = [slack_says(ok=True, ts=f"170000000{number}.000100") for number in range(4)]
            await flood(desk, 2)
            await flood(desk, 1, "Healthy")
            await desk.until_with_time(delivered=2)
            assert len(await desk.threads()) == 2
            desk.clock.move(60)
            await desk.sweep()
            await desk.until_with_time(delivered=3)
            assert "thread_ts" not in desk.chat.posts(BOT)[-1]
            assert ["i-1" in one.thread for one in await desk.threads()] == [True]

    run(main())


def test_what_is_held_for_a_channel_that_was_deleted_is_dropped_and_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            configuration = await desk.configure("hook")
            await flood(desk, 4)
            await desk.until_with_time(delivered=2)
            await desk.store.commit(Delete(configuration))
            desk.chats.changed()
            desk.clock.move(60)
            await desk.sweep()
            assert await desk.store.find(HeldPost) == []
            assert desk.chats.counts["dropped"] == 2

    run(main())


def test_a_digest_that_cannot_be_written_keeps_no_other_channel_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            for name in ("bot", "hook", "other"):
                await desk.configure(name)
            await flood(desk, 4)
            [broken, *_] = [one for one in await desk.store.find(HeldPost) if one.configuration.endswith("hook")]
            await desk.store.commit(Put(replace(successor(broken), tone="of no colour")))
            desk.clock.move(60)
            await desk.sweep()
            assert {one.configuration for one in await desk.store.find(HeldPost)} == {broken.configuration}
            assert desk.chats.counts["digests"] == 2

    run(main())


def test_digests_wait_for_a_store_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with opened(tmp_path, per_minute=PER_MINUTE) as desk:
            await desk.configure("hook")
            await flood(desk, 4)
            await desk.store.close()
            desk.clock.move(60)
            loop = asyncio.create_task(desk.chats.run())
            while not caplog.messages:
                await turn()
            for _ in range(5):
                desk.clock.move(RETRY_PAUSE_S / 10)
                await turn()
            loop.cancel()
            assert len([said for said in caplog.messages if "wait for the store" in said]) == 1

    run(main())


def test_without_a_number_every_card_comes_one_by_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            await flood(desk, 30)
            assert desk.chats.counts["posts"] == 30
            assert await desk.store.find(HeldPost) == []

    run(main())
