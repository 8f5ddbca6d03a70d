"""Log streams: make, delete, and list them by name or by the time of their newest event."""

import heapq
from collections.abc import AsyncIterator
from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.logs.finding import NO_STREAM, asked_group, find_stream, named_group
from tocsin.doors.logs.groups import check_unprotected
from tocsin.doors.logs.places import PAGE_MAX, position_in, token_of
from tocsin.model.changes import DropStream, OpenStream
from tocsin.model.errors import InvalidParameter, ResourceAlreadyExists, ResourceNotFoundException
from tocsin.model.logs import LogGroup, LogStream
from tocsin.ports import Store

# Listings that do not follow the store's order walk through all streams in bites of this many.
STREAMS_BITE = 1_000

# "The sequence token is now ignored"; shippers of the old school still hand one back, so there is one to have.
SEQUENCE_TOKEN = f"{0:056d}"


class Streams:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await named_group(self._store, context.scope, request["logGroupName"])
        name = request["logStreamName"]
        if await find_stream(self._store, group, name):
            raise ResourceAlreadyExists("The specified log stream already exists")
        await self._store.commit(
            OpenStream(scope=group.scope, group=group.name, stream=name, created_ms=context.now_ms)
        )
        return {}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = await named_group(self._store, context.scope, request["logGroupName"])
        check_unprotected(group)
        if await find_stream(self._store, group, request["logStreamName"]) is None:
            raise ResourceNotFoundException(NO_STREAM)
        await self._store.commit(DropStream(scope=group.scope, group=group.name, stream=request["logStreamName"]))
        return {}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and request.get("logStreamNamePrefix"):
            raise InvalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        group = await asked_group(self._store, context, request)
        if by_time or request.get("descending"):
            streams, token = await self._sorted(group, request, by_time=by_time)
        else:
            streams, token = await self._by_name(group, request)
        return {"logStreams": [_members(group, stream) for stream in streams], "nextToken": token}

    async def _by_name(self, group: LogGroup, request: dict[str, Any]) -> tuple[list[LogStream], str | None]:
        kind = "DescribeLogStreams"
        limit = request.get("limit") or PAGE_MAX
        found = await self._store.log_streams(
            group.scope,
            group.name,
            prefix=request.get("logStreamNamePrefix") or "",
            after=position_in(kind, request["nextToken"], tuple[str])[0] if request.get("nextToken") else "",
            limit=limit + 1,
        )
        taken = found[:limit]
        return taken, token_of(kind, taken[-1].name) if len(found) > limit else None

    async def _sorted(
        self, group: LogGroup, request: dict[str, Any], *, by_time: bool
    ) -> tuple[list[LogStream], str | None]:
        """In an order the store does not keep. Memory stays at a page and a bite, however many streams there are."""
        descending = bool(request.get("descending"))
        kind = f"DescribeLogStreams/{by_time}/{descending}"
        limit = request.get("limit") or PAGE_MAX
        token = request.get("nextToken")
        after = position_in(kind, token, tuple[int, str]) if token else None

        def rank(stream: LogStream) -> tuple[int, str]:
            return (stream.last_ms or 0) if by_time else 0, stream.name

        def beyond(stream: LogStream) -> bool:
            return after is None or (rank(stream) < after if descending else rank(stream) > after)

        pick = heapq.nlargest if descending else heapq.nsmallest
        best: list[LogStream] = []
        async for bite in self._bites(group, request.get("logStreamNamePrefix") or ""):
            best = pick(limit + 1, [*best, *filter(beyond, bite)], key=rank)
        taken = best[:limit]
        return taken, token_of(kind, *rank(taken[-1])) if len(best) > limit else None

    async def _bites(self, group: LogGroup, prefix: str) -> AsyncIterator[list[LogStream]]:
        after = ""
        while bite := await self._store.log_streams(
            group.scope, group.name, prefix=prefix, after=after, limit=STREAMS_BITE
        ):
            yield bite
            after = bite[-1].name


def _members(group: LogGroup, stream: LogStream) -> dict[str, Any]:
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.ingested_ms,
        "uploadSequenceToken": SEQUENCE_TOKEN if stream.ingested_ms is not None else None,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        "storedBytes": 0,  # "always reported as zero" since 2019 (AWS, LogStream)
    }
