"""The bus over its socket: events accepted, delivered into a log group, and how late, with 1 to 10,000 rules.

`python -m bench.bus`; `--soak-minutes 10` goes on putting events and watches the memory. One rule takes every event;
the others have HyperPod's shape and none of them matches. Client and server share the machine's cores, and every
answer comes after the sync. All is routed before the next row begins.
"""

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.harness import RunningServer, eventually

from bench.load import call, drive, once_each, paced, percentile, put_events
from bench.patterns import SIZES
from bench.process import cpu_s, rss_mib
from bench.server import GROUP, RATE, latency, with_rule

CONNECTIONS = 64
RULES_MAX = max(SIZES) + 1


def add_rules(server: RunningServer, numbers: Iterable[int]) -> None:
    """Of HyperPod's shape, about the events' own source and detail type: the cluster's name tells them apart."""
    common = {"source": ["bench"], "detail-type": ["Bench"]}
    requests = []
    for number in numbers:
        detail = {"ClusterName": [f"other-{number}"], "HealthSummary": {"HealthStatus": ["Unhealthy"]}}
        body = {"Name": f"hyperpod-{number}", "EventPattern": json.dumps(common | {"detail": detail})}
        requests.append(call(server.endpoint, "AWSEvents.PutRule", body))
    once_each(server.endpoint, requests)


def metric(server: RunningServer, name: str) -> float:
    """A metric without labels."""
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as answer:
        text = answer.read().decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    [value] = [sample.value for sample in samples if sample.name == name]
    return value


def routed(server: RunningServer) -> float:
    """How far the router has come."""
    return metric(server, "tocsin_journal_accepted_total") - metric(server, "tocsin_journal_lag_events")


def drained(server: RunningServer) -> None:
    eventually(lambda: metric(server, "tocsin_journal_lag_events") == 0, "all is routed", timeout_s=300)


def throughput(server: RunningServer, rules: int, entries: int, seconds: float) -> None:
    """Events accepted a second, and delivered a second: until the last of them is in the log group."""
    requests = [put_events(server.endpoint, entries, number * entries) for number in range(50)]
    drained(server)
    cpu, began, before = cpu_s(server.process.pid), time.perf_counter(), routed(server)
    latencies = drive(server.endpoint, requests, CONNECTIONS, seconds)
    took = time.perf_counter() - began
    drained(server)
    whole = time.perf_counter() - began
    events = len(latencies) * entries
    assert routed(server) - before == events, "every accepted event is routed once"
    print(
        f"  {rules:7,}  {entries:7}  {events / took:10,.0f}  {events / whole:11,.0f}"
        f"  {percentile(latencies, 0.5) * 1e3:8.2f}  {percentile(latencies, 0.99) * 1e3:8.2f}"
        f"  {(cpu_s(server.process.pid) - cpu) / events * 1e6:12.0f}  {rss_mib(server.process.pid):9.0f}",
        flush=True,
    )


def delivery(server: RunningServer, seconds: float) -> None:
    delays, sent = latency(server, seconds=seconds)
    print(
        f"           at {RATE} events/s {len(delays)} of {sent} delivered, sent → ingested "
        f"p50 {percentile(delays, 0.5):.1f} ms, p99 {percentile(delays, 0.99):.1f} ms, longest {max(delays):.1f} ms",
        flush=True,
    )


def soak(server: RunningServer, minutes: float, rate: float) -> None:
    """Memory while events come and are delivered, minute by minute."""
    print(f"\nsoak at {rate:g} events/s: minute, RSS MiB, journal events, not yet routed")
    for minute in range(round(minutes) + 1):
        held, lag = metric(server, "tocsin_journal_events"), metric(server, "tocsin_journal_lag_events")
        print(f"  {minute:3}  {rss_mib(server.process.pid):6.0f}  {held:10,.0f}  {lag:8,.0f}", flush=True)
        if minute < round(minutes):
            paced(server.endpoint, rate, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="per row")
    parser.add_argument("--rules", type=int, nargs="*", default=[size for size in SIZES if size != 10])
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    parser.add_argument("--soak-rate", type=float, default=RATE)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tocsin.toml"
        config.write_text(f"[events]\nrules_per_bus_max = {RULES_MAX}\n")
        server = RunningServer(Path(folder) / "data", "--config", str(config))
        with_rule(server)
        made = 1
        print(f"PutEvents over {CONNECTIONS} connections, one delivery to {GROUP} each, {asked.seconds:g} s a row")
        print("    rules  entries  accepted/s  delivered/s    p50 ms    p99 ms  CPU µs/event    RSS MiB")
        for rules in asked.rules:
            began = time.perf_counter()
            add_rules(server, range(made, rules))
            if rules > made:
                print(f"           {rules - made:,} rules put in {time.perf_counter() - began:.1f} s")
            made = max(made, rules)
            once_each(server.endpoint, [put_events(server.endpoint, 1)])  # builds the index
            for entries in (1, 10):
                throughput(server, rules, entries, asked.seconds)
            delivery(server, asked.seconds)
        if asked.soak_minutes:
            soak(server, asked.soak_minutes, asked.soak_rate)
        server.stop()


if __name__ == "__main__":
    main()
