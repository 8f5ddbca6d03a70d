"""What may be forgotten: log events past their group's retention, journal entries nobody needs any more.

Housekeeping asks, reads what is asked for, and commits the answer. Every answer is one bite: the store's writer
serves others between two of them.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tocsin.model.archive import Archive, Archived, Replay
from tocsin.model.changes import DropArchived, DropLogs, Forget
from tocsin.model.event import JournalMark
from tocsin.model.logs import LogEvent, LogGroup, LogQuery

DAY_MS = 24 * 3600 * 1000
# "Replays are kept for 90 days" (AWS, EventBridge user guide).
REPLAY_DAYS = 90


def kept_since(retention_days: int, now_ms: int) -> int | None:
    """The time before which a group's events have expired; None when they never do (no retention is 0 days)."""
    return now_ms - retention_days * DAY_MS if retention_days else None


def expired(groups: Iterable[LogGroup], now_ms: int, *, bite_events: int, bite_bytes: int) -> list[LogQuery]:
    """For each group that does not keep its events for ever: the query for its oldest expired ones, a bite of them."""
    return [
        LogQuery(
            scope=group.scope,
            group=group.name,
            end_ms=since,
            limit=bite_events,
            bytes_max=bite_bytes,
        )
        for group in groups
        if (since := kept_since(group.retention_days, now_ms)) is not None
    ]


def drop(query: LogQuery, oldest: Sequence[LogEvent]) -> DropLogs | None:
    """The change that drops the bite, or None when nothing has expired.

    The bite ends before the time of its last event, of which there may be more than were read; only when all are of
    one millisecond it takes that whole, or nothing would ever go.
    """
    if not oldest:
        return None
    assert query.end_ms is not None, "only expired events are dropped"
    before = _bite_end(oldest[0].at_ms, oldest[-1].at_ms, query.end_ms)
    return DropLogs(scope=query.scope, group=query.group, before_ms=before)


def drop_archived(archive: Archive, oldest: Sequence[Archived], since: int) -> DropArchived | None:
    """The same for the oldest events of an archive, all of them older than `since`."""
    if not oldest:
        return None
    before = _bite_end(oldest[0].at_ms, oldest[-1].at_ms, since)
    return DropArchived(scope=archive.scope, archive=archive.name, before_ms=before)


def forgotten(replays: Iterable[Replay], now_ms: int) -> list[Replay]:
    """The replays that ended so long ago that nobody is told of them any more."""
    return [one for one in replays if one.ended_ms and one.ended_ms < now_ms - REPLAY_DAYS * DAY_MS]


def _bite_end(first: int, last: int, since: int) -> int:
    before = max(last, first + 1)
    assert before <= since, "nothing younger than the retention goes"
    return before


class JournalBounds(Struct, frozen=True, kw_only=True):
    """What the journal keeps: its newest so many entries, so many bytes of them, and none accepted before the time."""

    events_max: int
    bytes_max: int
    since_ms: int


def forget(oldest: Sequence[JournalMark], newest: JournalMark, routed: int, bounds: JournalBounds) -> Forget | None:
    """Of the journal's oldest entries those that go: all up to the first that stays. What is not routed stays."""
    through = 0
    for mark in oldest:
        if mark.seq > routed or _within(mark, newest, bounds):
            break
        through = mark.seq
    return Forget(through_seq=through) if through else None


def _within(mark: JournalMark, newest: JournalMark, bounds: JournalBounds) -> bool:
    return (
        mark.at_ms >= bounds.since_ms
        and newest.seq - mark.seq < bounds.events_max
        and newest.through_bytes - mark.through_bytes < bounds.bytes_max
    )
