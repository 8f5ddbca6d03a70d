"""Replays: read an archive in the order of its events' times and put the events back on their bus, through the journal.

A step commits the events together with how far the replay is: after a crash it goes on behind them, and nothing is put
back twice. Doors wake the loop; what is to be done it reads from the records.
"""

import asyncio
import logging
from collections.abc import Callable

from tocsin.core.archives import replayed
from tocsin.model.archive import AT_WORK, Archive, Replay, ReplayState
from tocsin.model.bus import EventBus
from tocsin.model.changes import Accept, Put
from tocsin.model.errors import Stale
from tocsin.model.names import DEFAULT_BUS
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.bus import ROUTER

log = logging.getLogger(__name__)

# Events put back in one commit: some 10 ms of the writer.
REPLAYED_AT_ONCE_MAX = 200
# Events of the journal the router may be behind before a replay waits: so long others wait behind replayed ones.
ROUTER_BEHIND_MAX = 1000
BEHIND_PAUSE_S = 0.02
RETRY_PAUSE_S = 0.5


class Replays:
    """`crowded` tells whether so much is owed already that a replay had better wait."""

    def __init__(self, store: Store, clock: Clock, crowded: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._clock = clock
        self._crowded = crowded
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """A replay was started or cancelled."""
        self._woken.set()

    async def run(self) -> None:
        """Go on with all replays that are at work, step by step in turn, for ever."""
        while True:
            self._woken.clear()
            try:
                at_work = await self.step()
            except Exception:
                log.exception("replaying failed; trying again")
                await self._clock.sleep(RETRY_PAUSE_S)
                continue
            if not at_work:
                await self._woken.wait()

    async def step(self) -> int:
        """One step of every replay at work; answers how many there were."""
        at_work = [one for one in await self._store.find(Replay) if one.state in AT_WORK]
        for replay in at_work:
            await self._room()
            try:
                await self._advance(replay)
            except Stale:  # cancelled meanwhile: the next step sees it
                continue
        return len(at_work)

    async def _room(self) -> None:
        """Wait until the router has come near the end of the journal, and more may be owed."""
        while (
            self._crowded()
            or (await self._store.journal_bounds())[1] - await self._store.cursor(ROUTER) > ROUTER_BEHIND_MAX
        ):
            await self._clock.sleep(BEHIND_PAUSE_S)

    async def _advance(self, replay: Replay) -> None:
        now_ms = epoch_ms(self._clock.now())
        if replay.state is ReplayState.CANCELLING:
            await self._end(replay, ReplayState.CANCELLED, now_ms)
            return
        if reason := await self._obstacle(replay):
            await self._end(replay, ReplayState.FAILED, now_ms, reason)
            return
        found = await self._store.archived(
            replay.scope,
            replay.archive,
            start_ms=replay.start_ms,
            end_ms=replay.end_ms + 1,
            after=replay.place,
            limit=REPLAYED_AT_ONCE_MAX,
        )
        if not found:
            await self._end(replay, ReplayState.COMPLETED, now_ms)
            return
        place = found[-1].at_ms, found[-1].id
        events = [Accept(replayed(replay, one, now_ms)) for one in found]
        await self._store.commit(Put(successor(replay, state=ReplayState.RUNNING, place=place)), *events)

    async def _obstacle(self, replay: Replay) -> str:
        """Why the replay cannot go on; empty when it can."""
        archive = await self._store.get(Archive, replay.scope, replay.archive)
        if archive is None or archive.created_ms > replay.started_ms:
            return f"Archive {replay.archive} does not exist."
        if replay.bus != DEFAULT_BUS and await self._store.get(EventBus, replay.scope, replay.bus) is None:
            return f"Event bus {replay.bus} does not exist."
        return ""

    async def _end(self, replay: Replay, state: ReplayState, now_ms: int, reason: str = "") -> None:
        await self._store.commit(Put(successor(replay, state=state, ended_ms=now_ms, reason=reason)))
