"""Where agents come in: the WebSocket that each keeps. What they fetch is in node_files.py.

Reports are committed before they are acknowledged; orders come from the fleet through Links.
"""

import asyncio
import contextlib
import hmac
import logging
from collections import Counter

import msgspec
from msgspec.structs import replace
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from tocsin.core.faults import Catalogue, health_lines, judge
from tocsin.core.reports import acceptable_time, effect, history_with, lines, seen_at
from tocsin.doors.links import Link, Links
from tocsin.model.changes import Change, Log, Put
from tocsin.model.cluster import Cluster
from tocsin.model.errors import Stale, TocsinError
from tocsin.model.health import BOOT, Finding
from tocsin.model.link import (
    FRAME_BYTES_MAX,
    Ack,
    Beat,
    CheckEnded,
    ExtensionChecked,
    Found,
    FromAgent,
    GpuResetEnded,
    Halt,
    Hello,
    NodeReport,
    Placed,
    Report,
    ScriptEnded,
    ScriptOutput,
    ScriptStarted,
    Welcome,
)
from tocsin.model.logs import LogGroup, LogLine
from tocsin.model.names import health_stream, lifecycle_stream
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.commands import Commands
from tocsin.services.extensions import Extensions
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections

log = logging.getLogger(__name__)

# The other side hung up, seen by who reads; or by who wrote before.
HUNG_UP = (WebSocketDisconnect, WebSocketDisconnected)

LINK_PATH = "/_tocsin/node"
HELLO_TIMEOUT_S = 10.0
_frames = msgspec.json.Decoder(FromAgent)
_encode = msgspec.json.Encoder().encode


