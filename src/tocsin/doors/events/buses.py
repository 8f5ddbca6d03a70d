"""Event buses: made, described, changed, deleted. The default bus is always there and cannot go."""

from collections.abc import Sequence
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import PAGE_MAX, TOO_MANY, find_bus, named_bus, rules_of
from tocsin.doors.events.tagging import told
from tocsin.doors.paging import page
from tocsin.model.archive import Archive
from tocsin.model.bus import EventBus, default_bus
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import LimitExceeded, NotImplementedYet, ResourceAlreadyExists, Validation
from tocsin.model.names import DEFAULT_BUS
from tocsin.model.records import successor
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.tagging import first_tags, last_tags

# Members that are kept as given, and the record's names for them.
_KEPT = {
    "Description": "description",
    "KmsKeyIdentifier": "kms_key_id",
    "DeadLetterConfig": "dead_letter",
    "LogConfig": "log_config",
}


class Buses:
    def __init__(self, store: Store, bus: Bus, buses_max: int) -> None:
        """`buses_max`: of one account in one region, the default bus included."""
        self._store = store
        self._bus = bus
        self._buses_max = buses_max

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        if request.get("EventSourceName"):
            raise NotImplementedYet("Partner event buses (EventSourceName) are not implemented in Tocsin yet.")
        if "/" in name:
            raise Validation("Event bus name must not contain '/'.")
        tags = told(request)

        async def attempt() -> EventBus:
            if await find_bus(self._store, context.scope, name):
                raise ResourceAlreadyExists(f"Event bus {name} already exists.")
            if len(await self._buses(context)) >= self._buses_max:
                raise LimitExceeded(TOO_MANY)
            now_ms = context.now_ms
            bus = EventBus(scope=context.scope, name=name, created_ms=now_ms, modified_ms=now_ms, **_given(request))
            await self._store.commit(Put(bus), *await first_tags(self._store, context.scope, bus.arn, tags))
            return bus

        bus = await decided(attempt)
        return {"EventBusArn": bus.arn} | _kept(bus)

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await named_bus(self._store, context.scope, request.get("Name", DEFAULT_BUS))
        return _members(bus) | _kept(bus)

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request.get("NamePrefix", "")
        taken, token = page(
            [bus for bus in await self._buses(context) if bus.name.startswith(prefix)],
            kind="ListEventBuses",
            position=lambda bus: [bus.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"EventBuses": [_members(bus) for bus in taken], "NextToken": token}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """What the request leaves out stays as it is."""

        async def attempt() -> EventBus:
            old = await named_bus(self._store, context.scope, request.get("Name", DEFAULT_BUS))
            new = successor(old, modified_ms=context.now_ms, **_given(request))
            await self._store.commit(Put(new))
            return new

        bus = await decided(attempt)
        return {"Arn": bus.arn, "Name": bus.name} | _kept(bus)

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        if name == DEFAULT_BUS:
            raise Validation("Cannot delete event bus default.")

        async def attempt() -> None:
            bus = await named_bus(self._store, context.scope, name)
            archived = [one for one in await self._store.find(Archive, context.scope) if one.bus == name]
            if archived or await rules_of(self._store, context.scope, name):  # on AWS an archive is a managed rule
                raise Validation("EventBus can't be deleted since it has rules.")
            await self._store.commit(Delete(bus), *await last_tags(self._store, context.scope, bus.arn))

        await decided(attempt)
        await self._bus.reload(context.scope, name)
        return {}

    async def _buses(self, context: Context) -> Sequence[EventBus]:
        stored = {bus.name: bus for bus in await self._store.find(EventBus, context.scope)}
        stored.setdefault(DEFAULT_BUS, default_bus(context.scope))
        return [stored[name] for name in sorted(stored)]


def _given(request: dict[str, Any]) -> dict[str, Any]:
    return {field: request[member] for member, field in _KEPT.items() if request.get(member) is not None}


def _kept(bus: EventBus) -> dict[str, Any]:
    return {member: getattr(bus, field) or None for member, field in _KEPT.items()}


def _members(bus: EventBus) -> dict[str, Any]:
    return {
        "Name": bus.name,
        "Arn": bus.arn,
        "Description": bus.description or None,
        "Policy": bus.policy or None,
        "CreationTime": bus.created_ms / 1000 or None,
        "LastModifiedTime": bus.modified_ms / 1000 or None,
    }
