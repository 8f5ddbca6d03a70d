"""Events come in: PutEvents, and TestEventPattern, which tries a pattern on one that does not."""

from collections.abc import Callable
from typing import Any

from tocsin.core.patterns import load_event, matches, parse
from tocsin.doors.door import Context
from tocsin.doors.events.entries import Refusal, check_size, to_event
from tocsin.doors.events.finding import bus_name, find_bus
from tocsin.model.errors import Validation
from tocsin.model.event import Event
from tocsin.model.names import DEFAULT_BUS
from tocsin.model.times import iso_second
from tocsin.ports import Store
from tocsin.services.bus import Bus

_ENVELOPE_NEEDED = ("id", "account", "source", "time", "region", "detail-type")


class Putting:
    def __init__(self, store: Store, bus: Bus, new_id: Callable[[int], str]) -> None:
        self._store = store
        self._bus = bus
        self._new_id = new_id

    async def put_events(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["Entries"]
        check_size(entries)
        at_ms, now = context.now_ms, iso_second(context.now)
        made = [
            to_event(
                entry,
                bus=bus_name(context.scope, entry.get("EventBusName", DEFAULT_BUS)),
                scope=context.scope,
                at_ms=at_ms,
                now=now,
                new_id=self._new_id,
            )
            for entry in entries
        ]
        events = [one for one in made if isinstance(one, Event)]
        there = {
            name
            for name in {event.bus for event in events}
            if name == DEFAULT_BUS or await find_bus(self._store, context.scope, name)
        }
        # An event for a bus that does not exist is taken and dropped, as AWS does.
        if taken := [event for event in events if event.bus in there]:
            await self._bus.accept(taken)
        return {
            "FailedEntryCount": len(made) - len(events),
            "Entries": [
                {"ErrorCode": one.code, "ErrorMessage": one.message}
                if isinstance(one, Refusal)
                else {"EventId": one.id}
                for one in made
            ],
        }

    async def test_event_pattern(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        pattern = parse(request["EventPattern"])
        try:
            event = load_event(request["Event"])
        except ValueError:
            event = None
        if not isinstance(event, dict) or any(name not in event for name in _ENVELOPE_NEEDED):
            raise Validation("Parameter Event is not valid.")
        return {"Result": matches(pattern, event)}
