"""The logs door over a real store, without a server: calls by name, answers checked against botocore's shapes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from tests.harness import WAIT_S
from tocsin.backends.sqlite import SqliteStore
from tocsin.doors.door import Context
from tocsin.doors.logs import logs_door
from tocsin.model.archive import Archive, Replay
from tocsin.model.cloud import ResourceRequest
from tocsin.model.logs import LogGroup, LogPolicy
from tocsin.model.names import Scope
from tocsin.model.tags import Tags
from tocsin.ports import Store

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
HERE = Scope("111122223333", "us-west-2")
GROUP = "/event/hyperpod/cluster"
STREAM = "one"

_model = botocore.session.get_session().get_service_model("logs")


class Desk:
    """A caller of the door. Its clock stands still unless it is moved."""

    def __init__(self, store: Store, scope: Scope = HERE) -> None:
        self.store = store
        self.scope = scope
        self.now = START
        self._door = logs_door(store)

    async def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call an operation with AWS's member names. None means: not given."""
        context = Context(scope=self.scope, access_key="key", request_id="request", now=self.now)
        request = {name: value for name, value in members.items() if value is not None}
        given = await self._door.operations[operation](context, request)
        answer = {name: value for name, value in given.items() if value is not None}
        shape = _model.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
            return answer
        complaints = ParamValidator().validate(_without_none(answer), shape)
        assert not complaints.has_errors(), complaints.generate_report()
        return answer

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def now_ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    async def group(self, name: str = GROUP, *streams: str) -> None:
        await self("CreateLogGroup", logGroupName=name)
        for stream in streams:
            await self("CreateLogStream", logGroupName=name, logStreamName=stream)

    async def put(self, *events: tuple[int, str], group: str = GROUP, stream: str = STREAM) -> dict[str, Any]:
        """Events as (milliseconds after START, message)."""
        return await self(
            "PutLogEvents",
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": START_MS + at, "message": message} for at, message in events],
        )

    async def everything(self, operation: str, result: str, **members: Any) -> list[list[Any]]:
        """All pages of a listing that ends with the absence of a nextToken."""
        pages: list[list[Any]] = []
        token: str | None = None
        while True:
            answer = await self(operation, **members, nextToken=token)
            pages.append(answer[result])
            token = answer.get("nextToken")
            if token is None:
                return pages


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def at_the_desk(folder: Path, story: Callable[[Desk], Awaitable[None]]) -> None:
    """Run a test's story over a store of its own."""

    async def run() -> None:
        store = await SqliteStore.open(folder / "data", [Archive, LogGroup, LogPolicy, Replay, ResourceRequest, Tags])
        try:
            await story(Desk(store))
        finally:
            await store.close()

    asyncio.run(asyncio.wait_for(run(), WAIT_S))
