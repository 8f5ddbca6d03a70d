"""Many agents in one process: real WebSockets, real frames, commands that take no time. Started by bench.commands.

Reads `instance-id token` lines; says `ready` when all are linked. They keep no disk, so they are as fast as a link is.
"""

import asyncio
import sys
import time

import msgspec
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect

from tocsin.core.link import Line, Session, beyond, file, hear
from tocsin.model.link import (
    Beat,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    Hello,
    Report,
    RunCommand,
    RunScript,
    ScriptEnded,
    ScriptStarted,
    StepResult,
    ToAgent,
)

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(ToAgent).decode


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Agent:
    def __init__(self, instance_id: str, token: str) -> None:
        self.hello = Hello(instance_id=instance_id, token=token, boot="bench", version="0.0.0", pid=0)
        self.session, self.line = Session(), Line()
        self.linked = asyncio.Event()
        self._lock = asyncio.Lock()

    async def run(self, url: str) -> None:
        async with connect(url, compression=None, proxy=None, ping_interval=None, open_timeout=60) as socket:
            await socket.send(encode(self.hello), text=True)
            beating = asyncio.create_task(self._beat(socket))
            try:
                async for text in socket:
                    heard = hear(self.session, self.line, decode(text))
                    self.session, self.line = heard.session, heard.line
                    self.linked.set()
                    for order in heard.orders:
                        if isinstance(order, RunCommand):
                            self._perform(order)
                        elif isinstance(order, RunScript):
                            self._provision(order)
                    await self._send(socket)
            finally:
                beating.cancel()

    async def _beat(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self.line.beat_interval_s or 1.0)
            await socket.send(encode(Beat()), text=True)

    def _perform(self, order: RunCommand) -> None:
        at_ms, step = now_ms(), order.steps[0].name
        result = StepResult(step=step, started_ms=at_ms, ended_ms=at_ms, outcome="succeeded", exit_code=0)
        pieces = ((at_ms, f"hello from {self.hello.instance_id}\n"),)
        reports: list[Report] = [
            CommandStarted(n=0, work=order.work, at_ms=at_ms),
            CommandOutput(n=0, work=order.work, step=step, stream="stdout", at=0, pieces=pieces),
            CommandEnded(n=0, work=order.work, at_ms=at_ms, outcome="succeeded", steps=(result,)),
        ]
        for report in reports:
            self.session = file(self.session, report)

    def _provision(self, order: RunScript) -> None:
        at_ms = now_ms()
        self.session = file(self.session, ScriptStarted(n=0, work=order.work, at_ms=at_ms))
        ended = ScriptEnded(n=0, work=order.work, at_ms=at_ms, outcome="succeeded", exit_code=0)
        self.session = file(self.session, ended)

    async def _send(self, socket: ClientConnection) -> None:
        for report in beyond(self.session, self.line.sent):
            self.line = replace(self.line, sent=report.n)
            await socket.send(encode(report), text=True)


async def main(url: str) -> None:
    agents = [Agent(*line.split()) for line in sys.stdin]
    tasks = [asyncio.create_task(agent.run(url)) for agent in agents]
    for agent in agents:
        await agent.linked.wait()
    print("ready", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
