"""Tags of log groups: by ARN (TagResource and its kin), and the older operations by name."""

from collections.abc import Callable
from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.logs.finding import named_group
from tocsin.model.changes import Put
from tocsin.model.errors import InvalidParameter, ResourceNotFoundException, TooManyTags
from tocsin.model.logs import LogGroup
from tocsin.model.names import log_group_of
from tocsin.model.records import successor
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, Tags, checked_tags
from tocsin.ports import Store

Retag = Callable[[dict[str, str]], dict[str, str]]


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    many = TooManyTags(f"A log group can have at most {TAGS_MAX} tags, this one would have {len(tags)}.")
    return checked_tags(tags, many=many, reserved=InvalidParameter(RESERVED_SAID))


class Tagging:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def tag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._retag(await self._resource(context, request), lambda tags: tags | request["tags"])

    async def untag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._retag(await self._resource(context, request), _without(request["tagKeys"]))

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._tags(await self._resource(context, request))

    async def tag_group(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._retag(await self._group(context, request), lambda tags: tags | request["tags"])

    async def untag_group(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._retag(await self._group(context, request), _without(request["tags"]))

    async def list_group(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._tags(await self._group(context, request))

    async def _retag(self, group: LogGroup, change: Retag) -> dict[str, Any]:
        record = await self._store.get(Tags, group.scope, group.arn)
        tags = check_tags(change(record.tags if record else {}))
        if record:
            await self._store.commit(Put(successor(record, tags=tags)))
        else:
            await self._store.commit(Put(Tags(scope=group.scope, arn=group.arn, tags=tags)))
        return {}

    async def _tags(self, group: LogGroup) -> dict[str, Any]:
        record = await self._store.get(Tags, group.scope, group.arn)
        return {"tags": dict(record.tags) if record else {}}

    async def _group(self, context: Context, request: dict[str, Any]) -> LogGroup:
        return await named_group(self._store, context.scope, request["logGroupName"])

    async def _resource(self, context: Context, request: dict[str, Any]) -> LogGroup:
        place = log_group_of(request["resourceArn"])
        if place is None:
            raise InvalidParameter(f"The specified resource is not a log group: {request['resourceArn']}")
        group = await self._store.get(LogGroup, context.scope, place[1]) if place[0] == context.scope else None
        if group is None:
            raise ResourceNotFoundException("The specified resource does not exist.")
        return group


def _without(keys: list[str]) -> Retag:
    return lambda tags: {key: value for key, value in tags.items() if key not in keys}
