"""Event buses as targets: the event, under its own id, in the journal once more for another bus.

A bus takes an event once (the journal knows its ids), so rules that send events in a circle come to an end.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from tocsin.model.bus import EventBus
from tocsin.model.changes import Accept
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.names import DEFAULT_BUS, bus_of
from tocsin.ports import Store


class BusTargets:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        accepted: list[Accept] = []
        refused: list[Refused] = []
        for one in deliveries:
            place = bus_of(one.target.arn)
            assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
            scope, name = place
            if name != DEFAULT_BUS and await self._store.get(EventBus, scope, name) is None:
                message = f"The event bus {name} does not exist."
                refused.append(Refused(delivery=one, code="NO_RESOURCE", message=message))
            else:
                accepted.append(Accept(replace(one.event, scope=scope, bus=name)))
        return Landed(changes=tuple(accepted), refused=tuple(refused))
