"""FilterLogEvents: a group's events in order of time, through a filter, a bounded piece of work at a time.

A page ends when it is full or when enough was looked at, and then has a nextToken; only a page that saw the end has
none. So searching millions of lines takes many short answers, never one long one. Every first call reads what is
there now: a client that asks again with the same startTime (`aws logs tail --follow`) misses nothing that came late.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.logfilter import Filter, accepts, parse
from tocsin.doors.door import Context
from tocsin.doors.logs.finding import asked_group, named_stream
from tocsin.doors.logs.places import position_in, token_of
from tocsin.doors.logs.reading import PAGE_BYTES_MAX, PAGE_EVENTS_MAX, size
from tocsin.model.errors import InvalidParameter
from tocsin.model.logs import LogEvent, LogGroup, LogQuery
from tocsin.ports import Store

# What one call looks at: of lines of 190 bytes, 0.1 s for words, 0.3 s for fields, 0.7 s for a regular expression.
LOOKED_AT_EVENTS_MAX = 50_000
LOOKED_AT_BYTES_MAX = 16 << 20
# What is read from the store at once: the loop serves others between two bites.
BITE_EVENTS = 1_000
BITE_BYTES = 1 << 20

# "startFromHead to false is supported only when startTime is on or after Jan 1, 2024" (AWS, FilterLogEvents).
BACKWARDS_SINCE_MS = 1_704_067_200_000

KIND = "FilterLogEvents"


class Page(Struct, kw_only=True):
    """What a call has found so far. `at` is the last event looked at; `ended` when there was nothing beyond it."""

    found: list[LogEvent]
    at: tuple[int, int] | None
    room_events: int
    room_bytes: int = PAGE_BYTES_MAX
    ended: bool = False

    def takes(self, event: LogEvent) -> bool:
        """Whether the event still fits. The first one always does."""
        if self.room_events == 0 or (self.found and size(event) > self.room_bytes):
            return False
        self.found.append(event)
        self.room_events -= 1
        self.room_bytes -= size(event)
        return True


class Search:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def filter(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await asked_group(self._store, context, request)
        wanted = parse(request.get("filterPattern") or "")
        after, backwards = _where(request)
        if after is None:
            await self._check_streams(group, request)
        page = Page(found=[], at=after, room_events=request.get("limit") or PAGE_EVENTS_MAX)
        await self._fill(page, _query(group, request, after, backwards=backwards), wanted)
        token = None if page.ended or page.at is None else token_of(KIND, *page.at, backwards)
        return {"events": [_members(event) for event in page.found], "searchedLogStreams": [], "nextToken": token}

    async def _check_streams(self, group: LogGroup, request: dict[str, Any]) -> None:
        names = request.get("logStreamNames")
        if names and request.get("logStreamNamePrefix"):
            raise InvalidParameter("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        for name in names or ():
            await named_stream(self._store, group, name)

    async def _fill(self, page: Page, query: LogQuery, wanted: Filter) -> None:
        events_left, bytes_left = LOOKED_AT_EVENTS_MAX, LOOKED_AT_BYTES_MAX
        while events_left > 0 and bytes_left > 0:
            bite = await self._store.log_events(replace(query, after=page.at))
            if not bite:
                page.ended = True
                return
            for event in bite:
                if accepts(wanted, event.message) and not page.takes(event):
                    return
                page.at = (event.at_ms, event.id)
                bytes_left -= size(event)
            events_left -= len(bite)


def _where(request: dict[str, Any]) -> tuple[tuple[int, int] | None, bool]:
    """(the last event looked at, whether to read backwards). "The direction of the nextToken is used" (AWS)."""
    if token := request.get("nextToken"):
        at_ms, event_id, backwards = position_in(KIND, token, tuple[int, int, bool])
        return (at_ms, event_id), backwards
    backwards = request.get("startFromHead") is False
    if backwards and (request.get("startTime") or BACKWARDS_SINCE_MS) < BACKWARDS_SINCE_MS:
        raise InvalidParameter("startFromHead false needs a startTime on or after Jan 1, 2024 00:00:00 UTC.")
    return None, backwards


def _query(group: LogGroup, request: dict[str, Any], after: tuple[int, int] | None, *, backwards: bool) -> LogQuery:
    """Here, unlike in GetLogEvents, an event at endTime itself is returned (AWS, FilterLogEvents)."""
    names, end = request.get("logStreamNames"), request.get("endTime")
    return LogQuery(
        scope=group.scope,
        group=group.name,
        streams=tuple(names) if names else None,
        stream_prefix=request.get("logStreamNamePrefix") or "",
        start_ms=request.get("startTime"),
        end_ms=None if end is None else end + 1,
        after=after,
        backwards=backwards,
        limit=BITE_EVENTS,
        bytes_max=BITE_BYTES,
    )


def _members(event: LogEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.at_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": event_id(event),
    }


def event_id(event: LogEvent) -> str:
    """56 decimal digits as on AWS, the same whenever the event is read; they sort as the events do."""
    return f"3{event.at_ms:019d}{event.id:036d}"
