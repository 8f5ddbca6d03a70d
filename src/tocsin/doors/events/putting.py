"""Events come in: PutEvents, and TestEventPattern, which tries a pattern on one that does not."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.busgrants import ACTION, may_put
from tocsin.core.patterns import load_event, matches, parse
from tocsin.doors.door import Context
from tocsin.doors.events.entries import Refusal, check_size, to_event
from tocsin.doors.events.finding import bus_name, find_bus
from tocsin.model.errors import Validation
from tocsin.model.event import Event
from tocsin.model.names import DEFAULT_BUS, PARTITION, Scope, bus_of
from tocsin.model.times import iso_second
from tocsin.ports import Store
from tocsin.services.bus import Bus

_ENVELOPE_NEEDED = ("id", "account", "source", "time", "region", "detail-type")


class _Aim(Struct, frozen=True):
    """The bus of an entry, whether it is there, and why nothing may be put on it."""

    scope: Scope
    name: str
    there: bool
    refusal: Refusal | None = None


class Putting:
    def __init__(self, store: Store, bus: Bus, new_id: Callable[[int], str]) -> None:
        self._store = store
        self._bus = bus
        self._new_id = new_id

    async def put_events(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["Entries"]
        check_size(entries)
        at_ms, now = context.now_ms, iso_second(context.now)
        asked = {entry.get("EventBusName", DEFAULT_BUS) for entry in entries}
        aims = {given: await self._aim(context.scope, given) for given in asked}
        taken: list[Event] = []
        answers: list[dict[str, str]] = []
        for entry in entries:
            aim = aims[entry.get("EventBusName", DEFAULT_BUS)]
            made = aim.refusal or to_event(
                entry, bus=aim.name, scope=context.scope, at_ms=at_ms, now=now, new_id=self._new_id
            )
            if isinstance(made, Refusal):
                answers.append({"ErrorCode": made.code, "ErrorMessage": made.message})
                continue
            answers.append({"EventId": made.id})
            if aim.there:  # an event for a bus that does not exist is taken and dropped, as AWS does
                taken.append(_at(made, aim.scope))
        if taken:
            await self._bus.accept(taken)
        return {"FailedEntryCount": sum("ErrorCode" in one for one in answers), "Entries": answers}

    async def _aim(self, scope: Scope, given: str) -> _Aim:
        """Where an entry goes. A bus of another account is named by its ARN, and its policy is asked."""
        place = bus_of(given)
        if place is None or place[0] == scope or place[0].region != scope.region:
            name = bus_name(scope, given)
            there = name == DEFAULT_BUS or await find_bus(self._store, scope, name) is not None
            return _Aim(scope, name, there=there)
        bus = await find_bus(self._store, *place)
        if bus is None or not may_put(bus.policy, scope.account, given):
            return _Aim(*place, there=False, refusal=_denied(scope, given))
        return _Aim(*place, there=True)

    async def test_event_pattern(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        pattern = parse(request["EventPattern"])
        try:
            event = load_event(request["Event"])
        except ValueError:
            event = None
        if not isinstance(event, dict) or any(name not in event for name in _ENVELOPE_NEEDED):
            raise Validation("Parameter Event is not valid.")
        return {"Result": matches(pattern, event)}


def _at(event: Event, scope: Scope) -> Event:
    """The envelope tells on who put it; the event is the bus's."""
    return event if event.scope == scope else replace(event, scope=scope)


def _denied(scope: Scope, bus: str) -> Refusal:
    who = f"arn:{PARTITION}:iam::{scope.account}:root"
    return Refusal(
        "AccessDeniedException",
        f"User: {who} is not authorized to perform: {ACTION} on resource: {bus} because no resource-based policy "
        f"allows the {ACTION} action",
    )
