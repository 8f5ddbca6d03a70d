"""A chat that is not one: takes posts on loopback, and answers as it is told."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from aiohttp import web

from tests.aside import accepts_no_more, aside

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Taken(NamedTuple):
    """A post as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def says(status: int, text: str = "ok", **headers: str) -> Answering:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers={n.replace("_", "-"): v for n, v in headers.items()})

    return answer


def slack_says(**members: Any) -> Answering:
    """An answer of Slack's API."""
    return says(200, json.dumps(members))


async def hangs(_request: web.Request) -> web.StreamResponse:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody ends this")


def _writes(raw: bytes) -> Answering:
    """These bytes in place of an answer, and the end of the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(raw)
        request.transport.close()
        raise ConnectionResetError

    return answer


closes_early = _writes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
closes_at_once = _writes(b"")
garbage = _writes(b"\x00\x01 this is no HTTP\r\n\r\n")


class StandIn:
    """`answers` by path, each used once, the last one for ever. Slack's API answers with growing `ts`."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answering]] = defaultdict(lambda: [says(200)])
        self.taken: list[Taken] = []
        self.url = ""
        self._news = asyncio.Event()

    def posts(self, path: str) -> list[dict[str, Any]]:
        return [one.body for one in self.taken if one.path == path]

    async def took(self, count: int) -> None:
        """Once so many posts have arrived."""
        while len(self.taken) < count:
            self._news.clear()
            await self._news.wait()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.taken.append(Taken(request.path, dict(request.headers), json.loads(await request.text())))
        self._news.set()
        answers = self.answers[request.path]
        answering = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answering(request)


@contextlib.asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    app = web.Application()
    app.router.add_post("/{path:.*}", stand_in.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        await accepts_no_more(site._server)
        await runner.cleanup()


@contextlib.contextmanager
def beside() -> Iterator[StandIn]:
    """A stand-in with a thread of its own, for tests of other processes. Look at `taken`; do not wait for it."""
    with aside(standing_in) as stand_in:
        yield stand_in
