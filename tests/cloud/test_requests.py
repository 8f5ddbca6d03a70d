"""What is left of a request after a crash, over a real store opened again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tocsin.backends.sqlite import SqliteStore
from tocsin.doors.cloudcontrol.asking import Asking, Services
from tocsin.doors.cloudcontrol.requests import Requests, Wanted
from tocsin.doors.door import Context
from tocsin.model.cloud import ConcurrentOperation, Operation, OperationStatus, ResourceRequest, SentModel
from tocsin.model.names import Scope

CONTEXT = Context(
    scope=Scope("111122223333", "us-west-2"), access_key="", request_id="r", now=datetime(2026, 1, 1, tzinfo=UTC)
)
ASK = Asking(Services([]), CONTEXT)


def wanted(token: str) -> Wanted:
    return Wanted(
        type_name="AWS::Logs::LogGroup", operation=Operation.UPDATE, token=token, digest=token, identifier="/g"
    )


def test_a_request_cut_short_by_a_crash_has_failed_and_holds_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        store = await SqliteStore.open(tmp_path, (ResourceRequest, SentModel))
        before = Requests(store, lambda: "id")

        async def look(one: ResourceRequest) -> ResourceRequest:
            return await before.looked_at(ASK, one)

        await before.begin(CONTEXT, wanted("first"), look)
        with pytest.raises(ConcurrentOperation):
            await before.begin(CONTEXT, wanted("second"), look)
        await store.close()

        store = await SqliteStore.open(tmp_path, (ResourceRequest, SentModel))
        after = Requests(store, lambda: "id")

        async def look_again(one: ResourceRequest) -> ResourceRequest:
            return await after.looked_at(ASK, one)

        begun, fresh = await after.begin(CONTEXT, wanted("second"), look_again)
        assert (begun.status, fresh) == (OperationStatus.PENDING, True)
        first: Any = await store.get(ResourceRequest, CONTEXT.scope, "first")
        assert (first.status, first.code) == (OperationStatus.FAILED, "InternalFailure")
        await store.close()

    asyncio.run(story())
