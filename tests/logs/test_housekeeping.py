"""Housekeeping: log events leave with their retention, the journal keeps its length, nothing else goes."""

import asyncio
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.logs.desk import GROUP, HERE, START, START_MS, STREAM, Desk, at_the_desk
from tocsin.core.retention import JournalBounds, drop, expired, forget
from tocsin.model.archive import Archive, Replay
from tocsin.model.changes import Accept, Advance, Keep, Put
from tocsin.model.cloud import ResourceRequest
from tocsin.model.errors import StoreUnavailable
from tocsin.model.event import Event, JournalMark
from tocsin.model.logs import LogEvent, LogGroup
from tocsin.services.housekeeping import Housekeeping, HousekeepingLimits, Swept

DAY = 24 * 3600 * 1000
LIMITS = HousekeepingLimits(journal_events_max=3, journal_bite=2, log_bite_events=3)


class StillClock:
    """Stands; every sleep is counted and over at once, the last one never."""

    def __init__(self, sleeps: int = 0) -> None:
        self.slept: list[float] = []
        self._sleeps = sleeps
        self.resting = asyncio.Event()

    def now(self) -> datetime:
        return START

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self._sleeps:
            self.resting.set()
            await asyncio.Event().wait()


async def journal(desk: Desk, count: int, routed: int, step_ms: int = 0) -> None:
    await desk.store.commit(
        *(
            Accept(Event(scope=HERE, bus="default", id=f"{n}", at_ms=START_MS + n * step_ms, body=b"{}"))
            for n in range(count)
        )
    )
    if routed:
        await desk.store.commit(Advance(cursor="router", expected=0, seq=routed))


async def left(desk: Desk, group: str = GROUP) -> list[str]:
    pages = await desk.everything("FilterLogEvents", "events", logGroupName=group)
    return [event["message"] for page in pages for event in page]


