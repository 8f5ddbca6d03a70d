"""Event buses as targets, of any account and region: the event in the journal once more for another bus.

A bus takes an event once (the journal knows its ids), so rules that send events in a circle come to an end.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from tocsin.core.busgrants import may_send
from tocsin.model.bus import EventBus
from tocsin.model.changes import Accept
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.event import Event
from tocsin.model.names import DEFAULT_BUS, Scope, bus_of, derived_uuid
from tocsin.ports import Store

NO_RESOURCE, NO_PERMISSIONS, INVALID_PARAMETER = "NO_RESOURCE", "NO_PERMISSIONS", "INVALID_PARAMETER"


class _Origin(msgspec.Struct, frozen=True):
    """Where an envelope says that its event comes from."""

    account: str
    region: str


_origin = msgspec.json.Decoder(_Origin).decode


class BusTargets:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        accepted: list[Accept] = []
        refused: list[Refused] = []
        for one in deliveries:
            place = bus_of(one.target.arn)
            assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
            why = await self._obstacle(one, *place)
            if why is not None:
                refused.append(Refused(delivery=one, code=why[0], message=why[1]))
            else:
                accepted.append(Accept(_moved(one.event, one.rule.scope, *place)))
        return Landed(changes=tuple(accepted), refused=tuple(refused))

    async def _obstacle(self, one: Delivery, scope: Scope, name: str) -> tuple[str, str] | None:
        """Code and text of why the bus does not take the event; None if it does."""
        bus = await self._store.get(EventBus, scope, name)
        if bus is None and name != DEFAULT_BUS:
            return NO_RESOURCE, f"The event bus {name} does not exist."
        own = one.rule.scope
        if scope == own:
            return None
        if not may_send(bus.policy if bus else "", one.rule.arn, one.target.arn):
            return NO_PERMISSIONS, f"The policy of {one.target.arn} does not let account {own.account} put events."
        if _came_from(one.event) != own:  # as on AWS; it also ends circles of regions, where ids are given anew
            return INVALID_PARAMETER, "An event that came from another account or region is not sent on to a third."
        return None


def _came_from(event: Event) -> Scope:
    told = _origin(event.body)
    return Scope(told.account, told.region)


def _moved(event: Event, own: Scope, scope: Scope, name: str) -> Event:
    """The event on its way to a bus. In another region it has an id of its own, derived so that a repeat has it too;
    the envelope tells on where it came from (facts/peers.md §3.2)."""
    if scope.region == own.region:
        return replace(event, scope=scope, bus=name)
    event_id = derived_uuid("region", event.id, scope.region)
    begin, _, rest = event.body.partition(b',"id":')
    body = b"".join((begin, b',"id":"', event_id.encode(), b'",', rest.partition(b",")[2]))
    return replace(event, scope=scope, bus=name, id=event_id, body=body)
