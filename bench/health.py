"""Node health: how soon a fault is found, told and delivered, and what an agent costs. `python -m bench.health`."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from tests.agent.agent_world import FakeServer
from tests.core.world import SCOPE, group_spec
from tests.doors.sickbay import Sickbay
from tests.harness import RunningServer
from tests.simulation.number_fleet import NumberFleet
from tests.slurm.controller import missing

from bench.drains import all_drained, drained
from bench.fleet import Meter, until
from tocsin.agent.watch import Watch
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.policy import FleetPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.cluster import ClusterStatus, Health, NodeStatus
from tocsin.model.health import BOOT, Finding
from tocsin.model.link import Found, Report
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import Watching
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS

INJECTIONS = 200
DRAINS = 50
QUIET_S = 30.0
NODES = 1000
LINE = "3,{number},1,-;NVRM: Xid (PCI:0000:{bus:02x}:00): 79, pid=1, name=bench, put in by a benchmark\n"
RULE_GROUP = "/aws/events/bench"


def told(name: str, times_ms: list[float]) -> None:
    ranked = sorted(times_ms)
    p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
    print(f"  {name:<32} {statistics.median(ranked):8.1f} {p99:8.1f} {ranked[-1]:8.1f}")


async def found() -> list[float]:
    """From the write into the kernel's log to the finding, in one process."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        watching = Watching(kmsg="kmsg", start_is_boot=True, host=False, gpus=False)
        (place / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
        news: asyncio.Queue[float] = asyncio.Queue()

        def file(report: Report) -> None:
            if isinstance(report, Found) and report.finding.fault != BOOT:
                news.put_nowait(time.perf_counter())

        running = asyncio.create_task(Watch(place, {}, file).run())
        await asyncio.sleep(0.1)
        with (place / "kmsg").open("a", buffering=1) as log:
            for number in range(INJECTIONS):
                begun = time.perf_counter()
                log.write(LINE.format(number=number, bus=number))
                times.append((await news.get() - begun) * 1000)
        running.cancel()
        await asyncio.wait([running])
    return times


def delivered(place: Path) -> tuple[list[float], list[float]]:
    """From the write to the commit of the event, and to the line in a rule's log group, through a real server.

    Commit and delivery have the server's own times, to the millisecond.
    """
    server = RunningServer(place / "data")
    try:
        bay = Sickbay(server, "111122223333", 1, "None")
        logs, events = server.client("logs"), server.client("events")
        logs.create_log_group(logGroupName=RULE_GROUP)
        [group] = logs.describe_log_groups(logGroupNamePrefix=RULE_GROUP)["logGroups"]
        pattern = {"detail-type": ["SageMaker HyperPod Cluster Node Health Event"]}
        events.put_rule(Name="bench", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="bench", Targets=[{"Id": "1", "Arn": group["arn"].removesuffix(":*")}])
        [node] = bay.nodes
        log = (server.data_dir / "machines" / node / "kmsg").open("a", buffering=1)
        begun: list[float] = []
        for number in range(INJECTIONS):
            begun.append(time.time() * 1000)
            log.write(LINE.format(number=number, bus=number))
            _until_sick(server, node)
            _cleared(server, node)
        log.close()
        commits = [line["at_ms"] for line in _story(server, node) if "Healthy → Unhealthy" in line["what"]]
        landed = _landed(logs)
        return (
            [max(0.0, at - since) for at, since in zip(commits, begun, strict=True)],
            [max(0.0, at - since) for at, since in zip(landed, begun, strict=True)],
        )
    finally:
        server.stop()


def _until_sick(server: RunningServer, node: str) -> None:
    while _get(server, f"health?node={node}")["nodes"][0]["health"] != "Unhealthy":
        time.sleep(0.005)


def _story(server: RunningServer, node: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    after = 0
    while True:
        answer = _get(server, f"story?of={node}&after={after}")
        if not answer["lines"]:
            return lines
        lines, after = lines + answer["lines"], answer["after"]


def _landed(logs: Any) -> list[int]:
    """When each Unhealthy event reached the log group."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=RULE_GROUP, filterPattern="Unhealthy")
    return sorted(event["ingestionTime"] for page in pages for event in page["events"])


def _get(server: RunningServer, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.endpoint}/_tocsin/v1/{path}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _post(server: RunningServer, content: object) -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps(content).encode()
    request = urllib.request.Request(f"{server.endpoint}/_tocsin/v1/health", body, headers, method="POST")
    urllib.request.urlopen(request, timeout=10).close()


async def agent_costs(watching: Watching | None) -> tuple[float, float]:
    """(MB resident, percent of a core) of a real agent at rest."""
    async with FakeServer() as server:
        server.beat_interval_s = 1.0
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "token").write_text("secret")
            if watching is not None:
                (place / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
            where = ["--instance-id", "i-0123456789abcdef0", "--server", f"http://127.0.0.1:{server.port}"]
            command = [sys.executable, "-m", "tocsin", "agent", *where, "--dir", folder]
            agent = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - it starts in no time
            await server.until(lambda: bool(server.hellos))
            await asyncio.sleep(3)
            cpu, begun = _cpu_s(agent.pid), time.monotonic()
            await asyncio.sleep(QUIET_S)
            percent = 100 * (_cpu_s(agent.pid) - cpu) / (time.monotonic() - begun)
            resident = _resident_kb(agent.pid) / 1024
            agent.terminate()
            agent.wait()
    return resident, percent


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def at_once(recovery: str) -> tuple[float, float]:
    """(seconds until the last event is committed, until the last node is mended) of NODES faulted at once."""
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder), KINDS)
        policy = FleetPolicy(instances_max=10 * NODES, replacements_at_once_max=NODES)
        numbers = NumberFleet(store, SystemClock(), SimulatedSettings(speed=0), policy)
        async with numbers.running():
            fleet = numbers.fleet
            request = {"ClusterName": "c", "InstanceGroups": [group_spec("g", NODES)], "NodeRecovery": recovery}
            await fleet.create(SCOPE, request, "000000000000")
            await until(lambda: fleet.worlds()[0].cluster.status is ClusterStatus.IN_SERVICE and fleet.idle)
            struck = list(fleet.worlds()[0].nodes)
            finding = Finding(fault="xid", code=64, at_ms=time.time_ns() // 1_000_000, text="x", source="kmsg")
            meter = Meter()
            told_by = asyncio.gather(
                *(numbers.take(one, Found(n=fleet.heard_through(one) + 1, finding=finding)) for one in struck)
            )

            def sick() -> bool:
                nodes = fleet.worlds()[0].nodes
                return all(one not in nodes or nodes[one].health is Health.UNHEALTHY for one in struck)

            await until(sick)
            last_event = meter.read()[1]
            await told_by
            if recovery == "Automatic":
                await until(
                    lambda: (
                        not set(struck) & set(fleet.worlds()[0].nodes)
                        and all(node.status is NodeStatus.RUNNING for node in fleet.worlds()[0].nodes.values())
                    )
                )
            mended = meter.read()[1]
        await store.close()
    return last_event, mended


def _cleared(server: RunningServer, node: str) -> None:
    _post(server, {"node": node, "action": "clear"})


def main() -> None:
    print(f"{INJECTIONS} faults, each a record in the kernel's log, ms      p50      p99      max")
    told("fault to finding", asyncio.run(found()))
    with tempfile.TemporaryDirectory() as folder:
        commits, landed = delivered(Path(folder))
    told("fault to event committed", commits)
    told("fault to a rule's log group", landed)
    without = missing()
    if without:
        print(f"  fault to its node drained          left out, for want of a Slurm: {without}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            told("fault to its node drained", drained(Path(folder), DRAINS, LINE, _cleared))
    print("\nAn agent at rest                         MB   % of a core")
    for name, watching in (
        ("nothing watched", Watching(kmsg="", host=False, gpus=False)),
        ("kernel log, files, every second", Watching(kmsg="kmsg", start_is_boot=True, host=False, interval_s=1.0)),
        ("everything, every ten seconds", None),
    ):
        resident, percent = asyncio.run(agent_costs(watching))
        print(f"  {name:<34} {resident:6.1f} {percent:13.2f}")
    print(f"\n{NODES} simulated nodes of one cluster faulted at once, s")
    last, _ = asyncio.run(at_once("None"))
    print(f"  the last event committed, NodeRecovery None        {last:6.2f}")
    last, mended = asyncio.run(at_once("Automatic"))
    print(f"  the last event committed, NodeRecovery Automatic   {last:6.2f}")
    print(f"  the last node replaced, 20 % at a time             {mended:6.2f}")
    if not without:
        last, drained_s = asyncio.run(all_drained(NODES))
        print(f"  the last event committed, with a Slurm              {last:6.2f}")
        print(f"  the last node drained                               {drained_s:6.2f}")


if __name__ == "__main__":
    main()
