"""5,000 agents linked at once to one server: memory and CPU of the server, and how soon a command reached them all.

`python -m bench.links [agents]`. The server is the real one; its machines are numbers, and their agents are this
process: real WebSocket connections that speak the frames, with as little behind them as possible.
"""

import asyncio
import base64
import hmac
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from tests.core.world import group_spec
from tests.harness import RunningServer

from bench.process import cpu_s, rss_mib
from tocsin.model.link import (
    Beat,
    CommandEnded,
    CommandStarted,
    FromAgent,
    Hello,
    RunCommand,
    ToAgent,
    Welcome,
)

AGENTS = 5000
GROUP_MAX = 1000  # nodes of one cluster
CONNECTING_AT_ONCE = 200
STEADY_S = 20.0
UNTIL_S = 240
BEATS_S = (1.0, 5.0)
LINK_PATH = "/_tocsin/node"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToAgent).decode


class Agent(asyncio.Protocol):
    """One link: hello, beats, and the start and end of every command."""

    def __init__(self, host: str, instance_id: str, token: str, told: "Told") -> None:
        self._host, self._instance_id, self._token, self._told = host, instance_id, token, told
        self._buffer = b""
        self._upgraded = False
        self._n = 0
        self._beat_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {LINK_PATH} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head[:20], head
            self._upgraded, self._buffer = True, rest
            self._send(Hello(instance_id=self._instance_id, token=self._token, boot="bench", version="0", pid=1))
        while (frame := self._frame()) is not None:
            self._hear(frame)

    def _frame(self) -> bytes | None:
        """The next whole message; servers send theirs unmasked and in one piece."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(buffer[2 : 2 + width]), 2 + width
        if len(buffer) < at + size:
            return None
        payload, self._buffer = buffer[at : at + size], buffer[at + size :]
        kind = buffer[0] & 15
        if kind == 9:
            self._write(10, payload)
        return payload if kind == 1 else b""

    def _hear(self, payload: bytes) -> None:
        if not payload:
            return
        frame = _decode(payload)
        if isinstance(frame, Welcome):
            self._told.linked += 1
            self._n = frame.acked
            if not self._beat_s:
                self._beat_s = frame.beat_interval_s
                asyncio.get_running_loop().call_later(self._beat_s * int.from_bytes(os.urandom(1)) / 256, self._beat)
        elif isinstance(frame, RunCommand):
            self._told.commanded += 1
            now_ms = int(time.time() * 1000)
            self._n += 2
            self._send(CommandStarted(n=self._n - 1, work=frame.work, at_ms=now_ms))
            self._send(CommandEnded(n=self._n, work=frame.work, at_ms=now_ms, outcome="succeeded"))

    def _beat(self) -> None:
        if not self._transport.is_closing():
            self._send(Beat())
            asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _send(self, frame: FromAgent) -> None:
        self._write(1, _encode(frame))

    def _write(self, kind: int, payload: bytes) -> None:
        """Masked with zeros: the law is kept, and nothing is spent on it."""
        size = len(payload)
        head = bytes([128 | kind, 128 | size]) if size < 126 else bytes([128 | kind, 254]) + size.to_bytes(2)
        self._transport.write(head + b"\0\0\0\0" + payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._told.lost += 1


class Told:
    """What all agents heard, together."""

    linked = commanded = lost = 0


async def until(true: Any, what: str) -> None:
    for _ in range(UNTIL_S * 100):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what}: not within {UNTIL_S} s")


async def connect(server: RunningServer, ids: list[str], secret: bytes, told: Told) -> None:
    where = urlsplit(server.endpoint)
    host, port = where.hostname, where.port
    assert host, "an endpoint names its host"
    assert port, "and its port"
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(instance_id: str) -> None:
        token = hmac.new(secret, instance_id.encode(), "sha256").hexdigest()
        async with room:
            await loop.create_connection(lambda: Agent(where.netloc, instance_id, token, told), host, port)

    await asyncio.gather(*(one(instance_id) for instance_id in ids))
    await until(lambda: told.linked >= len(ids), "all are linked")


def status(server: RunningServer) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.endpoint}/_tocsin/v1/status") as answer:
        clusters: list[dict[str, Any]] = json.load(answer)["clusters"]
        return clusters


def created(server: RunningServer, agents: int) -> list[str]:
    """Clusters of so many nodes in all; their instance ids."""
    sagemaker = server.client("sagemaker")
    for number, begin in enumerate(range(0, agents, GROUP_MAX)):
        group = group_spec("workers", min(GROUP_MAX, agents - begin))
        del group["LifeCycleConfig"]
        tags = [{"Key": "fleet", "Value": "bench"}]
        sagemaker.create_cluster(ClusterName=f"c-{number}", InstanceGroups=[group], Tags=tags)
    found: list[str] = []
    for _ in range(UNTIL_S):
        found = [node["InstanceId"] for cluster in status(server) for node in cluster["Nodes"]]
        if len(found) >= agents:
            break
        time.sleep(1)
    return found


async def measure(folder: Path, agents: int, beat_s: float) -> None:
    (folder / "tocsin.toml").write_text(
        f"[fleet]\ninstances_max = 100000\nlaunch_timeout_s = 600\nbeat_interval_s = {beat_s}\n"
    )
    server = BareServer(folder / "data", "--config", str(folder / "tocsin.toml"))
    try:
        ids = created(server, agents)
        pid = server.process.pid
        before, told = rss_mib(pid), Told()
        began, cpu = time.perf_counter(), cpu_s(pid)
        await connect(server, ids, (folder / "data" / "secret").read_bytes(), told)
        linked_s, linked_cpu = time.perf_counter() - began, cpu_s(pid) - cpu
        in_service = asyncio.to_thread
        for _ in range(UNTIL_S):
            clusters = await in_service(status, server)
            if all(cluster["ClusterStatus"] == "InService" for cluster in clusters):
                break
            await asyncio.sleep(1)
        cpu, began = cpu_s(pid), time.perf_counter()
        await asyncio.sleep(STEADY_S)
        share = (cpu_s(pid) - cpu) / (time.perf_counter() - began) * 100
        grown = (rss_mib(pid) - before) * 1024 / agents
        print(
            f"  {beat_s:6.0f}  {agents:7,}  {linked_s:9.1f}  {linked_cpu / agents * 1e3:12.2f}"
            f"  {grown:11.0f}  {share:8.1f}  {await commanded(server, agents, told)}  {told.lost:5}"
        )
    finally:
        server.stop()


async def commanded(server: RunningServer, agents: int, told: Told) -> str:
    """How soon a command reached all agents, and all were done."""
    ssm = server.client("ssm")
    began = time.perf_counter()

    def send() -> str:
        sent = ssm.send_command(
            DocumentName="AWS-RunShellScript",
            Parameters={"commands": ["true"]},
            Targets=[{"Key": "tag:fleet", "Values": ["bench"]}],
            MaxConcurrency="100%",
            MaxErrors="100%",
        )
        return str(sent["Command"]["CommandId"])

    try:
        await asyncio.to_thread(send)
    except Exception as error:
        return f"({type(error).__name__}: {error})"
    await until(lambda: told.commanded >= agents, "the command reached all")
    return f"{time.perf_counter() - began:9.1f}"


class BareServer(RunningServer):
    """The real server, on machines whose agents are somebody else's."""

    module = "bench.bare"


def main(agents: int) -> None:
    print(f"{agents:,} agents, each a WebSocket connection; client and server share the machine's cores")
    print("  beat s   agents  all linked s  CPU ms/link  KiB/agent  % CPU steady  command to all s  lost")
    for beat_s in BEATS_S:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(Path(folder), agents, beat_s))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else AGENTS)
