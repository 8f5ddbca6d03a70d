"""Files that the server hands to its node: asked for by the node's token, over HTTP, again until the server has one.

bundle.py fetches the lifecycle scripts, config.py what they are told of their cluster. Whatever goes wrong is a
NotStarted, whose text is meant for whoever reads it at 3 a.m.
"""

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.agent.settings import AgentSettings
from tocsin.model.errors import TocsinError

FETCH_LIMIT_S = 10.0  # for a server that restarts; a longer outage is told, and the fleet orders again
FETCH_RETRY_S = 0.5
DOWNLOAD_LIMIT_S = 300.0  # for what comes, but slowly
READ_BYTES = 256 << 10
ANSWER_CHARS_MAX = 300  # of the server's words in an error


class NotStarted(TocsinError):
    """The script did not run; the text says why and what to do."""


class _AskAgain(Exception):
    """The server may answer better in a moment."""


class Wanted(Struct, frozen=True, kw_only=True):
    """A file at a `path` of the server; its `name` is for errors."""

    path: str
    name: str
    bytes_max: int


async def download(settings: AgentSettings, wanted: Wanted, into: IO[bytes]) -> None:
    headers = {"authorization": f"Bearer {settings.token}", "x-tocsin-instance": settings.instance_id}
    url = settings.server + wanted.path
    give_up = time.monotonic() + FETCH_LIMIT_S
    while True:
        try:
            return await _get(url, headers, wanted, into)
        except (_AskAgain, http.client.HTTPException, OSError, TimeoutError) as error:
            if time.monotonic() + FETCH_RETRY_S > give_up:
                words = f"could not fetch the {wanted.name} from {url} within {FETCH_LIMIT_S:g} s"
                raise NotStarted(f"{words}: {error or type(error).__name__}") from error
        await asyncio.sleep(FETCH_RETRY_S)


async def _get(url: str, headers: Mapping[str, str], wanted: Wanted, into: IO[bytes]) -> None:
    into.seek(0)
    into.truncate()
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme in ("https", "wss") else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=FETCH_LIMIT_S)
    path = place.path + (f"?{place.query}" if place.query else "")
    async with asyncio.timeout(DOWNLOAD_LIMIT_S):
        await _apart(lambda: _receive(connection, path, headers, wanted, into))


def _receive(
    connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str], wanted: Wanted, into: IO[bytes]
) -> None:
    """Ask once, and write down the answer. No redirect is followed: the token is for this server only.

    When nobody waits any more the file is closed, which ends this at the next bytes.
    """
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        with connection.getresponse() as answer:
            _check(answer, wanted)
            while chunk := answer.read1(READ_BYTES):  # not `read`: it waits for so many, however slowly they come
                into.write(chunk)
                if into.tell() > wanted.bytes_max:
                    limit = f"{wanted.bytes_max >> 20} MiB"
                    raise NotStarted(f"the {wanted.name} is larger than {limit}, the most that is taken")
            if answer.length:
                raise _AskAgain(f"the server's answer was cut {answer.length} bytes before its end")


def _check(answer: http.client.HTTPResponse, wanted: Wanted) -> None:
    if answer.status >= 500 or answer.status == 429:
        raise _AskAgain(f"the server answered {answer.status} {_words(answer)}")
    if answer.status in (401, 403):
        raise NotStarted(f"the server refused this node the {wanted.name} ({answer.status} {_words(answer)})")
    if answer.status != 200:
        raise NotStarted(f"the server has no {wanted.name} ({answer.status} {_words(answer)})")


def _words(answer: http.client.HTTPResponse) -> str:
    return " ".join(answer.read(ANSWER_CHARS_MAX).decode(errors="replace").split())


async def _apart(work: Callable[[], None]) -> None:
    """Run it in a thread that nobody waits for: the pool's threads are joined when the loop ends, and an agent that is
    told to stop cannot wait for a slow server."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def run() -> None:
        error = None
        try:
            work()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="download", daemon=True).start()
    await done
