"""Queues over a real store: what is promised holds, after a restart too. Time is moved by hand."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.queues.desk import SCOPE, HandClock, opened, run
from tocsin.core.queues.messages import Draft
from tocsin.model.changes import Delete, Put
from tocsin.model.queue_errors import OverLimit, PurgeQueueInProgress, QueueDoesNotExist, QueueError, RequestThrottled
from tocsin.services.queues import QueueLimits

FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}


def test_a_received_message_is_hidden_for_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create(VisibilityTimeout="10")
            await desk.send("a")
            assert await desk.bodies() == ["a"]
            assert await desk.bodies() == []
            desk.clock.move(10)
            [again] = await desk.receive()
            assert again.message.receives == 2
            assert await desk.delete(again) == [None]
            desk.clock.move(100)
            assert await desk.bodies() == []
            assert await desk.stored() == []

    run(main())


def test_what_was_sent_and_received_survives_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            await desk.create()
            for body in "abc":
                await desk.send(body)
            [first] = await desk.receive(most=1)
            [second] = await desk.receive(most=1)
            await desk.delete(second)
        async with opened(tmp_path, clock) as desk:
            assert await desk.bodies() == ["c"]
            assert await desk.delete(first) == [None]
            clock.move(60)
            assert await desk.bodies() == ["c"]

    run(main())


def test_sequence_numbers_grow_over_a_restart_of_an_empty_queue(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            await desk.create()
            before = await desk.send("a")
            await desk.delete(*await desk.receive())
        clock.move(0.001)
        async with opened(tmp_path, clock) as desk:
            assert (await desk.send("b")).sequence > before.sequence

    run(main())


def test_a_stale_handle_deletes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create()
            await desk.send("a")
            [old] = await desk.receive(visibility_s=0)
            [new] = await desk.receive()
            assert await desk.delete(old) == [None]
            assert len(await desk.stored()) == 1
            assert (await desk.hide(old, 0)).code == "InvalidParameterValue"
            assert await desk.delete(new, new) == [None, None]
            assert await desk.stored() == []

    run(main())


def test_visibility_can_be_shortened_and_prolonged(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create()
            await desk.send("a")
            [one] = await desk.receive()
            assert await desk.hide(one, 100) is None
            desk.clock.move(99)
            assert await desk.bodies() == []
            assert await desk.hide(one, 0) is None
            [two] = await desk.receive(visibility_s=5)
            assert (await desk.hide(two, 43_201)).code == "InvalidParameterValue"
            desk.clock.move(1)
            assert "beyond the limit" in (await desk.hide(two, 43_200)).message
            desk.clock.move(4)
            assert (await desk.hide(two, 1)).code == "MessageNotInflight"

    run(main())


def test_dead_letters_move_in_one_commit_and_keep_their_id(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            dead = await desk.create("dead")
            policy = f'{{"deadLetterTargetArn":"{dead.arn}","maxReceiveCount":"2"}}'
            source = await desk.create(RedrivePolicy=policy)
            sent = await desk.send("a")
            assert await desk.bodies(visibility_s=0) == ["a"]
            assert await desk.bodies(visibility_s=0) == ["a"]
            assert await desk.bodies() == []
            [letter] = await desk.receive("dead")
            assert letter.message.message_id == sent.message_id
            assert letter.message.source_arn == source.arn
            assert letter.message.receives == 1
            assert [queue.name for queue in desk.queues.sources_of(dead)] == ["q"]
        async with opened(tmp_path, clock) as desk:
            assert len(await desk.stored()) == 1

    run(main())


def test_a_delay_and_the_retention_hold(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            queue = await desk.create(DelaySeconds="5", MessageRetentionPeriod="60")
            await desk.send("late")
            await desk.send("now", delay_s=0)
            assert desk.queues.counts(queue).delayed == 1
            assert await desk.bodies(visibility_s=0) == ["now"]
            desk.clock.move(5)
            assert await desk.bodies(visibility_s=0) == ["late", "now"]
            desk.clock.move(54)
            assert await desk.queues.sweep(desk.clock.now()) == 0
            desk.clock.move(1)
            assert await desk.queues.sweep(desk.clock.now()) == 2
            assert await desk.stored() == []
            await desk.send("expires unseen")
            desk.clock.move(60)
            assert await desk.bodies() == []
            assert await desk.stored() == []

    run(main())


def test_a_group_is_blocked_while_one_of_its_messages_is_in_flight(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create("q.fifo", **FIFO)
            for body, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
                await desk.send(body, "q.fifo", group_id=group)
            [a1] = await desk.receive("q.fifo", 1)
            assert a1.message.body == "a1"
            assert await desk.bodies("q.fifo") == ["b1"]
            await desk.delete(a1, name="q.fifo")
            both = await desk.receive("q.fifo")
            assert [one.message.body for one in both] == ["a2", "a3"]
            await desk.delete(both[0], name="q.fifo")
            await desk.send("a4", "q.fifo", group_id="a")
            assert await desk.bodies("q.fifo") == []
            desk.clock.move(30)
            assert "a3" in await desk.bodies("q.fifo")
            [expired] = await desk.delete(both[1], name="q.fifo")
            assert "expired" in expired.message

    run(main())


def test_a_repeated_message_is_one_for_five_minutes_even_when_it_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            await desk.create("q.fifo", **FIFO)
            first = await desk.send("a", "q.fifo", group_id="g")
            assert await desk.send("a", "q.fifo", group_id="g") == first
            await desk.delete(*await desk.receive("q.fifo"), name="q.fifo")
            assert await desk.send("a", "q.fifo", group_id="g") == first
        async with opened(tmp_path, clock) as desk:
            assert await desk.send("a", "q.fifo", group_id="g") == first
            assert await desk.bodies("q.fifo") == []
            clock.move(300)
            assert await desk.queues.sweep(clock.now()) == 1
            assert await desk.stored() == []
            assert await desk.send("a", "q.fifo", group_id="g") != first
            assert await desk.bodies("q.fifo") == ["a"]

    run(main())


def test_two_who_send_the_same_at_once_send_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create("q.fifo", **FIFO)
            sent = await asyncio.gather(*(desk.send("a", "q.fifo", group_id="g") for _ in range(5)))
            assert len({one.message_id for one in sent}) == 1
            assert await desk.bodies("q.fifo") == ["a"]

    run(main())


def test_of_many_who_receive_at_once_each_message_goes_to_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create()
            await desk.queues.send(SCOPE, "q", [Draft(body=str(n)) for n in range(100)])
            found = await asyncio.gather(*(desk.bodies(most=3) for _ in range(40)))
            assert sorted((body for bodies in found for body in bodies), key=int) == [str(n) for n in range(100)]

    run(main())


async def waiting(desk: Any, **ask: Any) -> "asyncio.Task[list[str]]":
    desk.clock.slept.clear()
    task = asyncio.create_task(desk.bodies(**ask))
    await desk.clock.slept.wait()
    return task


def test_who_waits_gets_what_arrives(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create()
            task = await waiting(desk, wait_s=20)
            await desk.send("a")
            assert await task == ["a"]
            task = await waiting(desk, wait_s=2)
            desk.clock.move(2)
            assert await task == []
            task = await waiting(desk, wait_s=20)
            await desk.queues.delete_queue(SCOPE, "q")
            with pytest.raises(QueueDoesNotExist):
                await task

    run(main())


def test_who_waits_gets_what_becomes_visible(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create(ReceiveMessageWaitTimeSeconds="20")
            await desk.send("a", delay_s=3)
            task = await waiting(desk)
            desk.clock.move(3)
            assert await task == ["a"]

    run(main())


def test_purged_is_gone_and_what_comes_after_stays(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            await desk.create()
            await desk.send("old")
            [flying] = await desk.receive()
            await desk.queues.purge(SCOPE, "q")
            await desk.send("new")
            assert await desk.delete(flying) == [None]
            with pytest.raises(PurgeQueueInProgress):
                await desk.queues.purge(SCOPE, "q")
        async with opened(tmp_path, clock) as desk:
            assert await desk.queues.sweep(clock.now()) == 1
            assert await desk.bodies() == ["new"]
            clock.move(60)
            await desk.queues.purge(SCOPE, "q")

    run(main())


def test_a_queue_of_the_same_name_is_another_queue(tmp_path: Path) -> None:
    async def main() -> None:
        clock = HandClock()
        async with opened(tmp_path, clock) as desk:
            await desk.create()
            await desk.send("old")
            [old] = await desk.receive()
            await desk.queues.delete_queue(SCOPE, "q")
            await desk.create()
            assert (await desk.delete(old))[0].code == "ReceiptHandleIsInvalid"
        async with opened(tmp_path, clock) as desk:
            assert await desk.bodies() == []
            assert await desk.queues.sweep(clock.now()) == 1
            assert await desk.stored() == []
        async with opened(tmp_path, clock) as desk:
            assert await desk.queues.sweep(clock.now()) == 0

    run(main())


def test_the_bus_puts_a_message_into_its_own_commit(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            queue = await desk.create()
            assert desk.queues.queue_by_arn(queue.arn) == queue
            assert desk.queues.queue_by_arn(queue.arn + "x") is None
            message = desk.queues.message_to(queue, "event", {}, now_ms=int(desk.clock.now().timestamp() * 1000))
            task = await waiting(desk, wait_s=20)
            await desk.store.commit(Put(message))
            desk.queues.arrived(message)
            desk.queues.arrived(message)
            assert await task == ["event"]
            fifo = await desk.create("q.fifo", **FIFO)
            with pytest.raises(QueueError):
                desk.queues.message_to(fifo, "event", {}, now_ms=1)
            now_ms = int(desk.clock.now().timestamp() * 1000)
            for _ in range(2):
                message = desk.queues.message_to(fifo, "event", {}, now_ms=now_ms, group_id="g")
                await desk.store.commit(Put(message))
                desk.queues.arrived(message)
            assert await desk.bodies("q.fifo") == ["event"]
            await desk.queues.delete_queue(SCOPE, "q")
            with pytest.raises(QueueDoesNotExist):
                desk.queues.message_to(queue, "event", {}, now_ms=1)

    run(main())


def test_another_writer_is_noticed(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            await desk.create()
            await desk.send("a")
            await desk.send("b")
            first, _ = await desk.stored()
            await desk.store.commit(Delete(first))
            assert await desk.bodies() == ["b"]

    run(main())


def test_limits_hold(tmp_path: Path) -> None:
    async def main() -> None:
        limits = QueueLimits(queue_messages_max=3, queues_max=1, in_flight_max=2, polls_max=0)
        async with opened(tmp_path, limits=limits) as desk:
            await desk.create()
            with pytest.raises(OverLimit):
                await desk.create("more")
            for body in "abc":
                await desk.send(body)
            with pytest.raises(RequestThrottled):
                await desk.send("d")
            assert len(await desk.bodies(most=2)) == 2
            with pytest.raises(OverLimit):
                await desk.receive()
            desk.clock.move(30)
            await desk.delete(*await desk.receive(most=3))
            assert await desk.bodies(wait_s=20) == []  # nobody may wait: answered at once

    run(main())


def test_a_fifo_queue_with_too_many_in_flight_lets_wait(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, limits=QueueLimits(in_flight_max=1)) as desk:
            await desk.create("q.fifo", **FIFO)
            await desk.send("a", "q.fifo", group_id="a")
            await desk.send("b", "q.fifo", group_id="b")
            [first] = await desk.receive("q.fifo", 1)
            assert await desk.bodies("q.fifo") == []
            task = await waiting(desk, name="q.fifo", wait_s=20)
            await desk.delete(first, name="q.fifo")
            assert await task == ["b"]

    run(main())
