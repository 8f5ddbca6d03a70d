"""How fast the rule index is, and how little that depends on the number of rules.

Rules and events have HyperPod's shape: a rule names source, detail type, one cluster and a health status; events are
about 990 bytes, a thousand different ones, and half of them hit a rule. Parsing the event is part of the time.

Run: python bench/patterns.py
"""

import json
import time
from collections.abc import Iterator

from tocsin.core.matcher import Index
from tocsin.core.patterns import Pattern, parse

EVENTS = 1000
SECONDS = 1.0
REPEATS = 3
SIZES = (1, 10, 100, 1_000, 10_000)


def rules(count: int) -> Iterator[tuple[int, Pattern]]:
    for number in range(count):
        yield (
            number,
            parse(
                json.dumps(
                    {
                        "source": ["aws.sagemaker"],
                        "detail-type": ["SageMaker HyperPod Cluster Node Health Event"],
                        "detail": {
                            "ClusterName": [f"c-{number}"],
                            "HealthSummary": {"HealthStatus": ["Unhealthy"]},
                        },
                    }
                )
            ),
        )


def event(number: int, rule_count: int) -> bytes:
    """Even numbers hit a rule; odd ones differ in the cluster's name or in health, by turns."""
    hit = number % 2 == 0
    cluster = f"c-{number * 7919 % rule_count}" if hit or number % 4 == 1 else f"other-{number}"
    arn = f"arn:aws:sagemaker:us-west-2:123456789012:cluster/{number:012d}"
    return json.dumps(
        {
            "version": "0",
            "id": f"0bd4a141-0a02-9d8a-f977-{number:012d}",
            "detail-type": "SageMaker HyperPod Cluster Node Health Event",
            "source": "aws.sagemaker",
            "account": "123456789012",
            "time": "2026-11-23T12:00:00Z",
            "region": "us-west-2",
            "resources": [arn],
            "detail": {
                "ClusterName": cluster,
                "ClusterArn": arn,
                "InstanceGroupName": "worker-group-1",
                "InstanceId": f"i-0{number * 2654435761 % 16**16:016x}",
                "InstanceType": "ml.p5.48xlarge",
                "NodeLogicalId": f"worker-group-1-{number}",
                "HealthSummary": {
                    "HealthStatus": "Unhealthy" if hit or number % 4 == 3 else "Healthy",
                    "HealthStatusReason": "XID_79: GPU has fallen off the bus",
                    "RepairAction": "Replace",
                    "Recommendation": "The node is being replaced. Jobs on it are to be requeued from their last"
                    " checkpoint; no action is needed unless the replacement does not join"
                    " the cluster within thirty minutes.",
                },
                "Devices": ["gpu-3"],
                "EventTime": "2026-11-23T11:59:58Z",
            },
        }
    ).encode()


def measure(index: Index[int], texts: list[bytes]) -> tuple[float, float]:
    """Events per second of the fastest repeat, and matches per event."""
    best, matched, seen = 0.0, 0, 0
    for _ in range(REPEATS):
        done, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < SECONDS:
            for text in texts:
                matched += len(index.match(index.load(text)))
            done += len(texts)
        best = max(best, done / passed)
        seen += done
    return best, matched / seen


def main() -> None:
    print(f"event: {len(event(500, 1000))} bytes; best of {REPEATS} runs of {SECONDS:g} s")
    print(f"{'rules':>7} {'events/s':>10} {'µs/event':>9} {'cost':>6} {'matches':>8} {'build':>8}")
    first = 0.0
    for size in SIZES:
        patterns = list(rules(size))
        started = time.perf_counter()
        index = Index.build(patterns)
        built = time.perf_counter() - started
        rate, matches = measure(index, [event(number, size) for number in range(EVENTS)])
        first = first or rate
        print(f"{size:>7} {rate:>10,.0f} {1e6 / rate:>9.2f} {first / rate:>5.2f}x {matches:>8.2f} {built:>7.2f}s")


if __name__ == "__main__":
    main()