class NodesDoor:
    """`beat_interval_s` is told to every agent; `catalogue` judges what they find. `findings` counts it, by type and
    severity."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        commands: Commands,
        injections: Injections,
        extensions: Extensions,
        links: Links,
        store: Store,
        clock: Clock,
        beat_interval_s: float,
        catalogue: Catalogue,
        expect_gpus: bool = False,
    ) -> None:
        self._fleet = fleet
        self._commands = commands
        self._injections = injections
        self._extensions = extensions
        self._links = links
        self._store = store
        self._clock = clock
        self._beat_interval_s = beat_interval_s
        self._catalogue = catalogue
        self._expect_gpus = expect_gpus
        self.findings: Counter[tuple[str, str]] = Counter()

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute(LINK_PATH, self._serve)]

    async def _serve(self, socket: WebSocket) -> None:
        await socket.accept()
        hello = await self._greeted(socket)
        if hello is None:
            await _close(socket)
            return
        link = Link(hello)
        instance_id = hello.instance_id
        self._links.prune(lambda key: self._fleet.node(key) is not None)
        self._links.opened(instance_id, link, self._clock.now())
        acked = self._fleet.heard_through(instance_id)
        gpus = self._gpus_promised(instance_id)
        link.outgoing.put_nowait(Welcome(acked=acked, beat_interval_s=self._beat_interval_s, gpus=gpus))
        writing = asyncio.create_task(_write(socket, link))
        self._fleet.changed(instance_id)
        self._commands.linked(instance_id)
        self._extensions.linked(instance_id)
        try:
            await self._listen(socket, instance_id, link)
        except (*HUNG_UP, msgspec.MsgspecError) as error:
            log.debug("link of %s ended: %s", instance_id, error)
        except TocsinError as error:  # not committed, so not acknowledged: the agent comes back and sends it again
            log.info("link of %s is cut: %s", instance_id, error)
        finally:
            writing.cancel()
            if self._links.closed(instance_id, link, self._clock.now()):
                self._fleet.changed(instance_id)
            await _close(socket)

    def _gpus_promised(self, instance_id: str) -> int:
        """How many GPUs its instance type promises, if nodes are held to that."""
        found = self._fleet.node(instance_id)
        if found is None or not self._expect_gpus:
            return 0
        return self._catalogue.gpus.get(found[1].instance_type.removeprefix("ml."), 0)

    async def _greeted(self, socket: WebSocket) -> Hello | None:
        """The agent's first frame, when it is one of ours and proves it. Strangers are told to end."""
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                hello = _frames.decode(await socket.receive_text())
        except (TimeoutError, WebSocketDisconnect, msgspec.MsgspecError, KeyError):
            return None
        if not isinstance(hello, Hello) or not hmac.compare_digest(hello.token, self._fleet.token(hello.instance_id)):
            log.warning("an agent without the right token was turned away")
            return None
        if self._fleet.node(hello.instance_id) is None:
            reason = f"{hello.instance_id} belongs to no cluster of this server"
            await socket.send_text(_encode(Halt(reason=reason)).decode())
            return None
        return hello

    async def _listen(self, socket: WebSocket, instance_id: str, link: Link) -> None:
        while True:
            frame = _frames.decode(await socket.receive_text())
            self._links.heard(instance_id, link, self._clock.now())
            if not isinstance(frame, Beat | Hello):
                await self.take(instance_id, frame)
                await link.outgoing.put(Ack(n=frame.n))

    async def take(self, instance_id: str, report: Report) -> None:
        """Commit what a node reports."""
        match report:
            case ScriptStarted() | ScriptOutput() | ScriptEnded() | Found() | CheckEnded() | GpuResetEnded():
                await self._take(instance_id, report)
            case Placed():
                found = self._fleet.node(instance_id)
                if found:
                    await self._injections.heard(found[1], report)
            case ExtensionChecked():
                await self._extensions.report(instance_id, report)
            case _:
                await self._commands.report(instance_id, report)

    async def _take(self, instance_id: str, report: NodeReport) -> None:
        """Commit the report. A log group that somebody deleted is made again: output must go somewhere."""
        try:
            await self._report(instance_id, report)
        except Stale:
            found = self._fleet.node(instance_id)
            if found is None or await self._group_exists(found[0].cluster):
                raise
            cluster = found[0].cluster
            now_ms = epoch_ms(self._clock.now())
            await self._store.commit(Put(LogGroup(scope=cluster.scope, name=cluster.log_group, created_ms=now_ms)))
            await self._report(instance_id, report)

    async def _report(self, instance_id: str, report: NodeReport) -> None:
        if isinstance(report, Found):  # a node's clock may be wrong, and its faults lapse by ours
            at_ms = seen_at(report.finding.at_ms, self._clock.now())
            report = replace(report, finding=replace(report.finding, at_ms=at_ms))
        new = report.n > self._fleet.heard_through(instance_id)
        change = effect(report, self._catalogue)
        await self._fleet.report(instance_id, report.n, change, *self._output(instance_id, report))
        if new and isinstance(report, Found) and report.finding.fault != BOOT:
            self._count(report.finding)

    def _count(self, finding: Finding) -> None:
        """Types that the table does not have are one: agents may say anything."""
        name = finding.name if self._catalogue.knows(finding.name) else "unknown"
        self.findings[name, judge(finding, self._catalogue).severity] += finding.count

    async def _group_exists(self, cluster: Cluster) -> bool:
        return await self._store.get(LogGroup, cluster.scope, cluster.log_group) is not None

    def _output(self, instance_id: str, report: NodeReport) -> list[Change]:
        found = self._fleet.node(instance_id)
        if found is None:
            return []
        world, node = found
        match report:
            case ScriptOutput():
                stream, told = lifecycle_stream(node.group, instance_id), lines(report)
            case Found():
                stream = health_stream(node.group, instance_id)
                history = history_with(node, report.finding, self._catalogue)
                told = health_lines(report.finding, self._catalogue, history)
            case _:
                return []
        now = self._clock.now()
        written = tuple(LogLine(acceptable_time(at_ms, now), text) for at_ms, text in told)
        log_group, ingested_ms = world.cluster.log_group, epoch_ms(now)
        line = Log(scope=node.scope, group=log_group, stream=stream, lines=written, ingested_ms=ingested_ms)
        return [line] if written else []


async def _close(socket: WebSocket) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # closed already by the other side
        await socket.close(code=1008)


async def _write(socket: WebSocket, link: Link) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            frame = _encode(await link.outgoing.get())
            if len(frame) > FRAME_BYTES_MAX:  # the agent would cut the link, again and again, and be taken for lost
                told = (len(frame), link.hello.instance_id, FRAME_BYTES_MAX, frame[:80].decode(errors="replace"))
                log.error("a frame of %d bytes to %s is not sent, for a link carries %d at most: %s", *told)
                continue
            await socket.send_text(frame.decode())
