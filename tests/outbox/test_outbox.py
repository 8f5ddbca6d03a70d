"""The outbox: everything owed is delivered, tried again or given up; lanes do not disturb each other."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.outbox.post import AGAIN, NEVER, Peer, last_resort, opened, run, turn
from tests.queues.desk import SCOPE, HandClock
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import Throttling
from tocsin.model.outbound import DELIVERED, Outbound, Outcome, RetryPolicy, Verdict
from tocsin.services.outbox import OutboxLimits


def test_what_is_owed_is_delivered_once_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            await post.owe("a", "1", "2")
            await post.until(delivered=2)
            assert post.peer.calls == [("a", "1"), ("a", "2")]
            assert await post.owed() == []
            assert post.outbox.waiting == 0
            assert post.outbox.by_origin == {("rule of a", ""): {"arrived": 2, "attempts": 2, "delivered": 2}}

    run(main())


def test_a_failed_attempt_is_made_again_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.answers["a"] = [AGAIN, AGAIN, DELIVERED]
            await post.owe("a", "1")
            await post.until(retried=1)
            [kept] = await post.owed()
            assert (kept.attempts, kept.last_error, kept.due_ms - kept.first_ms) == (1, "HTTP 503", 1000)
            await turn()  # the outbox is back at rest before the clock is moved
            post.clock.move(0.999)
            await turn()
            assert len(post.peer.calls) == 1
            post.clock.move(0.001)
            await post.until(retried=2)
            post.clock.move(2)
            await post.until(delivered=1)
            assert post.outbox.counts["attempts"] == 3

    run(main())


def test_one_that_waits_does_not_hold_up_those_behind_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.answers["a"] = [AGAIN, DELIVERED]
            await post.owe("a", "1")
            await post.until(retried=1)
            await post.owe("a", "2")
            await post.until(delivered=1)
            assert post.peer.taken("a") == ["1", "2"]

    run(main())


def test_a_lane_that_hangs_delays_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        limits = OutboxLimits(in_flight_max=3, lane_in_flight_max=5, lane_in_flight_own=2)
        async with opened(tmp_path, limits) as post:
            post.peer.hanging = {"dead 1", "dead 2"}
            for lane in sorted(post.peer.hanging):
                await post.owe(lane, *map(str, range(20)))
            await post.peer.called(2 * 2 + 3)
            await post.owe("alive", *map(str, range(50)))
            await post.until(delivered=50)
            assert post.peer.taken("alive") == sorted(map(str, range(50)))
            assert post.peer.most_flying <= 3 + 3 * 2

    run(main())


def test_what_nobody_can_take_goes_to_its_queue_in_the_same_commit(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            await post.queues.create(SCOPE, "dlq", {}, {})
            post.peer.answers["a"] = [NEVER]
            await post.owe("a", "1", last_resort=last_resort())
            await post.until(dead_lettered=1)
            [message] = await post.dead()
            assert message.body == '{"id":"e"}'
            assert {name: one.text for name, one in message.attributes.items()} == {
                "RULE_ARN": "r",
                "TARGET_ARN": "t",
                "ERROR_CODE": "INVALID_PARAMETER",
                "ERROR_MESSAGE": "HTTP 400",
                "RETRY_ATTEMPTS": "0",
            }
            assert await post.owed() == []

    run(main())


def test_exhausted_retries_are_told_in_the_dead_letter(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            await post.queues.create(SCOPE, "dlq", {}, {})
            post.peer.answers["a"] = [AGAIN]
            await post.owe("a", "1", last_resort=last_resort(), retry=RetryPolicy(attempts_max=2))
            await post.until(retried=1)
            post.clock.move(1)
            await post.until(dead_lettered=1)
            told = {name: one.text for name, one in (await post.dead())[0].attributes.items()}
            assert told["RETRY_ATTEMPTS"] == "1"
            assert told["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"

    run(main())


def test_what_was_given_up_without_a_queue_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.answers["a"] = [NEVER]
            await post.owe("a", "1")
            await post.owe("a", "2", last_resort=last_resort())  # its queue is not there
            await post.until(dropped=2)
            assert await post.owed() == []

    run(main())
    assert "2 deliveries of rule of a dropped, the last: HTTP 400" in caplog.text


def test_what_is_too_old_is_given_up_without_being_tried(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, running=False) as post:
            await post.owe("a", "1", retry=RetryPolicy(age_s_max=60))
            clock = post.clock
            clock.move(60)
        async with opened(tmp_path, clock=clock) as post:
            await post.until(dropped=1)
            assert post.peer.calls == []

    run(main())


def test_a_rate_limit_of_ours_costs_no_attempt_and_rests_the_lane(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, OutboxLimits(lane_in_flight_max=1, lane_in_flight_own=1)) as post:
            post.peer.answers["a"] = [Outcome(verdict=Verdict.NOT_YET, after_s=3), DELIVERED]
            await post.owe("a", "1", "2")
            await post.peer.called(1)
            await post.owe("b", "1")
            await post.until(delivered=1)
            assert post.peer.calls == [("a", "1"), ("b", "1")]
            post.clock.move(3)
            await post.until(delivered=3)
            assert post.outbox.counts["attempts"] == 3

    run(main())


def test_a_carrier_that_is_missing_or_breaks_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Peer):
        async def carry(self, outbound: Outbound) -> Outcome:
            raise RuntimeError("oh")

    async def main() -> None:
        async with opened(tmp_path, peer=Broken()) as post:
            await post.owe("a", "1")
            await post.owe("b", "1", carrier="pigeon")
            await post.until(retried=2)
            assert [one.last_error for one in await post.owed()] == [
                "RuntimeError: oh",
                "Nothing here carries deliveries by pigeon.",
            ]

    run(main())
    assert "carrying" in caplog.text


def test_a_crowded_lane_gives_up_its_oldest_and_keeps_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, running=False) as post:
            await post.owe("a", "1", "2", "3", "4")
            await post.owe("b", "1")
        async with opened(tmp_path, OutboxLimits(lane_owed_max=2)) as post:
            await post.until(dropped=2, delivered=3)
            assert post.outbox.counts["crowded_out"] == 2
            assert post.peer.taken("a") == ["3", "4"]
            assert post.peer.taken("b") == ["1"]

    run(main())


def test_nothing_more_may_be_owed_when_too_much_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, OutboxLimits(owed_max=2), running=False) as post:
            await post.owe("a", "1")
            post.outbox.demand_room()
            await post.owe("a", "2")
            with pytest.raises(Throttling, match=r"2 deliveries are owed .*outbox.owed_max"):
                post.outbox.demand_room()

    run(main())


# Crashes and starts.


def test_after_a_start_everything_owed_is_taken_up_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock=clock) as post:
            post.peer.answers["a"] = [AGAIN]
            await post.owe("a", "1")
            await post.until(retried=1)
            await post.owe("b/c", *map(str, range(100, 200)), announced=False)
            await post.owe("b", "1", announced=False)
        async with opened(tmp_path, clock=clock) as post:
            assert post.outbox.waiting == 102
            await post.until(delivered=101)
            assert post.peer.taken("b/c") == list(map(str, range(100, 200)))
            assert post.peer.taken("a") == []
            clock.move(1)
            await post.until(delivered=102)
            assert post.outbox.waiting == 0

    run(main())


def test_an_attempt_cut_by_a_stop_is_made_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.hanging = {"a"}
            await post.owe("a", "1")
            await post.peer.called(1)
        async with opened(tmp_path) as post:
            await post.until(delivered=1)
            assert post.peer.calls == [("a", "1")]

    run(main())


def test_what_was_read_before_it_was_announced_is_delivered_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            late = [post.made("a", "2"), post.made("a", "3")]
            await post.store.commit(*map(Put, late))
            await post.owe("a", "1")
            await post.until(delivered=1)
            post.outbox.arrived(late)
            await post.until(delivered=3)
            assert sorted(post.peer.taken("a")) == ["1", "2", "3"]
            await post.owe("a", "4")
            await post.until(delivered=4)
            assert post.outbox.waiting == 0

    run(main())


def test_what_nobody_told_of_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            await post.owe("a", "1")
            await post.until(delivered=1)
            await post.owe("a", "2", announced=False)
            await post.owe("b", "1", announced=False)
            post.clock.move(60)
            await post.until(delivered=3)
            assert post.outbox.waiting == 0

    run(main())


def test_what_somebody_else_removed_is_not_owed_any_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.answers["a"] = [AGAIN]
            await post.owe("a", "1")
            await post.until(retried=1)
            await post.store.commit(*map(Delete, await post.owed()))
            post.clock.move(1)
            await post.owe("b", "1")
            await post.until(delivered=1)
            while post.outbox.waiting:
                await turn()
            assert await post.outbox.lanes(SCOPE) == []

    run(main())


def test_much_more_than_is_known_at_a_time_is_delivered_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        limits = OutboxLimits(lane_known_own=5, known_max=0, lane_in_flight_max=1, lane_in_flight_own=1)
        async with opened(tmp_path, limits) as post:
            names = [f"{number:03}" for number in range(200)]
            await post.owe("a", *names)
            await post.until(delivered=200)
            assert post.peer.taken("a") == names

    run(main())


# What people see.


def test_a_lane_tells_what_it_owes_since_when_it_fails_and_when_it_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as post:
            post.peer.answers["a"] = [AGAIN]
            await post.owe("a", "1")
            await post.owe("b", "1")
            await post.until(retried=1, delivered=1)
            [view] = await post.outbox.lanes(SCOPE)
            began_ms = view.oldest.first_ms
            assert (view.lane, view.owed, view.in_flight) == ("a", 1, 0)
            assert (view.failing_since_ms, view.next_try_ms) == (began_ms, began_ms + 1000)
            assert (view.oldest.attempts, view.oldest.last_error) == (1, "HTTP 503")
            assert await post.outbox.lanes(replace(SCOPE, region="eu-west-1")) == []

    run(main())
