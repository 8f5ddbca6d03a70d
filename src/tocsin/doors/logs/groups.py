"""Log groups: make, delete, list, and how long they keep their events."""

from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.logs.finding import asked_group, identified, named_group
from tocsin.doors.logs.places import PAGE_MAX, position_in, token_of
from tocsin.doors.logs.tagging import check_tags
from tocsin.model.changes import Delete, DropLogs, Put
from tocsin.model.errors import InvalidParameter, ResourceAlreadyExists, Validation
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.tags import Tags
from tocsin.ports import Store
from tocsin.services.tagging import first_tags

# "Possible values are" (AWS, PutRetentionPolicy).
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# "Log events in log groups in the Delivery class are kept ... for only one day" (AWS, CreateLogGroup).
DELIVERY_DAYS = 1
# A page looks at this many groups at most: a pattern that fits none of a million must not hold up a request.
GROUPS_LOOKED_AT_MAX = 1_000

LISTING = "DescribeLogGroups"
SISTER_CLASSES = frozenset({"INFREQUENT_ACCESS", "ESSENTIALS"})  # asking for one lists both (AWS, DescribeLogGroups)


class Groups:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["logGroupName"]
        if name.lower().startswith("aws/"):
            raise InvalidParameter("Log groups starting with AWS/ are reserved for AWS.")
        if await self._store.get(LogGroup, context.scope, name):
            raise ResourceAlreadyExists("The specified log group already exists")
        log_class = request.get("logGroupClass") or "STANDARD"
        group = LogGroup(
            scope=context.scope,
            name=name,
            created_ms=context.now_ms,
            retention_days=DELIVERY_DAYS if log_class == "DELIVERY" else 0,
            log_class=log_class,
            kms_key_id=request.get("kmsKeyId") or "",
            deletion_protected=bool(request.get("deletionProtectionEnabled")),
        )
        tags = check_tags(request.get("tags") or {})
        await self._store.commit(Put(group), *await first_tags(self._store, context.scope, group.arn, tags))
        return {}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await named_group(self._store, context.scope, request["logGroupName"])
        check_unprotected(group)
        tags = await self._store.get(Tags, group.scope, group.arn)
        await self._store.commit(
            Delete(group),
            DropLogs(scope=group.scope, group=group.name),
            *([Delete(tags)] if tags else []),
        )
        return {}

    async def put_retention(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        days = request["retentionInDays"]
        if days not in RETENTION_DAYS:
            raise InvalidParameter(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, RETENTION_DAYS))}]"
            )
        return await self._change(context.scope, request["logGroupName"], retention_days=days)

    async def delete_retention(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._change(context.scope, request["logGroupName"], retention_days=0)

    async def put_deletion_protection(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = identified(context.scope, request["logGroupIdentifier"])
        return await self._change(context.scope, name, deletion_protected=request["deletionProtectionEnabled"])

    async def _change(self, scope: Scope, name: str, **changes: Any) -> dict[str, Any]:
        await self._store.commit(Put(successor(await named_group(self._store, scope, name), **changes)))
        return {}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if identifiers := request.get("logGroupIdentifiers"):
            found = [
                await asked_group(self._store, context, {"logGroupIdentifier": identifier})
                for identifier in identifiers
            ]
            return {"logGroups": await self._members(context.scope, found)}
        if request.get("logGroupNamePrefix") and request.get("logGroupNamePattern"):
            raise InvalidParameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        groups, token = await self._page(context.scope, request)
        if request.get("logGroupNamePattern"):
            return {"logGroups": [_brief(group) for group in groups], "nextToken": token}
        return {"logGroups": await self._members(context.scope, groups), "nextToken": token}

    async def _page(self, scope: Scope, request: dict[str, Any]) -> tuple[list[LogGroup], str | None]:
        after = position_in(LISTING, request["nextToken"], tuple[str])[0] if request.get("nextToken") else ""
        limit = request.get("limit") or PAGE_MAX
        looked_at = await self._store.find(
            LogGroup,
            scope,
            prefix=request.get("logGroupNamePrefix") or "",
            after=after,
            limit=GROUPS_LOOKED_AT_MAX + 1,
        )
        within = looked_at[:GROUPS_LOOKED_AT_MAX]
        fitting = [group for group in within if _fits(group, request)]
        taken = fitting[:limit]
        if len(fitting) > limit:
            return taken, token_of(LISTING, taken[-1].name)
        return taken, token_of(LISTING, within[-1].name) if len(looked_at) > len(within) else None

    async def _members(self, scope: Scope, groups: list[LogGroup]) -> list[dict[str, Any]]:
        stored = await self._store.log_bytes(scope, [group.name for group in groups])
        return [_full(group, stored.get(group.name, 0)) for group in groups]


def check_unprotected(group: LogGroup) -> None:
    """Deletion protection "blocks all deletion operations until it is explicitly disabled" (AWS, CreateLogGroup)."""
    if group.deletion_protected:
        raise Validation(
            f"Log group {group.name} has deletion protection enabled. "
            "Disable it with PutLogGroupDeletionProtection, then try again."
        )


def _fits(group: LogGroup, request: dict[str, Any]) -> bool:
    wanted = request.get("logGroupClass")
    classes = SISTER_CLASSES if wanted in SISTER_CLASSES else {wanted or group.log_class}
    return group.log_class in classes and (request.get("logGroupNamePattern") or "") in group.name


def _brief(group: LogGroup) -> dict[str, Any]:
    """ "only arn, creationTime, and logGroupName are included" when a pattern is given (AWS, DescribeLogGroups)."""
    return {"logGroupName": group.name, "creationTime": group.created_ms, "arn": f"{group.arn}:*"}


def _full(group: LogGroup, stored_bytes: int) -> dict[str, Any]:
    return _brief(group) | {
        "retentionInDays": group.retention_days or None,
        "metricFilterCount": 0,
        "storedBytes": stored_bytes,
        "kmsKeyId": group.kms_key_id or None,
        "logGroupClass": group.log_class,
        "logGroupArn": group.arn,
        "deletionProtectionEnabled": group.deletion_protected,
    }
