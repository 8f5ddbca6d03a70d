"""Archives: made, described, changed, deleted. What goes into them the bus decides, when it routes an event."""

from typing import Any

from tocsin.core.patterns import parse
from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import PAGE_MAX, TOO_MANY, named_bus
from tocsin.doors.events.rules import holding
from tocsin.doors.paging import page
from tocsin.model.archive import Archive, ArchiveSum
from tocsin.model.changes import Delete, DropArchived, Put
from tocsin.model.errors import LimitExceeded, ResourceAlreadyExists, ResourceNotFoundException, Validation
from tocsin.model.names import Scope, bus_arn
from tocsin.model.records import successor
from tocsin.ports import Store
from tocsin.services.bus import Bus

_KEPT = {
    "Description": "description",
    "EventPattern": "pattern",
    "RetentionDays": "retention_days",
    "KmsKeyIdentifier": "kms_key_id",
}
STATE = "ENABLED"  # an archive is there and at work from the answer on


class Archives:
    def __init__(self, store: Store, bus: Bus, archives_max: int) -> None:
        """`archives_max`: of one account in one region."""
        self._store = store
        self._bus = bus
        self._archives_max = archives_max

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope, name = context.scope, request["ArchiveName"]
        _check_pattern(request)

        async def attempt() -> Archive:
            bus = await named_bus(self._store, scope, request["EventSourceArn"])
            if await self._store.get(Archive, scope, name):
                raise ResourceAlreadyExists(f"Archive {name} already exists.")
            if len(await self._store.find(Archive, scope)) >= self._archives_max:
                raise LimitExceeded(TOO_MANY)
            archive = Archive(scope=scope, name=name, bus=bus.name, created_ms=context.now_ms, **_given(request))
            await self._store.commit(Put(archive), *holding(bus))
            return archive

        archive = await decided(attempt)
        await self._bus.reload_archives()
        return _made(archive)

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        archive = await named_archive(self._store, context.scope, request["ArchiveName"])
        sums = await self._store.archive_sums(context.scope, [archive.name])
        return _members(archive, sums.get(archive.name, ArchiveSum())) | {
            "ArchiveArn": archive.arn,
            "Description": archive.description or None,
            "EventPattern": archive.pattern or None,
            "KmsKeyIdentifier": archive.kms_key_id or None,
        }

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if sum(name in request for name in ("State", "EventSourceArn", "NamePrefix")) > 1:
            raise Validation(
                "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix."
            )
        found = await self._store.find(Archive, context.scope, prefix=request.get("NamePrefix", ""))
        source, state = request.get("EventSourceArn"), request.get("State", STATE)
        taken, token = page(
            [one for one in found if state == STATE and source in (None, bus_arn(one.scope, one.bus))],
            kind="ListArchives",
            position=lambda archive: [archive.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        sums = await self._store.archive_sums(context.scope, [one.name for one in taken])
        return {"Archives": [_members(one, sums.get(one.name, ArchiveSum())) for one in taken], "NextToken": token}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        given = _given(request)
        if not given:
            raise Validation("At least one of EventPattern, RetentionDays or Description must be provided.")
        _check_pattern(request)

        async def attempt() -> Archive:
            archive = successor(await named_archive(self._store, context.scope, request["ArchiveName"]), **given)
            await self._store.commit(Put(archive))
            return archive

        archive = await decided(attempt)
        await self._bus.reload_archives()
        return _made(archive)

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            archive = await named_archive(self._store, context.scope, request["ArchiveName"])
            await self._store.commit(Delete(archive), DropArchived(scope=archive.scope, archive=archive.name))

        await decided(attempt)
        await self._bus.reload_archives()
        return {}


async def named_archive(store: Store, scope: Scope, name: str) -> Archive:
    archive = await store.get(Archive, scope, name)
    if archive is None:
        raise ResourceNotFoundException(f"Archive {name} does not exist.")
    return archive


def _check_pattern(request: dict[str, Any]) -> None:
    if request.get("EventPattern"):
        parse(request["EventPattern"])


def _given(request: dict[str, Any]) -> dict[str, Any]:
    return {field: request[member] for member, field in _KEPT.items() if request.get(member) is not None}


def _made(archive: Archive) -> dict[str, Any]:
    return {"ArchiveArn": archive.arn, "State": STATE, "CreationTime": archive.created_ms / 1000}


def _members(archive: Archive, holds: ArchiveSum) -> dict[str, Any]:
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": bus_arn(archive.scope, archive.bus),
        "State": STATE,
        "RetentionDays": archive.retention_days,
        "SizeBytes": holds.bytes,
        "EventCount": holds.events,
        "CreationTime": archive.created_ms / 1000,
    }