def test_events_leave_with_the_retention_of_their_group(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for group in (GROUP, "for ever"):
            await desk.group(group, STREAM)
            await desk.put(*((-3 * DAY + at // 5, f"old {at}") for at in range(11)), group=group)
            await desk.put((-DAY, "just kept"), (0, "new"), group=group)
        await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        keeper = Housekeeping(desk.store, StillClock(), LIMITS)
        swept = await keeper.sweep(desk.now)
        assert await left(desk) == ["just kept", "new"]
        assert len(await left(desk, "for ever")) == 13
        assert (swept.journal_events, keeper.dropped.log_events) == (0, swept.log_events)
        assert 0 < swept.log_events <= 11  # of many in one millisecond those beyond the bite go uncounted
        assert (await keeper.sweep(desk.now)).log_events == 0
        desk.later(milliseconds=1)
        assert (await keeper.sweep(desk.now)).log_events == 1
        assert await left(desk) == ["new"]
        [stream] = (await desk("DescribeLogStreams", logGroupName=GROUP))["logStreams"]
        assert stream["firstEventTimestamp"] == START_MS

    at_the_desk(tmp_path, story)


def test_one_sweep_drops_a_bounded_number_of_bites(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put(*((-3 * DAY + at, f"{at}") for at in range(20)))
        await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        limits = HousekeepingLimits(log_bite_events=3, log_bites_max=2)
        keeper = Housekeeping(desk.store, StillClock(), limits)
        counts = [(await keeper.sweep(desk.now)).log_events for _ in range(6)]
        assert counts == [4, 4, 4, 4, 3, 1]  # a bite of three ends before the time of its third
        assert keeper.dropped.log_events == 20

    at_the_desk(tmp_path, story)


def test_the_journal_keeps_its_newest_and_whatever_is_not_routed(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await journal(desk, 10, 5)
        keeper = Housekeeping(desk.store, StillClock(), LIMITS)
        assert (await keeper.sweep(desk.now)).journal_events == 5
        assert await desk.store.journal_bounds() == (6, 10)
        await desk.store.commit(Advance(cursor="router", expected=5, seq=10))
        assert (await keeper.sweep(desk.now)).journal_events == 2
        assert await desk.store.journal_bounds() == (8, 10)
        assert (await keeper.sweep(desk.now)).journal_events == 0

    at_the_desk(tmp_path, story)


def test_a_journal_never_routed_is_kept_whole(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        keeper = Housekeeping(desk.store, StillClock(), LIMITS)
        assert (await keeper.sweep(desk.now)).journal_events == 0
        await journal(desk, 10, 0)
        assert (await keeper.sweep(desk.now)).journal_events == 0

    at_the_desk(tmp_path, story)


def test_the_loop_sweeps_rests_and_outlives_a_store_that_is_away(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await journal(desk, 10, 10)
        bounds, failures = desk.store.journal_bounds, iter([True, False, False])

        async def sometimes() -> tuple[int, int]:
            if next(failures):
                raise StoreUnavailable("disk full")
            return await bounds()

        desk.store.journal_bounds = sometimes  # type: ignore[method-assign]
        clock = StillClock(sleeps=1)
        keeper = Housekeeping(desk.store, clock, LIMITS)
        loop = asyncio.create_task(keeper.run())
        await clock.resting.wait()
        loop.cancel()
        assert clock.slept == [60.0, 60.0]
        assert keeper.dropped.journal_events == 7

    at_the_desk(tmp_path, story)


def group_of(days: int) -> LogGroup:
    return LogGroup(scope=HERE, name=GROUP, created_ms=0, retention_days=days)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8).map(sorted), st.integers(1, 9))
def test_a_bite_drops_something_old_and_nothing_else(times: list[int], bite: int) -> None:
    """Every bite drops at least its oldest event, so bites come to an end, and never an event within the retention."""
    [query] = expired([group_of(1)], DAY + 6, bite_events=bite, bite_bytes=1)
    assert query.end_ms == 6
    oldest = [
        LogEvent(id=number, stream=STREAM, at_ms=at, ingested_ms=at, message="") for number, at in enumerate(times)
    ][:bite]
    change = drop(query, oldest)
    assert change is not None
    assert change.before_ms is not None
    assert oldest[0].at_ms < change.before_ms <= query.end_ms


def test_a_group_kept_for_ever_and_a_group_without_old_events_lose_nothing() -> None:
    assert expired([group_of(0)], DAY, bite_events=1, bite_bytes=1) == []
    [query] = expired([group_of(7)], 8 * DAY, bite_events=1, bite_bytes=1)
    assert drop(query, []) is None


def test_the_journal_forgets_what_is_older_than_its_days(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await journal(desk, 10, 10, step_ms=DAY)
        keeper = Housekeeping(desk.store, StillClock(), HousekeepingLimits(journal_days=7, journal_bite=2))
        assert (await keeper.sweep(START + timedelta(days=10))).journal_events == 3
        assert await desk.store.journal_bounds() == (4, 10)
        for_ever = Housekeeping(desk.store, StillClock(), HousekeepingLimits(journal_days=0))
        assert (await for_ever.sweep(START + timedelta(days=99))).journal_events == 0

    at_the_desk(tmp_path, story)


def test_the_journal_keeps_so_many_bytes(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await journal(desk, 10, 10)
        keeper = Housekeeping(desk.store, StillClock(), HousekeepingLimits(journal_bytes_max=7, journal_bite=2))
        assert (await keeper.sweep(START)).journal_events == 6  # of 2 bytes each, 4 come to 7 at least
        assert await desk.store.journal_bounds() == (7, 10)

    at_the_desk(tmp_path, story)


marks = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20)


@given(marks, st.integers(0, 60), st.integers(1, 20), st.integers(1, 60), st.integers(0, 9), st.integers(1, 20))
def test_what_is_forgotten_is_out_of_bounds_and_routed(
    steps: list[tuple[int, int, int]], routed: int, events_max: int, bytes_max: int, since_ms: int, look: int
) -> None:
    """The longest run from the oldest on of entries that are each routed, and too old, too many or too much."""
    journal, seq, total = list[JournalMark](), 0, 0
    for gap, at_ms, size in steps:
        seq, total = seq + gap, total + size
        journal.append(JournalMark(seq, at_ms, total))
    newest, bounds = journal[-1], JournalBounds(events_max=events_max, bytes_max=bytes_max, since_ms=since_ms)

    def goes(mark: JournalMark) -> bool:
        too_old = mark.at_ms < since_ms
        too_many = newest.seq - mark.seq >= events_max
        too_much = newest.through_bytes - mark.through_bytes >= bytes_max
        return mark.seq <= routed and (too_old or too_many or too_much)

    run = list(takewhile(goes, journal[:look]))
    found = forget(journal[:look], newest, routed, bounds)
    assert (found.through_seq if found else 0) == (run[-1].seq if run else 0)


def test_archived_events_leave_with_the_retention_of_their_archive(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for name, days in (("one", 1), ("ever", 0)):
            archive = Archive(scope=HERE, name=name, bus="default", retention_days=days, created_ms=1)
            times = [*(START_MS - 3 * DAY + at // 5 for at in range(11)), START_MS - DAY, START_MS]
            keeps = [Keep(scope=HERE, archive=name, at_ms=at_ms, body=b"x") for at_ms in times]
            await desk.store.commit(Put(archive), *keeps)
        keeper = Housekeeping(desk.store, StillClock(), LIMITS)
        await keeper.sweep(START)
        kept = await desk.store.archived(HERE, "one")
        assert [one.at_ms for one in kept] == [START_MS - DAY, START_MS]
        sums = await desk.store.archive_sums(HERE, ["one", "ever"])
        assert (sums["one"].events, sums["ever"].events) == (2, 13)
        assert await keeper.sweep(START) == Swept()

    at_the_desk(tmp_path, story)


def test_replays_are_told_of_for_ninety_days(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        common = {"scope": HERE, "archive": "a", "bus": "default", "start_ms": 0, "end_ms": 1, "started_ms": 1}
        for name, ended_ms in (("old", START_MS - 91 * DAY), ("young", START_MS - 89 * DAY), ("running", 0)):
            await desk.store.commit(Put(Replay(**common, name=name, ended_ms=ended_ms)))  # type: ignore[arg-type]
        assert (await Housekeeping(desk.store, StillClock(), LIMITS).sweep(START)).replays == 1
        assert [one.name for one in await desk.store.find(Replay)] == ["running", "young"]

    at_the_desk(tmp_path, story)


def test_requests_for_resources_are_told_of_for_a_week(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        common = {"scope": HERE, "type_name": "AWS::A::B", "digest": "", "operation": "CREATE", "status": "SUCCESS"}
        for token, days in (("young", 6), ("old", 7)):
            await desk.store.commit(Put(ResourceRequest(**common, token=token, asked_ms=START_MS - days * DAY)))  # type: ignore[arg-type]
        assert (await Housekeeping(desk.store, StillClock(), LIMITS).sweep(START)).requests == 1
        assert [one.token for one in await desk.store.find(ResourceRequest)] == ["young"]

    at_the_desk(tmp_path, story)
