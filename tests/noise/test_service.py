"""Noise control beside the router, on a real store: what is remembered commits with what was let through."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.noise import control_of
from tocsin.model.archive import Archive, Replay
from tocsin.model.changes import Put
from tocsin.model.event import Event, envelope
from tocsin.model.logs import LogGroup, LogPolicy, LogQuery
from tocsin.model.names import Scope, log_group_arn, rule_arn
from tocsin.model.noise import NoiseSetting, Window
from tocsin.model.rule import Rule, Target
from tocsin.model.tags import Tags
from tocsin.model.times import epoch_ms
from tocsin.services import sifting
from tocsin.services.bus import ROUTER, Bus
from tocsin.services.digests import Digests
from tocsin.services.noise import Noise
from tocsin.targets.loggroups import LogGroups

HERE = Scope("111111111111", "eu-central-1")
RULE_ARN = rule_arn(HERE, "default", "r")
KINDS = (Archive, Replay, Rule, Tags, LogGroup, LogPolicy, NoiseSetting, Window)


class Clock:
    """Moved by hand. Who sleeps is never woken."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class World:
    """One rule into one log group. `again` is what a start after kill -9 finds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.clock = Clock()
        self._number = 0

    async def open(self, control: str = "") -> "World":
        self.store = await SqliteStore.open(self._directory, KINDS)
        target = Target(id="log", arn=log_group_arn(HERE, "/g"), spec={})
        rule = Rule(scope=HERE, name="r", pattern='{"source":["x"]}', targets=(target,))
        await self.store.commit(Put(LogGroup(scope=HERE, name="/g", created_ms=1)), Put(rule))
        if control:
            await self.store.commit(Put(setting(control)))
        await self._start()
        return self

    async def _start(self) -> None:
        self.noise = Noise(self.store)
        targets = {"logs": LogGroups(self.store)}
        self.bus = Bus(store=self.store, clock=self.clock, targets=targets, noise=self.noise)
        self.digests = Digests(noise=self.noise, bus=self.bus, store=self.store, clock=self.clock)
        await self.bus.load()
        self._running = asyncio.create_task(self.bus.run())

    async def again(self) -> None:
        """All that is only in memory is lost."""
        await self._stop()
        await self._start()

    async def _stop(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def close(self) -> None:
        await self._stop()
        await self.store.close()

    async def put(self, *details: dict[str, Any], after_s: float = 0) -> None:
        """Events, one by one, each routed before the next is put."""
        for detail in details:
            self.clock.at += timedelta(seconds=after_s)
            self._number += 1
            name = f"e{self._number}"
            body = envelope(scope=HERE, id=name, source="x", detail_type="t", time="2026", resources=[], detail=detail)
            at_ms = epoch_ms(self.clock.at)
            await self.bus.accept([Event(scope=HERE, bus="default", id=name, at_ms=at_ms, body=body)])
            await self.rest()

    async def rest(self) -> None:
        """Until all is routed. The bus says so nowhere but in its place, which is looked at in turns of the loop."""
        _, last = await self.store.journal_bounds()
        for _ in range(100_000):
            if await self.store.cursor(ROUTER) >= last:
                break
            await asyncio.sleep(0)
        else:
            raise AssertionError("the router stands still")
        async with self.noise.turn:
            pass

    async def wait(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)
        await self.digests.tell()

    async def lines(self) -> list[str]:
        """What the target got: ids, and of digests how much they tell."""
        found = await self.store.log_events(LogQuery(scope=HERE, group="/g"))
        told = [json.loads(one.message) for one in sorted(found, key=lambda one: one.id)]
        return [one["id"] if one["source"] == "x" else f"+{one['detail']['HeldBack']}" for one in told]

    async def held(self) -> list[int]:
        return [one.seq for one in await self.store.held(0, 1 << 40)]

    async def set(self, control: str) -> None:
        old = await self.store.get(NoiseSetting, HERE, "default/r/log")
        await self.store.commit(Put(setting(control, old.revision + 1 if old else 1)))
        await self.bus.reload(HERE, "default")
        await self.bus.refreshed()


def setting(control: str, revision: int = 1) -> NoiseSetting:
    return NoiseSetting(scope=HERE, revision=revision, rule="r", target_id="log", control=control_of(control))


def told(directory: Path, story: Callable[[World], Awaitable[None]], control: str = "") -> None:
    async def main() -> None:
        world = await World(directory / "data").open(control)
        try:
            await story(world)
        finally:
            await world.close()

    asyncio.run(main())


def test_without_a_control_every_delivery_is_made_and_nothing_is_remembered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert world.noise.quiet
        await world.put({}, {}, {})
        assert await world.lines() == ["e1", "e2", "e3"]
        assert await world.store.find(Window) == []

    told(tmp_path, story)


def test_a_throttle_tells_once_at_its_window_s_end_what_it_held_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.put(*[{}] * 5)
        assert await world.lines() == ["e1", "e2"]
        await world.wait(59)
        assert await world.lines() == ["e1", "e2"]
        await world.wait(1)
        await world.wait(60)
        assert await world.lines() == ["e1", "e2", "+3"]
        assert await world.held() == [3, 4, 5]
        assert world.noise.counts == {"held": 3, "digests": 1, "forgotten_keys": 0}
        assert world.noise.held[RULE_ARN, "log"] == 3

    told(tmp_path, story, "throttle=2/1m")


def test_an_event_beyond_the_window_ends_it_before_any_clock_does(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.put({}, {}, {}, after_s=1)
        await world.put({}, after_s=70)
        assert await world.lines() == ["e1", "e4", "+2"]
        await world.wait(100)
        assert await world.lines() == ["e1", "e4", "+2"]

    told(tmp_path, story, "throttle=1/1m")


@pytest.mark.parametrize("crash_after", range(5))
def test_a_crash_anywhere_changes_nothing(tmp_path: Path, crash_after: int) -> None:
    async def story(world: World) -> None:
        for number in range(5):
            await world.put({"k": "a", "v": number // 2}, after_s=1)
            if number == crash_after:
                await world.again()
        assert await world.lines() == ["e1", "e3"]
        assert await world.held() == [2, 4, 5]
        await world.wait(60)
        assert await world.lines() == ["e1", "e3", "+1"]

    told(tmp_path, story, "on-change=detail.v/detail.k throttle=2/1m")


def test_what_was_held_back_is_told_by_the_next_start_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.put(*[{}] * 4)
        await world.again()
        await world.wait(60)
        assert await world.lines() == ["e1", "+3"]
        await world.again()
        await world.wait(60)
        assert await world.lines() == ["e1", "+3"]

    told(tmp_path, story, "throttle=1/1m")


def test_a_control_that_is_changed_or_cleared_tells_what_it_held_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.put({}, {}, {})
        await world.set("throttle=2/1m")
        await world.put({}, {}, {})
        await world.wait(0)
        assert await world.lines() == ["e1", "e4", "+2", "e5"]
        await world.wait(60)
        assert (await world.lines())[4:] == ["+1"]
        assert [window.held for window in await world.store.find(Window)] == []

    told(tmp_path, story, "throttle=1/1m")


def test_a_digest_waits_for_events_that_are_still_in_the_journal(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.put({}, {})
        await world._stop()
        body = envelope(scope=HERE, id="late", source="x", detail_type="t", time="2026", resources=[], detail={})
        late = Event(scope=HERE, bus="default", id="late", at_ms=epoch_ms(world.clock.at), body=body)
        await world.bus.accept([late])
        await world.wait(100)
        assert await world.lines() == ["e1"]
        await world.again()
        await world.rest()
        await world.wait(0)
        assert await world.lines() == ["e1", "+2"]

    told(tmp_path, story, "throttle=1/1m")


def test_keys_beyond_the_limit_push_out_the_one_used_longest_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sifting, "NOISE_KEYS_MAX", 2)

    async def story(world: World) -> None:
        await world.put(*({"k": key} for key in "abcab"))
        assert await world.lines() == ["e1", "e2", "e3", "e4", "e5"]  # a was pushed out by c, then b by a
        await world.put({"k": "b"}, {"k": "a"})
        assert len(await world.lines()) == 5
        assert len(await world.store.find(Window)) == 2
        assert world.noise.counts["forgotten_keys"] == 3
        await world.again()
        await world.put({"k": "a"}, {"k": "b"})
        assert len(await world.lines()) == 5

    told(tmp_path, story, "deduplicate=detail.k/1h")


def test_many_events_in_one_batch_are_judged_one_after_the_other(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        names = [f"n{number}" for number in range(500)]
        events = []
        for name in names:
            body = envelope(scope=HERE, id=name, source="x", detail_type="t", time="2026", resources=[], detail={})
            events.append(Event(scope=HERE, bus="default", id=name, at_ms=epoch_ms(world.clock.at), body=body))
        await world.bus.accept(events)
        await world.rest()
        await world.wait(60)
        assert await world.lines() == [*names[:7], "+493"]
        assert len(await world.held()) == 493

    told(tmp_path, story, "throttle=7/1m")
