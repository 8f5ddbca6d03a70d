"""The house is kept: log events leave when their group's retention says so, and the journal keeps a bounded length.

The server runs it beside the other loops. It only deletes, in bites, and only what core/retention names.
"""

import logging
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from tocsin.core.cloud.progress import past
from tocsin.core.retention import JournalBounds, drop, drop_archived, expired, forget, forgotten, kept_since
from tocsin.model.archive import Archive, Replay
from tocsin.model.changes import Delete, DropLogs
from tocsin.model.cloud import ResourceRequest
from tocsin.model.errors import Stale, TocsinError
from tocsin.model.logs import LogGroup, LogQuery
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.bus import ROUTER

log = logging.getLogger(__name__)


class HousekeepingLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often, how much is kept, and how much goes at once."""

    # AWS takes up to 72 hours to delete what has expired; a minute keeps the disk honest and costs nothing.
    period_s: float = 60.0
    # 0: age alone removes nothing.
    journal_days: int = 7
    # A million of the usual size come to about as many bytes as may be.
    journal_events_max: int = 1_000_000
    journal_bytes_max: int = 1 << 30
    journal_bite: int = 5_000
    # A bite is one transaction: some 10 ms of the writer.
    log_bite_events: int = 1_000
    log_bite_bytes: int = 1 << 20
    # Per group and sweep, so that one group with years to drop does not keep the others waiting.
    log_bites_max: int = 1_000


class Swept(Struct, kw_only=True):
    """What was dropped, since the start or in one sweep. Journal entries are counted by their places."""

    log_events: int = 0
    journal_events: int = 0
    archived_events: int = 0
    replays: int = 0
    requests: int = 0

    def add(self, other: "Swept") -> None:
        self.log_events += other.log_events
        self.journal_events += other.journal_events
        self.archived_events += other.archived_events
        self.replays += other.replays
        self.requests += other.requests


class Housekeeping:
    def __init__(self, store: Store, clock: Clock, limits: HousekeepingLimits | None = None) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits or HousekeepingLimits()
        self.dropped = Swept()

    async def run(self) -> None:
        """Sweep, rest, and again, until cancelled. A store that is away or busy is tried again after the next rest."""
        while True:
            try:
                await self.sweep(self._clock.now())
            except TocsinError as away:  # out of reach, or too much waits for the disk (Throttling)
                log.warning("housekeeping waits for the store: %s", away)
            await self._clock.sleep(self._limits.period_s)

    async def sweep(self, now: datetime) -> Swept:
        """One pass over log groups, archives, replays, requests for resources and the journal.

        Raises StoreUnavailable; what was dropped until then is counted.
        """
        swept = Swept()
        try:
            now_ms = epoch_ms(now)
            await self._expire_logs(now_ms, swept)
            await self._expire_archives(now_ms, swept)
            await self._forget_replays(now_ms, swept)
            await self._forget_requests(now_ms, swept)
            await self._forget_journal(now_ms, swept)
        finally:
            self.dropped.add(swept)
        return swept

    async def _expire_logs(self, now_ms: int, swept: Swept) -> None:
        groups = await self._store.find(LogGroup)
        limits = self._limits
        for query in expired(groups, now_ms, bite_events=limits.log_bite_events, bite_bytes=limits.log_bite_bytes):
            for _ in range(limits.log_bites_max):
                count = await self._bite(query)
                swept.log_events += count
                if count == 0:
                    break

    async def _bite(self, query: LogQuery) -> int:
        """How many events of the bite are gone."""
        oldest = await self._store.log_events(query)
        change = drop(query, oldest)
        if change is None:
            return 0
        await self._store.commit(change)
        return sum(_goes(event.at_ms, change) for event in oldest)

    async def _expire_archives(self, now_ms: int, swept: Swept) -> None:
        """Bites of the same size as those of logs: both are events of some hundred bytes."""
        for archive in await self._store.find(Archive):
            since = kept_since(archive.retention_days, now_ms)
            for _ in range(self._limits.log_bites_max if since is not None else 0):
                assert since is not None
                oldest = await self._store.archived(
                    archive.scope, archive.name, end_ms=since, limit=self._limits.log_bite_events
                )
                change = drop_archived(archive, oldest, since)
                if change is None:
                    break
                await self._store.commit(change)
                swept.archived_events += sum(one.at_ms < (change.before_ms or 0) for one in oldest)

    async def _forget_replays(self, now_ms: int, swept: Swept) -> None:
        for replay in forgotten(await self._store.find(Replay), now_ms):
            with suppress(Stale):  # whoever changed it meanwhile decided that it stays
                await self._store.commit(Delete(replay))
                swept.replays += 1

    async def _forget_requests(self, now_ms: int, swept: Swept) -> None:
        for request in past(await self._store.find(ResourceRequest), now_ms):
            with suppress(Stale):  # its client token was taken for a new one
                await self._store.commit(Delete(request))
                swept.requests += 1

    async def _forget_journal(self, now_ms: int, swept: Swept) -> None:
        first, last = await self._store.journal_bounds()
        newest = await self._store.journal_marks(last - 1, 1)
        if not newest:
            return
        limits, routed = self._limits, await self._store.cursor(ROUTER)
        bounds = JournalBounds(
            events_max=limits.journal_events_max,
            bytes_max=limits.journal_bytes_max,
            since_ms=kept_since(limits.journal_days, now_ms) or 0,
        )
        look = 1  # most sweeps find the oldest entry within its bounds, and need to know no more
        while bite := forget(await self._store.journal_marks(0, look), newest[0], routed, bounds):
            await self._store.commit(bite)
            swept.journal_events += bite.through_seq - first + 1
            first = bite.through_seq + 1
            look = limits.journal_bite


def _goes(at_ms: int, change: DropLogs) -> bool:
    return change.before_ms is None or at_ms < change.before_ms
