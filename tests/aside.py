"""Servers of asyncio within a test's process, on a loop of their own, that leave nothing open behind them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from tests.harness import WAIT_S

T = TypeVar("T")


@contextlib.contextmanager
def aside(serving: Callable[[], contextlib.AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """`serving` in a thread of its own. It ends where it began: no other thread may close what is open on its loop."""
    up: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        async with serving() as served:
            done = asyncio.Event()
            up.set_result((served, asyncio.get_running_loop(), done))
            await done.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if up.done():
                raise
            up.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    served, loop, done = up.result(WAIT_S)
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(WAIT_S)


async def accepts_no_more(listening: asyncio.AbstractServer | None) -> None:
    """Once each accepted connection has its protocol, to be closed with all others. Then `listening` may close.

    A client that only looked whether somebody listens is gone by then. asyncio forgets to close what it is about to
    accept as it closes, and whatever test comes next would find it open.
    """
    assert isinstance(listening, asyncio.Server)
    for sock in listening.sockets:
        asyncio.get_running_loop().remove_reader(sock)
    accepting = [task for task in asyncio.all_tasks() if "_accept_connection2" in repr(task.get_coro())]
    await asyncio.gather(*accepting, return_exceptions=True)
