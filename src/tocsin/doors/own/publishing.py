"""Events put on the bus in the place of a service, for tests. What PutEvents refuses, as it must, has its door here.

The envelope goes on as it was given, but for its id. Only the journal tells that a person put it there.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec
import orjson
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.events.entries import ENTRIES_BYTES_MAX, compact_object
from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.bus import EventBus
from tocsin.model.errors import AwsError, StoreUnavailable
from tocsin.model.event import Event, envelope
from tocsin.model.names import DEFAULT_BUS, Scope
from tocsin.model.times import epoch_ms, iso_second
from tocsin.ports import Clock, Store
from tocsin.services.bus import Bus

# Events in one call: each is at most as large as AWS lets one be, and the front bounds them all together.
PUBLISHED_MAX = 100


class Given(Struct, frozen=True, kw_only=True):
    """An event as a file holds it. What it does not say is said for it; its version and id are given anew."""

    source: str
    detail_type: str = msgspec.field(name="detail-type")
    detail: msgspec.Raw
    account: str | None = None
    region: str | None = None
    time: str | None = None
    resources: list[str] = []


class Asked(Struct, frozen=True, kw_only=True):
    events: list[Given]
    bus: str = DEFAULT_BUS


_asked = msgspec.json.Decoder(Asked).decode


class Publishing:
    """`new_id` gives a fresh event id; it is told the time in epoch milliseconds."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, new_id: Callable[[int], str]) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._new_id = new_id

    async def publish(self, request: Request) -> Response:
        """Takes all the events, or none of them. Answers their ids in order."""
        scope, now = scope_of(request), self._clock.now()
        try:
            asked = _asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"The events cannot be read: {error}")
        if not 0 < len(asked.events) <= PUBLISHED_MAX:
            return refuse(f"There must be 1 to {PUBLISHED_MAX} events, not {len(asked.events)}.")
        if asked.bus != DEFAULT_BUS and await self._store.get(EventBus, scope, asked.bus) is None:
            return refuse(f"There is no event bus {asked.bus} in account {scope.account}, {scope.region}.", 404)
        made: list[Event] = []
        for number, given in enumerate(asked.events, 1):
            try:
                made.append(spoken(given, asked.bus, scope, now, self._new_id(epoch_ms(now))))
            except ValueError as error:
                return refuse(f"Event {number}: {error}")
        try:
            await self._bus.accept(made)
        except StoreUnavailable as error:
            return refuse(f"The state cannot be written now: {error}", 503)
        except AwsError as error:
            return refuse(error.message, error.status)
        return answer({"ids": [event.id for event in made]})


def spoken(given: Given, bus: str, scope: Scope, now: datetime, event_id: str) -> Event:
    """The event on the bus, marked as made by hand. Raises ValueError: what is wrong with it."""
    for name, value in (("source", given.source), ("detail-type", given.detail_type)):
        if not value:
            raise ValueError(f"{name} is empty.")
    detail = compact_object(bytes(given.detail).decode())
    if detail is None:
        raise ValueError("detail is no JSON object, or one that is nested too deep.")
    if given.time is not None:
        _demand_time(given.time)
    body = envelope(
        scope=Scope(given.account or scope.account, given.region or scope.region),
        id=event_id,
        source=given.source,
        detail_type=given.detail_type,
        time=given.time or iso_second(now),
        resources=given.resources,
        detail=orjson.Fragment(detail),
    )
    if len(body) > ENTRIES_BYTES_MAX:
        raise ValueError(f"it is larger than {ENTRIES_BYTES_MAX} bytes.")
    return Event(scope=scope, bus=bus, id=event_id, at_ms=epoch_ms(now), body=body, by_hand=True)


def _demand_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"its time {text!r} is none that ISO 8601 knows.") from None
