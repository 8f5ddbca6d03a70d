"""A world: one store and everything that lives on it. Test mode puts a fresh one in the place of the old.

Nothing is emptied by hand: every service is made anew on a store that is new, so that none can be forgotten.
"""

import asyncio
import contextlib
import itertools
import math
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from tocsin.model.errors import StoreUnavailable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Inventory = dict[str, dict[str, list[Any]]]

# Paths that test suites of the field call already (moto's server).
RESET_PATH, AUTH_PATH, DATA_PATH = "/moto-api/reset", "/moto-api/reset-auth", "/moto-api/data.json"
# What an answer waits for what earlier requests set going: far longer than it takes, far shorter than a client waits.
SETTLED_TIMEOUT_S = 2.0
LOOKED_EVERY_S = 0.001
MOTO_PATHS = (f"POST {RESET_PATH}", f"POST {AUTH_PATH}", f"GET {DATA_PATH}")


class World:
    """`front` answers requests, `loops` run from `start` to `stop`. `ended` is done when one of them falls.

    `inventory` tells all that is there, by service and kind.
    """

    def __init__(
        self,
        front: App,
        loops: list[Coroutine[Any, Any, None]],
        settled: Callable[[], Awaitable[bool]],
        inventory: Callable[[], Awaitable[Inventory]],
    ) -> None:
        self.front = front
        self.settled = settled
        self.inventory = inventory
        self.ended: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()
        self._loops = loops
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._running = [asyncio.create_task(loop) for loop in self._loops]
        for task in self._running:
            task.add_done_callback(self._fallen)

    async def stop(self) -> None:
        for task in self._running:
            task.remove_done_callback(self._fallen)
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _fallen(self, task: asyncio.Task[None]) -> None:
        if not self.ended.done():
            self.ended.set_result(task)


Open = Callable[[Path], contextlib.AbstractAsyncContextManager[World]]


class RenewedWorlds:
    """One world after the other behind one address. A request sees what all requests before it brought about."""

    def __init__(self, root: Path, opened: Open, also_wiped: Callable[[], Awaitable[None]] | None = None) -> None:
        """`also_wiped` empties what lies outside of worlds."""
        self.ended: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()
        self._folders = (root / f"world-{number}" for number in itertools.count(1))
        self._opened = opened
        self._also_wiped = also_wiped
        self._renewing = asyncio.Lock()
        self._world: World | None = None
        self._closing = contextlib.AsyncExitStack()
        self._leaving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The next world. It runs before the one before it is left, which nobody has to wait for."""
        await self._left()
        async with contextlib.AsyncExitStack() as stack:
            world = await stack.enter_async_context(self._opened(next(self._folders)))
            world.start()
            stack.push_async_callback(world.stop)
            world.ended.add_done_callback(self._fallen)
            before, self._closing = self._closing, stack.pop_all()
            self._world = world
        self._leaving = asyncio.create_task(before.aclose())

    async def _left(self) -> None:
        if self._leaving:
            await self._leaving

    def start(self) -> None:
        """Worlds start as they are opened."""

    async def stop(self) -> None:
        """Leave the last world."""
        await self._left()
        await self._closing.aclose()

    def _fallen(self, ended: asyncio.Future[asyncio.Task[None]]) -> None:
        if not self.ended.done():
            self.ended.set_result(ended.result())

    async def front(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/moto-api/"):
            await self._answer(scope, receive, send)
            return
        async with self._renewing:
            world = self._world
        assert world is not None, "requests come after the first world"
        if scope["type"] == "http":
            await _settle(world)
        await world.front(scope, receive, send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "POST", path if path == RESET_PATH:
                status, told = await self._reset()
            case "POST", path if path == AUTH_PATH:
                status, told = _unchecked(await _short_body(receive))
            case "GET", path if path == DATA_PATH:
                status, told = await self._all_there()
            case _:
                status, told = 404, {"error": f"of /moto-api there is {', '.join(MOTO_PATHS)}"}
        body = msgspec.json.encode(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _reset(self) -> tuple[int, dict[str, Any]]:
        async with self._renewing:
            await self.open()
            if self._also_wiped:
                await self._also_wiped()
        return 200, {"status": "ok"}

    async def _all_there(self) -> tuple[int, Inventory]:
        async with self._renewing:
            world = self._world
        assert world is not None, "requests come after the first world"
        await _settle(world)
        return 200, await world.inventory()


def _unchecked(asked: bytes) -> tuple[int, dict[str, Any]]:
    """moto counts requests down until it asks IAM. Nobody is asked here, so a count that would end is refused."""
    try:
        count = float(asked.decode() or "nan")
    except ValueError:
        count = math.nan
    if count == math.inf:
        return 200, {"status": "ok", "PREVIOUS_INITIAL_NO_AUTH_ACTION_COUNT": "inf"}
    return 501, {"error": f"IAM policies are never asked here, so of counts of {AUTH_PATH} there is only inf"}


async def _short_body(receive: Receive) -> bytes:
    """The first piece of a body of which a number is expected."""
    message = await receive()
    return bytes(message.get("body", b""))


async def _settle(world: World) -> None:
    """Wait until nothing is left to come without time passing: a poll, of a world that has milliseconds of work."""
    with contextlib.suppress(StoreUnavailable):  # it is being left: whoever asks it hears so
        for _ in range(round(SETTLED_TIMEOUT_S / LOOKED_EVERY_S)):
            if await world.settled():
                return
            await asyncio.sleep(LOOKED_EVERY_S)
