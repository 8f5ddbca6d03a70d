"""The agent's end of the wire: one WebSocket to the server, made again for ever.

core/link decides what frames mean and what is sent; the spool keeps it. This file knows sockets and time. Reports come
in by `file`, orders go out by `take`.
"""

import asyncio
import contextlib
import logging
import os
import random
import ssl
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tocsin import __version__
from tocsin.agent.platform import told as platform_told
from tocsin.agent.settings import AgentSettings
from tocsin.agent.spool import Spool
from tocsin.core.link import Line, LinkBroken, Phase, beyond, hear
from tocsin.model.link import FRAME_BYTES_MAX, Beat, FromAgent, Halt, Hello, Order, Report, ToAgent, Welcome

log = logging.getLogger(__name__)

LINK_PATH = "/_tocsin/node"
# A server that comes back finds its nodes within a second; a thousand nodes knocking once a second are no load.
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 1.0
REFUSED_RETRY_MAX_S = 5.0  # a token that is wrong stays wrong until somebody does something
CONNECT_LIMIT_S = 5.0  # TCP, TLS and upgrade; more means that nobody is there
WELCOME_LIMIT_S = 10.0  # a server that reads its store first is given time
BEATS_MISSED_MAX = 3  # silence of so many intervals is a half-open connection
BEAT_INTERVAL_MIN_S = 0.05  # whatever the server asks: not more than twenty beats a second
CLOSE_LIMIT_S = 0.2  # for the closing handshake
NEXT_ADDRESS_S = 0.25  # a name's next address is tried after this (RFC 8305, section 5)
CODE_REFUSED = 1008  # "policy violation" (RFC 6455, section 7.4.1), with which the door turns strangers away

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToAgent).decode
_PLATFORM = platform_told()
# What ends a connection without ending the agent.
_LOST = (WebSocketException, OSError, TimeoutError, LinkBroken, msgspec.MsgspecError)


class Refused(LinkBroken):
    """The server closed the door on our Hello."""


