"""Wiring, start and stop of the one process. Start: store, machines, loops, doors. Stop: the other way round."""

import asyncio
import contextlib
import logging
import shutil
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from tocsin.backends.sqlite import SqliteStore
from tocsin.doors.upstream import Upstream
from tocsin.server import moto
from tocsin.server.entrance import front_of
from tocsin.server.faults import load_catalogue
from tocsin.server.http import endpoint_of, listen, served
from tocsin.server.kinds import KINDS, inventory
from tocsin.server.parts import Ground, Parts
from tocsin.server.settings import Settings, SettingsError
from tocsin.server.worlds import RenewedWorlds, World
from tocsin.targets.http import BadCertificates, certificates, http_client

log = logging.getLogger(__name__)


class Loop(Protocol):
    """What runs as long as its world does."""

    def run(self) -> Coroutine[Any, Any, None]: ...


async def serve(settings: Settings, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and answer the exit code. `ready` is called with the endpoint.

    Raises SettingsError when the address is taken, Locked when the data directory is.
    """
    listening = listen(settings)
    endpoint = endpoint_of(settings.host, listening)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        ground = Ground(
            endpoint, await _upstream(settings, stack), _certificates(settings), load_catalogue(settings.health)
        )
        worlds = await _worlds(settings, ground, stack)
        http = await stack.enter_async_context(served(worlds.front, listening))
        worlds.start()
        stack.push_async_callback(worlds.stop)
        ready(endpoint)
        waiting = asyncio.create_task(stopping.wait())
        ends: list[asyncio.Future[Any]] = [waiting, http, worlds.ended]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return 0
        fallen = worlds.ended.result() if worlds.ended.done() else http
        why = None if fallen.cancelled() else fallen.exception()
        log.critical("a part of the server ended: %s", fallen, exc_info=why)
        return 1


async def _upstream(settings: Settings, stack: contextlib.AsyncExitStack) -> Upstream | None:
    """The server to which requests go on that are not for us. Raises MotoMissing."""
    url = settings.upstream
    if settings.with_moto:
        url = stack.enter_context(moto.moto_running(settings.account))
    return await stack.enter_async_context(Upstream(url)) if url else None


async def _worlds(settings: Settings, ground: Ground, stack: contextlib.AsyncExitStack) -> World | RenewedWorlds:
    """The one world there is; in test mode one after the other, in a folder that goes at the end."""
    if not settings.test_mode:
        return await stack.enter_async_context(_opened(settings, ground))
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-test-")))
    also_wiped = _also_wiped(settings, ground)
    worlds = RenewedWorlds(root, lambda place: _opened(settings.of_test(place), ground), also_wiped)
    await worlds.open()
    return worlds


def _also_wiped(settings: Settings, ground: Ground) -> Callable[[], Awaitable[None]] | None:
    """A reset goes for our own moto as well; an upstream of somebody else's keeps what it has."""
    if not settings.with_moto or ground.upstream is None:
        return None
    url = ground.upstream.url
    return lambda: asyncio.to_thread(moto.reset, url)


@contextlib.asynccontextmanager
async def _opened(settings: Settings, ground: Ground) -> AsyncIterator[World]:
    store = await SqliteStore.open(settings.data, KINDS, synced=not settings.test_mode)
    try:
        async with (
            http_client(ground.certificates) as session,
            _assembled(Parts(settings, store, session, ground)) as world,
        ):
            yield world
    finally:
        await store.close()
        if settings.test_mode:
            shutil.rmtree(settings.data)


def _certificates(settings: Settings) -> ssl.SSLContext:
    """Raises SettingsError."""
    try:
        return certificates(settings.outside)
    except BadCertificates as error:
        raise SettingsError(str(error)) from error


@contextlib.asynccontextmanager
async def _assembled(parts: Parts) -> AsyncIterator[World]:
    """Front and loops. Machines end, or are let go, when this is left."""
    settings, fleet, commands = parts.settings, parts.fleet, parts.commands
    settings.s3.mkdir(parents=True, exist_ok=True)
    front = front_of(parts)

    async def settled() -> bool:
        watchers = parts.cloud_watching.idle and parts.extensions.idle and parts.onlookers.idle
        at_rest = watchers and fleet.idle and commands.idle and parts.provider.idle
        return at_rest and await parts.bus.caught_up()

    await parts.provider.start()
    try:
        of_bus = (parts.queues, parts.topics, parts.chats, parts.outbox, parts.bus)
        for one in (*of_bus, parts.mishaps, parts.alarms, parts.cloud_watching, fleet, commands, parts.extensions):
            await one.load()
        parts.onlookers.load(fleet)
        yield World(front, _loops(parts), settled, lambda: inventory(parts.store))
    finally:
        await parts.provider.close()


def _loops(parts: Parts) -> list[Coroutine[Any, Any, None]]:
    of_bus: tuple[Loop, ...] = (
        parts.bus,
        parts.digests,
        parts.schedules,
        parts.replays,
        parts.connections,
        parts.queues,
    )
    of_outside: tuple[Loop, ...] = (parts.outbox, parts.topics, parts.chats, parts.commands)
    of_house: list[Loop] = [parts.fleet, parts.onlookers, parts.cloud_watching, parts.extensions, parts.housekeeping]
    if parts.upstream_alarms:
        of_house.append(parts.upstream_alarms)
    if parts.settings.slurm.enabled:
        of_house.append(parts.drains)
    return [*(one.run() for one in (*of_bus, *of_outside, *of_house)), *parts.provider.loops]
