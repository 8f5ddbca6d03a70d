"""A server for agents to talk to: accepts links, commits each report once, hands out orders and a bundle."""

import asyncio
import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.harness import WAIT_S
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
_decode = msgspec.json.Decoder(FromAgent).decode

ORDER = RunScript(
    work="lifecycle/1",
    source="s3://bucket/lifecycle/v1",
    bundle_path="/bundle",
    on_create="on_create.sh",
    resource_config_path="/resource-config",
    time_limit_s=WAIT_S,
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
        self.config = gzip.compress(b'{"ClusterConfig":{}}')
        self.statuses: list[int] = []  # answers to the next requests for the bundle, before 200
        self.open = asyncio.Event()  # closed, it holds back the bundle
        self.open.set()
        self.cuts: list[int] = []  # bytes promised and not sent of the next bundles
        self.orders: list[ToAgent] = []  # sent after each welcome
        self.acking = True
        self.answering = True  # else nothing more is read or said once an agent was welcomed
        self.beat_interval_s = 5.0
        self.acked = 0
        self.applied: list[Report] = []
        self.seen: list[Report] = []
        self.hellos: list[Hello] = []
        self.beats = 0
        self.asked: list[Mapping[str, str]] = []  # headers of requests for the bundle
        self.elsewhere = ""  # where every request is sent on to
        self.redirected = 0
        self.port = 0
        self.refusing = False  # every Hello
        self._last: dict[ServerConnection, int] = {}  # number of the last report on each connection
        self._news = asyncio.Condition()
        self._server: Server | None = None

    async def __aenter__(self) -> "FakeServer":
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.down()

    async def up(self) -> None:
        self._server = await serve(
            *(self._node, "127.0.0.1", self.port),
            process_request=self._answer,
            compression=None,
            ping_interval=None,
            max_size=1 << 20,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def down(self) -> None:
        self.cut()
        assert self._server
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break all connections, without a word."""
        for socket in self._last:
            socket.transport.abort()

    async def send(self, frame: ToAgent) -> None:
        for socket in self._last:
            await _send(socket, frame)

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

    async def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """None leads on to the WebSocket."""
        if self.elsewhere:
            self.redirected += 1
            await self._tell()
            return Response(307, "Temporary Redirect", Headers({"Location": self.elsewhere, "Content-Length": "0"}))
        if request.path == "/resource-config":
            return Response(200, "OK", Headers({"Content-Length": str(len(self.config))}), self.config)
        if request.path != "/bundle":
            return None
        self.asked.append(request.headers)
        await self._tell()
        await self.open.wait()
        if self.statuses:
            return socket.respond(HTTPStatus(self.statuses.pop(0)), "these are not the scripts you look for")
        size = len(self.bundle) + (self.cuts.pop(0) if self.cuts else 0)
        return Response(200, "OK", Headers({"Content-Length": str(size)}), self.bundle)

    async def _node(self, socket: ServerConnection) -> None:
        self._last[socket] = 0
        try:
            async for message in socket:
                await self._take(socket, _decode(message))
                await self._tell()
        except ConnectionClosed:
            pass
        finally:
            del self._last[socket]
            await self._tell()

    async def _take(self, socket: ServerConnection, frame: FromAgent) -> None:
        match frame:
            case Hello():
                self.hellos.append(frame)
                await self._welcome(socket)
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
                    await _send(socket, Ack(n=frame.n))

    async def _welcome(self, socket: ServerConnection) -> None:
        if self.refusing:
            await socket.close(1008)
            return
        self._last[socket] = self.acked
        for answer in (Welcome(acked=self.acked, beat_interval_s=self.beat_interval_s), *self.orders):
            await _send(socket, answer)
        if not self.answering:
            socket.transport.pause_reading()


async def _send(socket: ServerConnection, frame: ToAgent) -> None:
    await socket.send(msgspec.json.encode(frame), text=True)


def order(**changes: object) -> RunScript:
    return replace(ORDER, **changes)
