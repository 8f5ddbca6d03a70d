"""Run Command: 5,000 invocations fanned out to 500 agents, each a real link. `python -m bench.commands`.

The server is assembled in this process on a real store, with machines that are nothing but names; the agents are one
other process. Each invocation is four commits: sent, begun, output, end; and two events in the journal.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from tests.commands.desk import commands_over, extensions_over
from tests.core.world import SCOPE, group_spec
from tests.faults.table import CATALOGUE

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.policy import FleetPolicy
from tocsin.doors.links import Links
from tocsin.doors.nodes import LINK_PATH, NodesDoor
from tocsin.model.command import Command, Details, Invocation
from tocsin.model.machine import LaunchOrder, MachineState
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS
from tocsin.services.commands import Commands
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections

AGENTS, INVOCATIONS = 500, 5_000
LIMIT_S = 300


class Names:
    """Machines that always run."""

    def __init__(self) -> None:
        self.orders: dict[str, LaunchOrder] = {}

    def seen(self) -> Mapping[str, MachineState]:
        return dict.fromkeys(self.orders, MachineState.RUNNING)

    async def launch(self, order: LaunchOrder) -> None:
        self.orders[order.instance_id] = order

    async def reboot(self, instance_id: str) -> None: ...

    async def terminate(self, instance_id: str) -> None:
        self.orders.pop(instance_id, None)


class Server:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self.machines, self.links = store, Names(), Links()
        clock = SystemClock()
        policy = FleetPolicy(instances_max=AGENTS, launch_timeout_s=LIMIT_S, heartbeat_timeout_s=LIMIT_S)
        self.fleet = Fleet(
            store=store,
            machines=self.machines,
            links=self.links,
            clock=clock,
            policy=policy,
            secret=b"secret",
            catalogue=CATALOGUE,
        )
        self.commands: Commands = commands_over(store, clock, self.fleet, self.links)
        self.door = NodesDoor(
            fleet=self.fleet,
            commands=self.commands,
            extensions=extensions_over(store, clock, self.fleet, self.links, self.commands),
            injections=Injections(store, self.links, clock, lambda: "fault", self.fleet.keep),
            links=self.links,
            store=store,
            clock=clock,
            beat_interval_s=5.0,
            catalogue=CATALOGUE,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The address of the agents' door."""
        app = Starlette(routes=self.door.routes())
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", ws_ping_interval=None)
        server = uvicorn.Server(config)
        tasks = [asyncio.create_task(one) for one in (self.fleet.run(), self.commands.run(), server.serve())]
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"ws://127.0.0.1:{port}{LINK_PATH}"
        finally:
            server.should_exit = True
            await tasks[-1]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(LIMIT_S * 200):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {LIMIT_S} s")


async def with_agents(server: Server, url: str) -> "subprocess.Popen[str]":
    group = group_spec("workers", AGENTS)
    await server.fleet.create(SCOPE, {"ClusterName": "bench", "InstanceGroups": [group]}, "abcdefghijkl")
    await until(lambda: len(server.machines.orders) == AGENTS)
    agents = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "bench.agents", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agents.stdin
    assert agents.stdout
    agents.stdin.writelines(f"{order.instance_id} {order.token}\n" for order in server.machines.orders.values())
    agents.stdin.close()
    assert (await asyncio.to_thread(agents.stdout.readline)).strip() == "ready"
    await until(lambda: all(world.cluster.status == "InService" for world in server.fleet.worlds()))
    return agents


async def fan_out(server: Server, *, commands: int, concurrency: str) -> None:
    """So many commands at once, each to so many nodes that all together come to INVOCATIONS."""
    nodes = list(server.machines.orders)
    each = INVOCATIONS // commands
    cpu, wall = time.process_time(), time.perf_counter()
    sent = []
    for number in range(commands):
        ids = [nodes[(number * each + place) % AGENTS] for place in range(each)]
        request = {
            "DocumentName": "AWS-RunShellScript",
            "Parameters": {"commands": ["echo hello"]},
            "Targets": [{"Key": "InstanceIds", "Values": ids}],
            "MaxConcurrency": concurrency,
        }
        sent.append(await server.commands.send(SCOPE, request))
    asked = time.perf_counter() - wall
    await until(lambda: not server.commands.open)
    took, used = time.perf_counter() - wall, time.process_time() - cpu
    ended = [one for command in sent for one in await server.store.find(Invocation, SCOPE, prefix=f"{command.id}/")]
    assert len(ended) == INVOCATIONS
    assert all(one.details is Details.SUCCESS for one in ended)
    final = [await server.store.get(Command, SCOPE, command.id) for command in sent]
    assert all(one and one.details is Details.SUCCESS for one in final)
    waits = sorted(one.ended_ms - one.requested_ms for one in ended)
    print(
        f"{commands:4} commands x {each:4} nodes, MaxConcurrency {concurrency:>4}: {took:6.2f} s, "
        f"{INVOCATIONS / took:6.0f} invocations/s, server CPU {used:5.2f} s ({1000 * used / INVOCATIONS:.2f} ms each); "
        f"all asked after {asked:.2f} s; request to end p50 {waits[len(waits) // 2] / 1000:.2f} s, "
        f"p99 {waits[len(waits) * 99 // 100] / 1000:.2f} s"
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder), KINDS)
        server = Server(store)
        await server.fleet.load()
        async with server.running() as url:
            agents = await with_agents(server, url)
            try:
                await fan_out(server, commands=10, concurrency="100%")
                await fan_out(server, commands=10, concurrency="50")
                await fan_out(server, commands=100, concurrency="100%")
                await fan_out(server, commands=500, concurrency="100%")
            finally:
                agents.kill()
                agents.wait()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
