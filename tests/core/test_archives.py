"""Archives and replays: what is kept of an event, what a replay makes of it, and a replay that dies and goes on."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.archives import Archives, archives_owed, let_through, replay_of, replayed, told_ms
from tocsin.core.routing import RuleIndex, route
from tocsin.model.archive import Archive, Archived, Replay, ReplayState
from tocsin.model.bus import EventBus
from tocsin.model.changes import Accept, Advance, Change, Keep, Put
from tocsin.model.errors import Stale
from tocsin.model.event import Event, envelope
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.rule import Rule, Target
from tocsin.services import replays as replaying
from tocsin.services.bus import ROUTER
from tocsin.services.replays import Replays

HERE, THERE = Scope("111111111111", "us-west-2"), Scope("111111111111", "eu-west-1")
TRICKY = '","resources":["replay-name":"x'


def event(name: str = "e1", second: int = 0, scope: Scope = HERE, bus: str = "default", detail: object = None) -> Event:
    body = envelope(
        scope=scope,
        id=name,
        source="my.app",
        detail_type=TRICKY,
        time=f"2026-01-01T00:00:{second:02}Z",
        resources=["r"],
        detail=detail or {},
    )
    return Event(scope=scope, bus=bus, id=name, at_ms=77, body=body)


def archive(name: str = "a", pattern: str = "", **more: object) -> Archive:
    return Archive(**{"scope": HERE, "name": name, "bus": "default", "pattern": pattern, "created_ms": 1} | more)  # type: ignore[arg-type]


def replay(**more: object) -> Replay:
    given = {"scope": HERE, "name": "again", "archive": "a", "bus": "default", "start_ms": 0, "end_ms": 1 << 50}
    return Replay(**given | {"started_ms": 5} | more)  # type: ignore[arg-type]


def kept_by(archives: list[Archive], one: Event) -> list[str]:
    changes = archives_owed(one, Archives.of(archives, []))
    assert all(isinstance(change, Keep) and change.body == one.body for change in changes)
    return [change.archive for change in changes if isinstance(change, Keep)]


def test_an_archive_keeps_what_matches_on_its_own_bus() -> None:
    archives = [
        archive("all"),
        archive("mine", '{"source":["my.app"]}'),
        archive("other", '{"source":["other"]}'),
        archive("bus", bus="b"),
        archive("region", scope=THERE),
    ]
    assert kept_by(archives, event()) == ["all", "mine"]
    assert kept_by(archives, event(bus="b")) == ["bus"]
    assert kept_by(archives, event(scope=THERE)) == ["region"]
    assert kept_by([], event()) == []


def test_an_event_is_kept_at_the_time_it_tells() -> None:
    assert told_ms(event(second=7)) == int(datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC).timestamp() * 1000)
    assert told_ms(Event(scope=HERE, bus="b", id="x", at_ms=77, body=b'{"time":"soon"}')) == 77
    assert told_ms(Event(scope=HERE, bus="b", id="x", at_ms=77, body=b"no json")) == 77


def test_what_nobody_can_read_is_not_kept() -> None:
    unreadable = Event(scope=HERE, bus="default", id="x", at_ms=1, body=b'{"replay-name":')
    assert kept_by([archive(), archive("p", '{"source":["my.app"]}')], unreadable) == []


def test_a_replayed_event_carries_its_mark_between_region_and_resources() -> None:
    old = event(detail={"replay-name": "not this"})
    new = replayed(replay(name="again"), Archived(id=9, at_ms=1, body=old.body), 123)
    parsed = orjson.loads(new.body)
    assert list(parsed) == [
        *("version", "id", "detail-type", "source", "account", "time", "region", "replay-name", "resources", "detail")
    ]
    assert parsed == orjson.loads(old.body) | {"id": new.id, "replay-name": "again"}
    assert (new.scope, new.bus, new.at_ms) == (HERE, "default", 123)
    assert (replay_of(old.body), replay_of(new.body)) == ("", "again")
    assert kept_by([archive()], old) == ["a"]
    assert kept_by([archive()], new) == []


def test_the_same_step_of_a_replay_gives_the_same_event() -> None:
    one = Archived(id=9, at_ms=1, body=event().body)
    assert replayed(replay(), one, 1).id == replayed(replay(), one, 2).id
    others = {replayed(replay(started_ms=6), one, 1).id, replayed(replay(name="other"), one, 1).id}
    assert len(others | {replayed(replay(), one, 1).id, "e1"}) == 4


def test_a_replay_s_filter_holds_for_its_own_events_only() -> None:
    target = Target(id="t", arn="arn", spec={"Id": "t", "Arn": "arn"})
    rules = [Rule(scope=HERE, name=name, pattern='{"source":["my.app"]}', targets=(target,)) for name in ("r", "s")]
    archives = Archives.of([], [replay(filter_arns=(rules[1].arn,)), replay(name="free")])

    def reached(one: Event) -> list[str]:
        owed = route(one, RuleIndex.of(rules))
        return [delivery.rule.name for delivery in let_through(one, owed, archives)[0]]

    archived = Archived(id=1, at_ms=1, body=event().body)
    assert reached(event()) == ["r", "s"]
    assert reached(replayed(replay(), archived, 1)) == ["s"]
    assert reached(replayed(replay(name="free"), archived, 1)) == ["r", "s"]


# the loop


class StillClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")


class RouterClock(StillClock):
    """While somebody sleeps, the router routes a hundred events."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        place = await self._store.cursor(ROUTER)
        await self._store.commit(Advance(cursor=ROUTER, expected=place, seq=place + 100))
        self.sleeps += 1


