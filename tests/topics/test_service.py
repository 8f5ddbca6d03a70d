"""Topics over a real store: digests that survive the server, tokens that grow old, memories that end, what is owed."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from tests.queues.desk import SCOPE, HandClock, run
from tests.topics.desk import opened
from tocsin.core.topics.messages import Draft
from tocsin.model.outbound import DELIVERED, Outbound, Outcome, Verdict
from tocsin.model.records import Record
from tocsin.model.topic import HeldMail, Publication, Subscription
from tocsin.model.topic_errors import InvalidParameter
from tocsin.services.topics import TopicsLimits
from tocsin.targets.subscribed import Subscribed

ME = "me@example.com"


def test_a_flood_is_some_mails_and_one_digest_whatever_becomes_of_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            topic = await desk.topic()
            await desk.subscribed(topic, "email", ME, MailsPerMinute="3")
            for number in range(10):
                await desk.publish(f"message {number}")
            assert desk.bodies() == ["message 0", "message 1", "message 2"]
            assert desk.topics.counts["held"] == 7
        async with opened(tmp_path, clock) as desk:
            await desk.publish("message 10")
            assert desk.bodies() == []
            await desk.pass_time(59)
            assert desk.bodies() == []
            await desk.pass_time(1)
            [digest] = desk.woken
            assert digest.about["subject"] == "8 more notifications of t"
            listed = [line.partition("  ")[2] for line in desk.bodies()[0].split("\n\n")[1].split("\n")]
            assert listed == [f"message {number}" for number in range(3, 11)]
            assert await desk.store.find(HeldMail) == []
            await desk.publish("alone again")
            assert desk.bodies()[-1] == "alone again"

    run(main())


def test_a_digest_that_is_too_long_goes_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.services.topics.mailing.DIGEST_LINES_MAX", 4)

    async def main() -> None:
        async with opened(tmp_path, limits=TopicsLimits(mails_per_minute=1)) as desk:
            await desk.subscribed(await desk.topic(), "email", ME)
            for number in range(10):
                await desk.publish(f"{number}")
            for _ in range(4):
                await desk.pass_time(60)
            assert [one.about["subject"].partition(" ")[0] for one in desk.woken[1:]] == ["4", "4", "1"]
            assert "5 more follow" in desk.woken[1].body

    run(main())


def test_what_is_held_beyond_the_limit_is_dead_lettered_or_dropped_and_counted(tmp_path: Path) -> None:
    async def main() -> None:
        limits = TopicsLimits(mails_per_minute=1, mails_held_max=2)
        async with opened(tmp_path, limits=limits) as desk:
            queue = await desk.queues.create(SCOPE, "dead", {}, {})
            redrive = json.dumps({"deadLetterTargetArn": queue.arn})
            topic = await desk.topic()
            await desk.subscribed(topic, "email", ME, RedrivePolicy=redrive)
            await desk.subscribed(topic, "email", "other@example.com")
            for number in range(5):
                await desk.publish(f"{number}")
            assert desk.queues.counts(queue).visible == 2
            assert desk.topics.counts["dropped"] == 2

    run(main())


def test_who_unsubscribes_gets_no_digest(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, limits=TopicsLimits(mails_per_minute=1)) as desk:
            subscription = await desk.subscribed(await desk.topic(), "email", ME)
            await desk.publish("a")
            await desk.publish("b")
            await desk.topics.subscriptions.end(SCOPE, subscription.key)
            await desk.pass_time(120)
            assert desk.bodies() == ["a"]
            assert await desk.store.find(HeldMail) == []

    run(main())


def test_a_token_counts_for_two_days_and_what_nobody_confirmed_is_removed(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            topic = await desk.topic()
            subscriptions = desk.topics.subscriptions
            asked = await subscriptions.subscribe(topic, "email", ME, {}, desk.now_ms)
            desk.clock.move(2 * 86_400 + 1)
            with pytest.raises(InvalidParameter):
                await subscriptions.confirm(SCOPE, "t", asked.token, desk.now_ms)
            again = await subscriptions.subscribe(topic, "email", ME, {}, desk.now_ms)
            assert (again.id, again.token) == (asked.id, asked.token)
            assert len(desk.woken) == 2
            await desk.pass_time(2 * 86_400 + 1)
            assert await desk.store.find(Subscription) == []

    run(main())


def test_a_deduplication_id_is_remembered_for_five_minutes_over_restarts(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()

        async def publish(desk: Any) -> str:
            draft = Draft(message="x", group_id="g")
            prepared = await desk.topics.publish(SCOPE, "t.fifo", [draft])
            return str(prepared.sent[0].message_id)

        async with opened(tmp_path, clock) as desk:
            await desk.topic("t.fifo", FifoTopic="true", ContentBasedDeduplication="true")
            first = await publish(desk)
        async with opened(tmp_path, clock) as desk:
            clock.move(299)
            assert await publish(desk) == first
            clock.move(1)
            second = await publish(desk)
            assert second != first
            assert len(await desk.store.find(Publication)) == 1
            await desk.pass_time(301)
            assert await desk.store.find(Publication) == []

    run(main())


def test_a_delivery_policy_becomes_the_schedule_of_what_is_owed(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            policy = {"healthyRetryPolicy": {"numRetries": 5, "minDelayTarget": 1, "maxDelayTarget": 2}}
            topic = await desk.topic()
            await desk.subscribed(topic, "http", "http://127.0.0.1:9/x", DeliveryPolicy=json.dumps(policy))
            await desk.publish("a")
            [owed] = desk.woken
            assert owed in await desk.store.find(Outbound, SCOPE)
            assert owed.retry.attempts_max == 6
            assert owed.about["headers"]["x-amz-sns-message-type"] == "Notification"

    run(main())


def test_deleting_a_topic_leaves_nothing_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, limits=TopicsLimits(mails_per_minute=1)) as desk:
            topic = await desk.topic()
            await desk.subscribed(topic, "email", ME)
            await desk.publish("a", "b")
            await desk.topics.delete(SCOPE, "t")
            kinds: tuple[type[Record], ...] = (Subscription, HeldMail)
            for kind in kinds:
                assert [to_builtins(one) for one in await desk.store.find(kind)] == []

    run(main())


def test_what_waited_for_who_unsubscribed_is_not_carried(tmp_path: Path) -> None:
    class Carrier:
        def __init__(self) -> None:
            self.carried: list[str] = []

        async def carry(self, outbound: Outbound) -> Outcome:
            self.carried.append(outbound.body.partition("\n")[0])
            return DELIVERED

    async def main() -> None:
        async with opened(tmp_path) as desk:
            mine = Carrier()
            carrier = Subscribed(mine, desk.store)
            topic = await desk.topic()
            mail = await desk.subscribed(topic, "email", ME)
            post = await desk.subscribed(topic, "http", "http://127.0.0.1:9/x", RawMessageDelivery="true")
            await desk.publish("a")
            waiting = list(desk.woken)
            assert [(await carrier.carry(one)).verdict for one in waiting] == [Verdict.DELIVERED] * 2
            await desk.topics.subscriptions.leave(SCOPE, mail.key, mail.token, desk.now_ms)
            await desk.topics.subscriptions.end(SCOPE, post.key)
            assert [(await carrier.carry(one)).verdict for one in waiting] == [Verdict.NEVER] * 2
            [goodbye] = desk.woken[len(waiting) :]
            assert (await carrier.carry(goodbye)).verdict is Verdict.DELIVERED
            assert mine.carried == ["a", "a", "Your subscription to the topic below has been deactivated:"]

    run(main())