class Link:
    """`boot` differs for every start of the agent. `take` gets each order, and one to run a work at most once."""

    def __init__(
        self,
        settings: AgentSettings,
        boot: str,
        spool: Spool,
        take: Callable[[Order], None],
        resets_gpus: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._boot = boot
        self._spool = spool
        self._take = take
        self._resets_gpus = resets_gpus
        self._url = _url(settings.server)
        # Once for all connections: it reads the node's certificates, which takes tens of milliseconds.
        self._tls = ssl.create_default_context() if self._url.startswith("wss:") else None
        self.gpus_expected = 0  # the server says it with its welcome
        self._line = Line()
        self._open = asyncio.Event()  # Welcome was heard on this connection
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def file(self, report: Report) -> bool:
        """Keep a report until the server has it. Whether it is on the disk now."""
        if not self._spool.file(report):
            return False
        self._idle.clear()
        self._wake.set()
        return self._spool.safe

    async def flush(self, limit_s: float) -> None:
        """Wait until everything filed is on its way, if there is a connection that takes it in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._idle.wait()

    async def run(self) -> Halt:
        """Keep the link up until the server ends this node."""
        retry_s, warned = RETRY_FIRST_S, False
        while True:
            self._line = Line()
            self._open.clear()
            retry_max_s = RETRY_MAX_S
            try:
                return await self._visit()
            except Refused as error:
                log.log(logging.DEBUG if warned else logging.WARNING, "no link to %s: %s", self._settings.server, error)
                warned, retry_max_s = True, REFUSED_RETRY_MAX_S
            except _LOST as error:
                if self._line.phase is Phase.OPEN:
                    retry_s, warned = RETRY_FIRST_S, False
                level = logging.INFO if retry_s == RETRY_FIRST_S else logging.DEBUG
                log.log(level, "no link to %s: %s", self._settings.server, error or type(error).__name__)
            # Jitter, so that the nodes of a server that fell do not come back in one wave.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311
            retry_s = min(2 * retry_s, retry_max_s)

    async def _visit(self) -> Halt:
        """One connection, from Hello to Halt; anything else that ends it raises."""
        socket = await self._connected()
        listening = asyncio.create_task(self._listen(socket))
        talking = asyncio.create_task(self._talk(socket))
        watching = asyncio.create_task(self._watch(socket))
        tasks: list[asyncio.Task[Any]] = [listening, talking, watching]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                (talking if talking.done() else watching).result()  # they never return: this raises why
            return listening.result()
        except ConnectionClosed as error:
            raise _lost(error, self._line.phase) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _close(socket)

    async def _connected(self) -> "_Socket":
        try:
            socket = await _Connect(
                self._url,
                create_connection=_Socket,
                compression=None,  # frames are small, and a node's processors are not ours
                proxy=None,
                max_size=FRAME_BYTES_MAX,
                open_timeout=CONNECT_LIMIT_S,
                close_timeout=CLOSE_LIMIT_S,
                ping_interval=None,  # ours go with the beats
                ssl=self._tls,
                happy_eyeballs_delay=NEXT_ADDRESS_S,
            )
        except ValueError as error:  # a port that is no number, a host that is no name
            raise LinkBroken(f"the server's address cannot be used: {error}") from error
        assert isinstance(socket, _Socket)
        return socket

    async def _watch(self, socket: "_Socket") -> NoReturn:
        """Break a link that carries nothing, neither frame nor pong: its other end may be gone."""
        try:
            async with asyncio.timeout(WELCOME_LIMIT_S):
                await self._open.wait()
        except TimeoutError:
            raise LinkBroken(f"the server did not answer within {WELCOME_LIMIT_S:g} s") from None
        limit_s = BEATS_MISSED_MAX * self._beat_s
        while True:
            rest_s = socket.heard_at + limit_s - socket.loop.time()
            if rest_s <= 0:
                raise LinkBroken(f"the server was silent for {limit_s:g} s")
            await asyncio.sleep(rest_s)

    async def _talk(self, socket: ClientConnection) -> NoReturn:
        """Say hello; once welcome, send reports as they come, and a beat at each interval."""
        await _send(socket, self._hello())
        await self._open.wait()
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + self._beat_s
        while True:
            await self._send_reports(socket)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await self._wake.wait()
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
            gpu_reset=self._resets_gpus(),
            **_PLATFORM,
        )

    async def _listen(self, socket: ClientConnection) -> Halt:
        while True:
            text = await socket.recv()
            if not isinstance(text, str):
                raise LinkBroken("the server sent a binary frame")
            halt = self._hear(_decode(text))
            if halt is not None:
                return halt

    def _hear(self, frame: ToAgent) -> Halt | None:
        heard = hear(self._spool.session, self._line, frame)
        self._line = heard.line
        self._spool.settle(heard.session)
        if isinstance(frame, Welcome):
            self.gpus_expected = frame.gpus
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

    async def _send_reports(self, socket: ClientConnection) -> None:
        self._wake.clear()
        for report in beyond(self._spool.session, self._line.sent):
            # Before the write: its acknowledgement may be heard while we wait for the socket to take more.
            self._line = replace(self._line, sent=report.n)
            await _send(socket, report)
        if self._line.sent >= self._spool.session.filed:
            self._idle.set()


class _Socket(ClientConnection):
    """Knows when the server was last heard: its pongs, which the library keeps to itself, are signs of life too."""

    heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)


class _Connect(connect):
    """Follows no redirect: Hello carries our token, which is for nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _url(server: str) -> str:
    """Where to knock; `server` is an HTTP base URL, or says ws already."""
    return server.replace("http", "ws", 1) + LINK_PATH if server.startswith("http") else server + LINK_PATH


def _lost(error: ConnectionClosed, phase: Phase) -> LinkBroken:
    """Why a connection ended, in words."""
    if error.sent and not error.rcvd_then_sent:
        return LinkBroken(f"broken off: {error.sent}")
    if error.rcvd is None:
        return LinkBroken("cut")
    if error.rcvd.code == CODE_REFUSED and phase is Phase.GREETING:
        return Refused("refused: the server does not take this node's token")
    return LinkBroken(f"closed by the server: {error.rcvd}")


async def _send(socket: ClientConnection, frame: FromAgent) -> None:
    await socket.send(_encode(frame), text=True)


async def _close(socket: ClientConnection) -> None:
    """Say goodbye, if anybody listens: a dead server does not, and takes no bytes either."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await socket.close()
    socket.transport.abort()