class Power:
    """A store whose commits may be cut off: before they are kept, or after, when nobody hears of it any more."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.cut = ""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def commit(self, *changes: Change) -> None:
        if self.cut == "before":
            raise ConnectionError
        await self._store.commit(*changes)
        if self.cut == "after":
            raise ConnectionError


async def told(store: SqliteStore) -> list[tuple[str, int]]:
    """The replayed events of the journal: their numbers, in order."""
    entries = [entry.event for entry in await store.journal(0, 1000)]
    return [(replay_of(one.body), orjson.loads(one.body)["detail"]["n"]) for one in entries]


async def running(store: SqliteStore) -> Replay:
    found = await store.get(Replay, HERE, "again")
    assert found is not None
    return found


async def in_store(directory: Path) -> SqliteStore:
    return await SqliteStore.open(directory, (Archive, Replay, EventBus))


async def filled(store: SqliteStore, *records: Change, number: int = 10) -> None:
    """An archive of events whose order of arrival is not that of their times."""
    numbers = [(n * 7) % number for n in range(number)]
    keeps = [Keep(scope=HERE, archive="a", at_ms=n * 1000, body=event(f"e{n}", detail={"n": n}).body) for n in numbers]
    await store.commit(Put(archive()), *keeps, *records)


def test_a_replay_that_died_goes_on_where_it_was_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "REPLAYED_AT_ONCE_MAX", 3)

    async def live() -> None:
        store = await in_store(tmp_path)
        await filled(store, Put(replay()))
        for cut in ("", "before", "after", "before", "after", ""):
            power = Power(store)
            power.cut = cut
            try:
                await Replays(power, StillClock()).step()  # type: ignore[arg-type]
            except ConnectionError:
                assert cut
            await store.close()
            store = await in_store(tmp_path)
        assert [n for _, n in await told(store)] == list(range(10))
        found = await running(store)
        assert (found.state, found.place and found.place[0]) == (ReplayState.RUNNING, 9000)
        assert await Replays(store, StillClock()).step() == 1
        assert (await running(store)).state is ReplayState.COMPLETED
        assert await Replays(store, StillClock()).step() == 0
        assert [n for _, n in await told(store)] == list(range(10))
        await store.close()

    asyncio.run(live())


def test_a_replay_takes_the_events_of_its_time_both_ends_included(tmp_path: Path) -> None:
    async def live() -> None:
        store = await in_store(tmp_path)
        await filled(store, Put(replay(start_ms=3000, end_ms=6000)))
        await Replays(store, StillClock()).step()
        assert await told(store) == [("again", n) for n in (3, 4, 5, 6)]
        await store.close()

    asyncio.run(live())


def test_a_replay_ends_when_it_is_cancelled_or_its_archive_is_gone(tmp_path: Path) -> None:
    async def live() -> None:
        store = await in_store(tmp_path)
        await filled(store, Put(replay(state=ReplayState.CANCELLING)), Put(replay(name="lost", archive="gone")))
        await store.commit(Put(replay(name="young", started_ms=0)), Put(replay(name="bus", bus="gone")))
        assert await Replays(store, StillClock()).step() == 4
        states = {one.name: (one.state, one.reason) for one in await store.find(Replay)}
        assert states == {
            "again": (ReplayState.CANCELLED, ""),
            "lost": (ReplayState.FAILED, "Archive gone does not exist."),
            "young": (ReplayState.FAILED, "Archive a does not exist."),
            "bus": (ReplayState.FAILED, "Event bus gone does not exist."),
        }
        assert await told(store) == []
        await store.close()

    asyncio.run(live())


def test_a_replay_waits_for_the_router(tmp_path: Path) -> None:
    """So that what happens now never waits behind more than a few replayed events."""

    async def live() -> None:
        store = await in_store(tmp_path)
        clock = RouterClock(store)
        await store.commit(*(Accept(event(f"x{n}", detail={"n": n})) for n in range(1300)))
        await filled(store, Put(replay()))
        await Replays(store, clock).step()
        assert clock.sleeps == 3
        assert (await store.journal_bounds())[1] == 1310
        await store.close()

    asyncio.run(live())


def test_a_cancelled_replay_is_not_overwritten_by_the_step_under_way(tmp_path: Path) -> None:
    async def live() -> None:
        store = await in_store(tmp_path)
        await filled(store, Put(replay()))
        one = await running(store)
        await store.commit(Put(successor(one, state=ReplayState.CANCELLING)))
        loop = Replays(store, StillClock())
        with pytest.raises(Stale):
            await loop._advance(one)
        assert (await running(store)).state is ReplayState.CANCELLING
        assert await told(store) == []
        await store.close()

    asyncio.run(live())
