"""The agent's end of the wire: one WebSocket to the server, made again for ever.

core/link decides what frames mean and what is sent; the spool keeps it. This file knows sockets and time. Reports come
in by `file`, orders go out by `take`.
"""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable

import aiohttp
import msgspec
from msgspec.structs import replace

from tocsin import __version__
from tocsin.agent.settings import AgentSettings
from tocsin.agent.spool import Spool
from tocsin.core.link import Line, LinkBroken, Phase, beyond, hear
from tocsin.model.link import FRAME_BYTES_MAX, Beat, FromAgent, Halt, Hello, Report, RunScript, ToAgent, Welcome

log = logging.getLogger(__name__)

LINK_PATH = "/_tocsin/node"
# A server that comes back finds its nodes within a second; a thousand nodes knocking once a second are no load.
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 1.0
CONNECT_LIMIT_S = 5.0  # TCP, TLS and upgrade; more means that nobody is there
WELCOME_LIMIT_S = 10.0  # a server that reads its store first is given time
BEATS_MISSED_MAX = 3  # silence of so many intervals is a half-open connection
BEAT_INTERVAL_MIN_S = 0.05  # whatever the server asks: not more than twenty beats a second
CLOSE_LIMIT_S = 0.2  # for the closing handshake, which a dead server does not answer

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToAgent).decode
_CLOSED = {None: "closed by the server", 1006: "cut", 1008: "refused: the server does not take this node's token"}
# What ends a connection without ending the agent.
_LOST = (aiohttp.ClientError, OSError, TimeoutError, LinkBroken, msgspec.MsgspecError)


class Link:
    """`boot` differs for every start of the agent. `take` is called with each script to run, at most once each."""

    def __init__(self, settings: AgentSettings, boot: str, spool: Spool, take: Callable[[RunScript], None]) -> None:
        self._settings = settings
        self._boot = boot
        self._spool = spool
        self._take = take
        self._line = Line()
        self._open = asyncio.Event()  # Welcome was heard on this connection
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def file(self, report: Report) -> None:
        """Keep a report until the server has it."""
        if self._spool.file(report):
            self._idle.clear()
            self._wake.set()

    async def flush(self, limit_s: float) -> None:
        """Wait until everything filed is on its way, if there is a connection that takes it in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), limit_s)

    async def run(self) -> Halt:
        """Keep the link up until the server ends this node."""
        retry_s = RETRY_FIRST_S
        async with aiohttp.ClientSession() as http:
            while True:
                self._line = Line()
                self._open.clear()
                try:
                    return await self._visit(http)
                except _LOST as error:
                    if self._line.phase is Phase.OPEN:
                        retry_s = RETRY_FIRST_S
                    level = logging.INFO if retry_s == RETRY_FIRST_S else logging.DEBUG
                    log.log(level, "no link to %s: %s", self._settings.server, error or type(error).__name__)
                # Jitter, so that the nodes of a server that fell do not come back in one wave.
                await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311
                retry_s = min(2 * retry_s, RETRY_MAX_S)

    async def _visit(self, http: aiohttp.ClientSession) -> Halt:
        """One connection, from Hello to Halt; anything else that ends it raises."""
        connecting = http.ws_connect(
            self._settings.server + LINK_PATH,
            autoping=False,  # we want to see the pongs: they are the server's signs of life
            max_msg_size=FRAME_BYTES_MAX,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT_S),
        )
        socket = await asyncio.wait_for(connecting, CONNECT_LIMIT_S)
        listening = asyncio.create_task(self._listen(socket))
        talking = asyncio.create_task(self._talk(socket))
        try:
            await asyncio.wait([listening, talking], return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                return listening.result()
            talking.result()  # it never returns: this raises why
            raise AssertionError("talking ended")
        finally:
            listening.cancel()
            talking.cancel()
            await asyncio.gather(listening, talking, return_exceptions=True)
            await socket.close()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Say hello; once welcome, send reports as they come, and a beat at each interval."""
        await _send(socket, self._hello())
        await self._open.wait()
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + self._beat_s
        while True:
            await self._send_reports(socket)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, beat_at - loop.time()))
            if loop.time() >= beat_at:
                # The beat tells the server that we live; the pong to our ping tells us that it does.
                await _send(socket, Beat())
                await socket.ping()
                beat_at = loop.time() + self._beat_s

    def _hello(self) -> Hello:
        return Hello(
            instance_id=self._settings.instance_id,
            token=self._settings.token,
            boot=self._boot,
            version=__version__,
            pid=os.getpid(),
        )

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> Halt:
        while True:
            limit_s = BEATS_MISSED_MAX * self._beat_s if self._line.phase is Phase.OPEN else WELCOME_LIMIT_S
            try:
                message = await socket.receive(timeout=limit_s)
            except TimeoutError:
                raise LinkBroken(f"the server was silent for {limit_s:g} s") from None
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    halt = self._hear(_decode(message.data))
                    if halt is not None:
                        return halt
                case aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                case aiohttp.WSMsgType.PONG:
                    pass
                case aiohttp.WSMsgType.ERROR:
                    raise LinkBroken(f"the connection broke: {message.data}")
                case _:
                    raise LinkBroken(_CLOSED.get(socket.close_code, f"closed by the server (code {socket.close_code})"))

    def _hear(self, frame: ToAgent) -> Halt | None:
        heard = hear(self._spool.session, self._line, frame)
        self._line = heard.line
        self._spool.settle(heard.session)
        if isinstance(frame, Welcome):
            log.info("linked to %s, %d reports to send again", self._settings.server, len(heard.session.outbox))
            self._open.set()
        for order in heard.orders:
            if isinstance(order, Halt):
                return order
            self._take(order)
        return None

    @property
    def _beat_s(self) -> float:
        return max(self._line.beat_interval_s, BEAT_INTERVAL_MIN_S)

    async def _send_reports(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._wake.clear()
        for report in beyond(self._spool.session, self._line.sent):
            # Before the write: its acknowledgement may be heard while we wait for the socket to take more.
            self._line = replace(self._line, sent=report.n)
            await _send(socket, report)
        if self._line.sent >= self._spool.session.filed:
            self._idle.set()


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: FromAgent) -> None:
    await socket.send_str(_encode(frame).decode())
