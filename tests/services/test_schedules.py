"""Schedules: each time fires once, whatever happens between, and only for the rule whose time it is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.routing import RuleIndex, route
from tocsin.model.changes import Put
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.rule import Rule, RuleState, Target
from tocsin.services.schedules import Schedules

SCOPE = Scope("111122223333", "us-west-2")
BEGIN = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


class NoClock:
    """`fire` is told the time; nothing else here may ask for it."""

    def now(self) -> datetime:
        raise AssertionError("asked for the time")

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("went to sleep")


def rule(name: str = "r", schedule: str = "rate(5 minutes)", **more: object) -> Rule:
    scheduled_ms = int(BEGIN.timestamp() * 1000)
    target = Target(id="1", arn="arn:aws:logs:us-west-2:111122223333:log-group:/g", spec={"Id": "1", "Arn": "x"})
    members = {"schedule": schedule, "scheduled_ms": scheduled_ms, "targets": (target,)}
    return Rule(scope=SCOPE, name=name, **(members | more))  # type: ignore[arg-type]


def played(folder: Path, play: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = await SqliteStore.open(folder, [Rule])
        try:
            await play(store)
        finally:
            await store.close()

    asyncio.run(opened())


async def times(store: SqliteStore) -> list[str]:
    return [json.loads(entry.event.body)["time"] for entry in await store.journal(0, 1000)]


def test_a_rate_fires_once_for_each_period_and_says_when_the_next_is(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        schedules = Schedules(store, NoClock())
        await store.commit(Put(rule()))
        due = await schedules.fire(BEGIN)
        assert await times(store) == []
        assert due is not None
        for _ in range(3):
            assert due is not None
            following = await schedules.fire(due)
            assert await schedules.fire(due) == following, "looking twice fires nothing twice"
            due = following
        assert await times(store) == ["2026-01-01T12:05:00Z", "2026-01-01T12:10:00Z", "2026-01-01T12:15:00Z"]

    played(tmp_path / "data", play)


def test_what_was_missed_fires_once_with_the_latest_time_also_after_a_restart(tmp_path: Path) -> None:
    async def before(store: SqliteStore) -> None:
        await store.commit(Put(rule(schedule="cron(0 * * * ? *)")))
        await Schedules(store, NoClock()).fire(BEGIN + timedelta(hours=1))

    async def after(store: SqliteStore) -> None:
        later = BEGIN + timedelta(hours=5)
        for _ in range(2):
            await Schedules(store, NoClock()).fire(later)
        assert await times(store) == ["2026-01-01T13:00:00Z", "2026-01-01T17:00:00Z"]

    played(tmp_path / "data", before)
    played(tmp_path / "data", after)


def test_a_disabled_rule_does_not_fire_and_its_enabling_catches_nothing_up(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        schedules = Schedules(store, NoClock())
        off = rule(state=RuleState.DISABLED)
        await store.commit(Put(off))
        later = BEGIN + timedelta(hours=2)
        assert await schedules.fire(later) is None
        await store.commit(Put(successor(off, state=RuleState.ENABLED, scheduled_ms=int(later.timestamp() * 1000))))
        await schedules.fire(later)
        assert await times(store) == []
        await schedules.fire(later + timedelta(minutes=5))
        assert len(await times(store)) == 1

    played(tmp_path / "data", play)


def test_a_firing_reaches_its_own_rules_targets_only(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        mine, other = rule("mine"), rule("other", schedule="cron(0 0 1 1 ? 2199)")
        by_pattern = rule("by-pattern", schedule="", pattern='{"source":["my.app"]}')
        await store.commit(Put(mine), Put(other), Put(by_pattern))
        await Schedules(store, NoClock()).fire(BEGIN + timedelta(minutes=5))
        [entry] = await store.journal(0, 10)
        told = json.loads(entry.event.body)
        assert (told["source"], told["detail-type"], told["resources"], told["detail"]) == (
            "aws.events",
            "Scheduled Event",
            [mine.arn],
            {},
        )
        deliveries, unfit = route(entry.event, RuleIndex.of([mine, other, by_pattern]))
        assert [one.rule.name for one in deliveries] == ["mine"]
        assert unfit == []

    played(tmp_path / "data", play)
