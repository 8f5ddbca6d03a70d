"""Back-pressure: the bus accepts no more than it can route within bounds."""

import asyncio
from pathlib import Path

import pytest

from tests.outbox.post import run, turn
from tests.queues.desk import SCOPE, HandClock
from tocsin.backends.sqlite import SqliteStore
from tocsin.model.archive import Archive, Replay
from tocsin.model.errors import Throttling
from tocsin.model.event import Event
from tocsin.model.noise import NoiseSetting, Window
from tocsin.model.rule import Rule
from tocsin.model.tags import Tags
from tocsin.services.bus import Bus

KINDS = (Rule, Archive, Replay, NoiseSetting, Window, Tags)


def event(name: str) -> Event:
    return Event(scope=SCOPE, bus="default", id=name, at_ms=1, body=b'{"id":"x"}')


def test_no_more_events_are_accepted_than_may_wait_to_be_routed(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "data", KINDS)
        bus = Bus(store=store, clock=HandClock(), targets={}, unrouted_max=2)
        await bus.load()
        await bus.accept([event("1")])
        await bus.accept([event("2"), event("3")])
        with pytest.raises(Throttling, match=r"3 events wait to be routed \(events.unrouted_max\)"):
            await bus.accept([event("4")])
        assert bus.counts["throttled"] == 1
        routing = asyncio.create_task(bus.run())
        while not await bus.caught_up():
            await turn()
        await bus.accept([event("4")])
        routing.cancel()
        await asyncio.gather(routing, return_exceptions=True)
        again = Bus(store=store, clock=HandClock(), targets={}, unrouted_max=2)
        await again.load()
        await again.accept([event("5")])
        await store.close()

    run(main())


def test_no_event_is_accepted_while_too_much_is_owed(tmp_path: Path) -> None:
    def full() -> None:
        raise Throttling("Rate exceeded: too much is owed")

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "data", KINDS)
        bus = Bus(store=store, clock=HandClock(), targets={}, demand_room=full)
        with pytest.raises(Throttling, match="too much is owed"):
            await bus.accept([event("1")])
        assert await store.journal_bounds() == (0, 0)
        await store.close()

    run(main())
