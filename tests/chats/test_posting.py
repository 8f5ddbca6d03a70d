"""From a published message to the chat's door: who hears, what is posted, in which order, in which thread."""

from pathlib import Path

import pytest

from tests.chats.desk import BOT, SECRET, health, opened, run
from tests.chats.stand_in import closes_at_once, closes_early, garbage, hangs, says, slack_says
from tests.queues.desk import SCOPE
from tocsin.model.changes import Delete
from tocsin.model.chat import Provider
from tocsin.model.names import topic_arn
from tocsin.model.outbound import Verdict
from tocsin.targets.chats import Address


def ts(number: int) -> str:
    return f"170000000{number}.000100"


def test_every_channel_that_listens_gets_a_card_of_its_own_kind(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            await desk.configure("teams", Provider.TEAMS)
            await desk.configure("chime", Provider.CHIME)
            await desk.configure("other", topics=(topic_arn(SCOPE, "elsewhere"),))
            desk.chat.answers["/teams"] = [says(202, "")]
            desk.chat.answers["/chime"] = [says(200, '{"MessageId":"1"}')]
            await desk.publish(health("Unhealthy"))
            await desk.until(delivered=3)
            assert {one.path for one in desk.chat.taken} == {"/hook", "/teams", "/chime"}
            assert desk.chat.posts("/hook")[0]["attachments"][0]["color"] == "#e01e5a"
            assert desk.chat.posts("/teams")[0]["type"] == "message"
            assert desk.chat.posts("/chime")[0]["Content"].startswith("/md 🔴")
            assert all("charset=utf-8" in one.headers["Content-Type"] for one in desk.chat.taken)
            assert await desk.owed() == []
            assert (desk.chats.counts["heard"], desk.chats.counts["posts"]) == (1, 3)

    run(main())


def test_a_topic_nobody_listens_to_owes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.publish("hello")
            assert await desk.owed() == []
            assert desk.chats.counts["heard"] == 0

    run(main())


def test_a_configuration_that_was_changed_is_heard_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.publish("one")
            await desk.configure("hook")
            await desk.publish("two")
            await desk.until(delivered=1)
            assert len(desk.chat.taken) == 1

    run(main())


def test_a_publication_that_is_repeated_after_a_crash_owes_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            [first], [again], [other] = [(await desk.heard("hello", name)).changes for name in ("m1", "m1", "m2")]
            assert first == again != other

    run(main())


def test_a_fault_and_its_recovery_stand_in_one_thread_and_the_next_fault_begins_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("bot")
            desk.chat.answers[BOT] = [slack_says(ok=True, ts=ts(number)) for number in range(4)]
            for number, status in enumerate(["Unhealthy", "Unhealthy", "Healthy", "Unhealthy"]):
                await desk.publish(health(status))
                await desk.until_with_time(delivered=number + 1)
            posts = desk.chat.posts(BOT)
            assert [post.get("thread_ts") for post in posts] == [None, ts(0), ts(0), None]
            assert {post["channel"] for post in posts} == {"Cbot"}
            assert desk.chat.taken[0].headers["Authorization"] == f"Bearer {SECRET}"
            assert [thread.ts for thread in await desk.threads()] == [ts(3)]

    run(main())


def test_two_sick_nodes_are_two_threads(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("bot")
            desk.chat.answers[BOT] = [slack_says(ok=True, ts=ts(number)) for number in range(3)]
            for number, instance in enumerate(["i-1", "i-2", "i-2"]):
                await desk.publish(health("Unhealthy", instance))
                await desk.until_with_time(delivered=number + 1)
            assert [post.get("thread_ts") for post in desk.chat.posts(BOT)] == [None, None, ts(1)]

    run(main())


def test_a_thread_that_is_gone_from_the_channel_is_begun_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("bot")
            gone = slack_says(ok=False, error="thread_not_found")
            desk.chat.answers[BOT] = [slack_says(ok=True, ts=ts(1)), gone, slack_says(ok=True, ts=ts(2))]
            await desk.publish(health("Unhealthy"))
            await desk.until(delivered=1)
            await desk.publish(health("Unhealthy"))
            await desk.until_with_time(delivered=2)
            assert [post.get("thread_ts") for post in desk.chat.posts(BOT)] == [None, ts(1), None]
            assert [thread.ts for thread in await desk.threads()] == [ts(2)]

    run(main())


def test_posts_to_one_channel_go_one_at_a_time_oldest_first_one_a_second(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            for number in range(3):
                await desk.publish(f"message {number}")
                desk.clock.move(0.01)
            await desk.until(delivered=1)
            assert len(desk.chat.taken) == 1
            desk.clock.move(0.9)
            await desk.until(attempts=1)
            assert len(desk.chat.taken) == 1
            await desk.until_with_time(delivered=3)
            shown = [post["attachments"][0]["blocks"][1]["text"]["text"] for post in desk.chat.posts("/hook")]
            assert shown == ["message 0", "message 1", "message 2"]
            assert desk.outbox.counts["attempts"] == 3

    run(main())


PASSING = [says(500), says(503, "<html>"), says(429, Retry_After="2"), says(408), garbage, closes_early,
           closes_at_once, hangs, says(200, "<html>a captive portal</html>")]  # fmt: skip


def test_whatever_may_pass_is_tried_again_until_the_chat_takes_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            desk.chat.answers["/hook"] = [*PASSING, says(200)]
            await desk.publish("hello")
            await desk.until_with_time(delivered=1)
            assert len(desk.chat.taken) == len(PASSING) + 1
            assert desk.outbox.counts["retried"] == len(PASSING)

    run(main())


def test_a_chat_that_asks_for_patience_is_left_alone_so_long_by_all_posts_to_the_channel(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            desk.chat.answers["/hook"] = [says(429, Retry_After="30"), says(200)]
            await desk.publish("one")
            await desk.publish("two")
            await desk.until(retried=1)
            began = desk.clock.now()
            while len(desk.chat.taken) < 2:
                desk.clock.move(0.5)
                await desk.until(attempts=1)
                for _ in range(2):
                    await desk.store.ping()
            assert (desk.clock.now() - began).total_seconds() >= 29.5

    run(main())


NEVER = [
    (says(400, "invalid_payload"), "The chat answered 400: invalid_payload."),
    (says(403, "invalid_token"), "The chat answered 403: invalid_token."),
    (says(404, "channel_not_found"), "The chat answered 404: channel_not_found."),
    (says(410, "channel_is_archived"), "The chat answered 410: channel_is_archived."),
    (says(302, "", Location="http://127.0.0.1:1/"), "The chat answered 302."),
]


@pytest.mark.parametrize(("answer", "said"), NEVER)
def test_what_a_chat_refuses_is_not_tried_again(
    tmp_path: Path, answer: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            desk.chat.answers["/hook"] = [answer]  # type: ignore[list-item]
            await desk.publish("hello")
            await desk.until(dropped=1)
            assert len(desk.chat.taken) == 1
            assert await desk.owed() == []

    run(main())
    assert said in caplog.text
    assert "slack-channel/hook" in caplog.text


SLACK_ERRORS = [
    ("channel_not_found", Verdict.NEVER),
    ("invalid_auth", Verdict.NEVER),
    ("is_archived", Verdict.NEVER),
    ("invalid_blocks", Verdict.NEVER),
    ("not_in_channel", Verdict.NEVER),
    ("something_new", Verdict.NEVER),
    ("ratelimited", Verdict.AGAIN),
    ("internal_error", Verdict.AGAIN),
    ("service_unavailable", Verdict.AGAIN),
    ("request_timeout", Verdict.AGAIN),
]


@pytest.mark.parametrize(("error", "verdict"), SLACK_ERRORS)
def test_slacks_errors_are_told_apart_though_all_come_with_200(tmp_path: Path, error: str, verdict: Verdict) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("bot")
            desk.chat.answers[BOT] = [slack_says(ok=False, error=error), slack_says(ok=True, ts=ts(1))]
            await desk.publish("hello")
            await desk.until(**({"dropped": 1} if verdict is Verdict.NEVER else {"retried": 1}))
            if verdict is Verdict.AGAIN:
                [kept] = await desk.owed()
                assert kept.last_error == f"Slack answered {error}."

    run(main())


def test_a_hanging_channel_delays_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("hook")
            await desk.configure("other")
            desk.chat.answers["/hook"] = [hangs]
            for number in range(5):
                await desk.publish(f"message {number}")
            await desk.until_with_time(delivered=5)
            assert len(desk.chat.posts("/other")) == 5

    run(main())


def test_nothing_told_of_a_failure_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        nowhere = Address(webhook="http://127.0.0.1:1/S3cret/path")
        wrong = Address(webhook="no address S3cret")
        async with opened(tmp_path, nowhere=nowhere, wrong=wrong) as desk:
            for name in ("nowhere", "wrong", "bot", "hook"):
                await desk.configure(name)
            desk.chat.answers[BOT] = [says(401, f"bad token {SECRET}")]
            desk.chat.answers["/hook"] = [says(500, f"{SECRET} is S3cret")]
            await desk.publish("hello")
            await desk.until(dropped=2, retried=2)
            told = caplog.text + "".join(one.last_error for one in await desk.owed())
            assert "cannot be reached" in told
            assert "no HTTP address" in told
            assert "S3cret" not in told
            assert "S3cret" not in repr((nowhere, wrong))

    run(main())


def test_a_channel_without_an_address_is_owed_on_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.configure("nameless", Provider.TEAMS)
            for _ in range(3):
                await desk.publish("hello")
            await desk.until_with_time(retried=3)
            assert len(await desk.owed()) == 3

    run(main())
    assert caplog.text.count("[chat.channels.nameless] names no webhook and no token") == 1


def test_what_is_owed_to_a_configuration_that_was_deleted_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            made = await desk.configure("hook")
            desk.chat.answers["/hook"] = [says(500)]
            await desk.publish("hello")
            await desk.until(retried=1)
            await desk.store.commit(Delete(made))
            await desk.until_with_time(dropped=1)
            assert await desk.owed() == []

    run(main())
