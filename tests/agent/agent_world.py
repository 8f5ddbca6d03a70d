"""A server for agents to talk to: accepts links, commits each report once, hands out orders and a bundle."""

import asyncio
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import msgspec
from aiohttp import WSMsgType, web
from msgspec.structs import replace

from tocsin.agent.settings import AgentSettings
from tocsin.model.link import (
    Ack,
    Beat,
    FromAgent,
    Hello,
    Report,
    RunScript,
    ScriptEnded,
    ScriptOutput,
    ToAgent,
    Welcome,
)

INSTANCE_ID = "i-0123456789abcdef0"
WAIT_S = 10.0
_decode = msgspec.json.Decoder(FromAgent).decode

ORDER = RunScript(
    work="lifecycle/1",
    source="s3://bucket/lifecycle/v1",
    bundle_path="/bundle",
    on_create="on_create.sh",
    resource_config='{"ClusterConfig":{}}',
    time_limit_s=20.0,
    output_bytes_max=1 << 20,
)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def texts(reports: list[Report]) -> list[str]:
    """All lines of output, in order."""
    return [text for report in reports if isinstance(report, ScriptOutput) for _, text in report.lines]


class FakeServer:
    """`applied` are the reports that took effect; `seen` all that came. Strict: a gap in the numbers cuts the link."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.bundle = tar_of(files or {})
        self.statuses: list[int] = []  # answers to the next requests for the bundle, before 200
        self.orders: list[ToAgent] = []  # sent after each welcome
        self.acking = True
        self.answering = True  # pongs to pings
        self.beat_interval_s = 5.0
        self.acked = 0
        self.applied: list[Report] = []
        self.seen: list[Report] = []
        self.hellos: list[Hello] = []
        self.beats = 0
        self.asked: list[Mapping[str, str]] = []  # headers of requests for the bundle
        self.port = 0
        self._sockets: dict[web.WebSocketResponse, web.Request] = {}
        self._last: dict[web.WebSocketResponse, int] = {}  # number of the last report on a connection
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "FakeServer":
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.down()

    async def up(self) -> None:
        app = web.Application()
        app.router.add_get("/_tocsin/node", self._node)
        app.router.add_get("/bundle", self._bundle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        self.cut()
        assert self._runner
        await self._runner.cleanup()

    def cut(self) -> None:
        """Break all connections, without a word."""
        for request in self._sockets.values():
            if request.transport:
                request.transport.abort()

    async def send(self, frame: ToAgent) -> None:
        for socket in self._sockets:
            await socket.send_str(msgspec.json.encode(frame).decode())

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(true)

    def ended(self) -> bool:
        return any(isinstance(report, ScriptEnded) for report in self.applied)

    def settings(self, directory: Path) -> AgentSettings:
        server = f"http://127.0.0.1:{self.port}"
        return AgentSettings(instance_id=INSTANCE_ID, server=server, directory=directory, token="secret")

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _bundle(self, request: web.Request) -> web.Response:
        self.asked.append(request.headers)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), text="these are not the scripts you look for")
        return web.Response(body=self.bundle)

    async def _node(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        self._sockets[socket] = request
        try:
            while True:
                message = await socket.receive()
                if message.type is WSMsgType.PING and self.answering:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._take(socket, _decode(message.data))
                elif message.type is not WSMsgType.PING:
                    break
                await self._tell()
        except ConnectionError:
            pass
        finally:
            del self._sockets[socket]
            await self._tell()
        return socket

    async def _take(self, socket: web.WebSocketResponse, frame: FromAgent) -> None:
        match frame:
            case Hello():
                self.hellos.append(frame)
                self._last[socket] = self.acked
                welcome = Welcome(acked=self.acked, beat_interval_s=self.beat_interval_s)
                for answer in (welcome, *self.orders):
                    await socket.send_str(msgspec.json.encode(answer).decode())
            case Beat():
                self.beats += 1
            case _:
                self.seen.append(frame)
                assert frame.n == self._last[socket] + 1, "a report was left out"
                self._last[socket] = frame.n
                if self.acking and frame.n == self.acked + 1:
                    self.applied.append(frame)
                    self.acked = frame.n
                if frame.n <= self.acked:
                    await socket.send_str(msgspec.json.encode(Ack(n=frame.n)).decode())


def order(**changes: object) -> RunScript:
    return replace(ORDER, **changes)
