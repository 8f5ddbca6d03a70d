"""GetLogEvents: one stream, forwards or backwards, a page at a time.

A token is a place between two events and a direction. Reading never runs out of tokens: at the end the one that was
handed in comes back, and works again once there is more (AWS, GetLogEvents).
"""

from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.logs.finding import asked_group, named_stream
from tocsin.doors.logs.places import position_in, token_of
from tocsin.model.errors import InvalidParameter
from tocsin.model.logs import EVENT_OVERHEAD_BYTES, LogEvent, LogQuery
from tocsin.ports import Store

# "up to 1 MB of log events or up to 10,000 log events" (AWS, GetLogEvents and FilterLogEvents).
PAGE_EVENTS_MAX = 10_000
PAGE_BYTES_MAX = 1_048_576

KIND = "GetLogEvents"
FORWARD, BACKWARD = "f/", "b/"

Place = tuple[int, int]


class Reading:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await asked_group(self._store, context, request)
        stream = await named_stream(self._store, group, request["logStreamName"])
        token = request.get("nextToken")
        place, backwards = _where(token, from_head=bool(request.get("startFromHead")))
        query = LogQuery(
            scope=group.scope,
            group=group.name,
            streams=(stream.name,),
            start_ms=request.get("startTime"),
            end_ms=request.get("endTime"),
            after=place,
            backwards=backwards,
            limit=request.get("limit") or PAGE_EVENTS_MAX,
            bytes_max=PAGE_BYTES_MAX,
        )
        events = within_page(await self._store.log_events(query))
        if backwards:
            events.reverse()
        forward, backward = _tokens(events, place or (request.get("startTime") or 0, -1), token, backwards=backwards)
        return {
            "events": [_members(event) for event in events],
            "nextForwardToken": forward,
            "nextBackwardToken": backward,
        }


def within_page(events: list[LogEvent]) -> list[LogEvent]:
    """As many of the events as a page holds, at least one."""
    room = PAGE_BYTES_MAX
    for count, event in enumerate(events):
        room -= size(event)
        if room < 0:
            return events[: max(count, 1)]
    return events


def size(event: LogEvent) -> int:
    return len(event.message.encode()) + EVENT_OVERHEAD_BYTES


def _where(token: str | None, *, from_head: bool) -> tuple[Place | None, bool]:
    """(the place just seen, whether to read backwards from there). A token's direction beats startFromHead."""
    if not token:
        return None, not from_head
    direction, rest = token[:2], token[2:]
    if direction not in (FORWARD, BACKWARD):
        raise InvalidParameter("The specified nextToken is invalid.")
    return position_in(KIND, rest, tuple[int, int]), direction == BACKWARD


def _tokens(events: list[LogEvent], place: Place, token: str | None, *, backwards: bool) -> tuple[str, str]:
    """(forward, backward) around a page. An empty one stays where it is; ids are whole: (at, id ± 1) is beside it."""
    if events:
        first, last = events[0], events[-1]
        return _token(FORWARD, last.at_ms, last.id), _token(BACKWARD, first.at_ms, first.id)
    at_ms, event_id = place
    if backwards and token:
        return _token(FORWARD, at_ms, event_id - 1), token
    return token or _token(FORWARD, at_ms, event_id), _token(BACKWARD, at_ms, event_id + 1)


def _token(direction: str, at_ms: int, event_id: int) -> str:
    return direction + token_of(KIND, at_ms, event_id)


def _members(event: LogEvent) -> dict[str, Any]:
    return {"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.ingested_ms}
