"""From `kill -9` of a node's agent to its replacement running, with default settings. `python -m bench.recovery`.

Times are those of the commits: the journal's event for what was found, the node's record for what runs again.
"""

import json
import os
import signal
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness import RunningServer, eventually

ROUNDS = 10
ROLE = "arn:aws:iam::111122223333:role/hyperpod"
HEALTH = "SageMaker HyperPod Cluster Node Health Event"


def health_events(server: RunningServer) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.endpoint}/_tocsin/v1/events") as answer:
        events = json.load(answer)["events"]
    return [event["detail"] for event in events if event["detail-type"] == HEALTH]


def events_beyond(server: RunningServer, number: int) -> None:
    """Wait for one more health event than that."""
    eventually(lambda: len(health_events(server)) > number, "a health event", every_s=0.01)


def main() -> None:
    found: list[float] = []
    running: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        server = RunningServer(Path(folder) / "data")
        sagemaker = server.client("sagemaker")
        source = server.bucket("bench-scripts", {"on_create.sh": "#!/bin/sh\nexit 0\n"})
        group = {
            "InstanceGroupName": "workers",
            "InstanceCount": 2,
            "InstanceType": "ml.t3.medium",
            "ExecutionRole": ROLE,
            "LifeCycleConfig": {"SourceS3Uri": source, "OnCreate": "on_create.sh"},
        }
        began = time.perf_counter()
        sagemaker.create_cluster(ClusterName="bench", InstanceGroups=[group], NodeRecovery="Automatic")
        eventually(lambda: sagemaker.describe_cluster(ClusterName="bench")["ClusterStatus"] == "InService", "created")
        print(f"2 nodes created, scripts run: {time.perf_counter() - began:.2f} s")
        for round_ in range(ROUNDS):
            nodes = sagemaker.list_cluster_nodes(ClusterName="bench")["ClusterNodeSummaries"]
            victim = nodes[round_ % len(nodes)]["InstanceId"]
            pid = int((server.data_dir / "machines" / victim / "pid").read_text())
            known = len(health_events(server))
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            events_beyond(server, known)
            found.append(time.perf_counter() - began)
            events_beyond(server, known + 1)
            running.append(time.perf_counter() - began)
        server.stop()
    for title, times, goal in (("found dead", found, 3), ("replacement running", running, 8)):
        print(
            f"{title:20} after kill -9: median {statistics.median(times):.2f} s, worst {max(times):.2f} s"
            f" of {len(times)} (goal {goal} s)"
        )


if __name__ == "__main__":
    main()
