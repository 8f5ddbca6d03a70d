"""The whole server over its socket: start-up, idle memory, PutEvents, delivery latency. `python -m bench.server`.

Every PutEvents answer comes after the fsync. Client and server share the machine's cores.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.harness import RunningServer

from bench.load import detail, drive, paced, percentile, put_events
from bench.process import cpu_s, rss_mib

SECONDS = 6.0
RATE = 1000  # events per second of the latency run
GROUP = "/bench"


def start_up() -> None:
    times, memory = [], []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            server = RunningServer(Path(folder) / "data")
            server.client("events")  # boto3's own start is not the server's
            times.append(time.perf_counter() - began)
            memory.append(rss_mib(server.process.pid))
            server.stop()
    print(f"start-up to ready line   {statistics.median(times):.2f} s median of {len(times)}")
    print(f"memory after start       {statistics.median(memory):.0f} MiB RSS")


def throughput(server: RunningServer, title: str) -> None:
    print(f"\nPutEvents, {title}; each answer after fsync, {SECONDS:g} s a row")
    print("  entries  connections    calls/s   events/s   p50 ms   p99 ms   server CPU µs/event")
    for entries, connections in ((1, 16), (1, 128), (10, 16), (10, 128)):
        requests = [put_events(server.endpoint, entries, number * entries) for number in range(50)]
        cpu = cpu_s(server.process.pid)
        began = time.perf_counter()
        latencies = drive(server.endpoint, requests, connections, SECONDS)
        took = time.perf_counter() - began
        cpu = cpu_s(server.process.pid) - cpu
        calls = len(latencies) / took
        print(
            f"  {entries:7}  {connections:11}  {calls:9,.0f}  {calls * entries:9,.0f}"
            f"  {percentile(latencies, 0.5) * 1e3:7.2f}  {percentile(latencies, 0.99) * 1e3:7.2f}"
            f"  {cpu / (len(latencies) * entries) * 1e6:12.0f}"
        )


def with_rule(server: RunningServer) -> None:
    server.client("logs").create_log_group(logGroupName=GROUP)
    events = server.client("events")
    events.put_rule(Name="bench", EventPattern=json.dumps({"source": ["bench"]}))
    arn = f"arn:aws:logs:us-west-2:111122223333:log-group:{GROUP}"
    events.put_targets(Rule="bench", Targets=[{"Id": "log", "Arn": arn}])


def latency(server: RunningServer, group: str = GROUP, seconds: float = SECONDS) -> tuple[list[float], int]:
    """Milliseconds from just before PutEvents is sent to the ingestion time of the line in the log group, and how many
    events were sent."""
    logs = server.client("logs")
    begin_ms = int(time.time() * 1000)
    sent = paced(server.endpoint, RATE, seconds)
    delays: list[float] = []
    for _ in range(100):
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=begin_ms, filterPattern='"Sent"'
        )
        lines = [line for found in pages for line in found["events"]]
        delays = [line["ingestionTime"] - json.loads(line["message"])["detail"]["Sent"] * 1000 for line in lines]
        if len(delays) >= sent:
            break
        time.sleep(0.1)
    return delays, sent


def main() -> None:
    start_up()
    assert len(detail(1)) < 1024, "an event is about a kilobyte"
    with tempfile.TemporaryDirectory() as folder:
        server = RunningServer(Path(folder) / "plain")
        throughput(server, "no rule")
        server.stop()
        server = RunningServer(Path(folder) / "ruled")
        with_rule(server)
        delays, sent = latency(server)
        print(f"\ndelivery to the log group at {RATE} events/s: {len(delays)} of {sent} delivered")
        print(f"  sent → ingested  p50 {percentile(delays, 0.5):.1f} ms   p99 {percentile(delays, 0.99):.1f} ms")
        throughput(server, "one rule that delivers each event to a log group")
        print(f"\nmemory after that load   {rss_mib(server.process.pid):.0f} MiB RSS")
        server.stop()


if __name__ == "__main__":
    main()
