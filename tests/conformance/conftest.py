"""Ground for the port suites: `async def` tests run on a loop of their own, and each adapter is one parameter."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tocsin.backends.sqlite import SqliteStore
from tocsin.model.archive import Archive
from tocsin.model.logs import LogGroup, LogPolicy
from tocsin.model.tags import Tags
from tocsin.ports import Store

KINDS = (Archive, LogGroup, LogPolicy, Tags)

# Opens the same store each time it is called: what one visit commits, the next one reads.
Opened = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


def sqlite_opened(directory: Path) -> Opened:
    @asynccontextmanager
    async def visit() -> AsyncIterator[Store]:
        store = await SqliteStore.open(directory, KINDS)
        try:
            yield store
        finally:
            await store.close()

    return visit


@pytest.fixture(params=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Every adapter of the Store port."""
    assert request.param == "sqlite"
    return sqlite_opened(tmp_path / "data")
