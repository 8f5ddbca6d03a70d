"""The life of a cluster through sagemaker-core's own Cluster resource, unmodified.

`python real_resource.py MODE BAD_SOURCE` prints a JSON object of what was seen. See test_resource_client.py.
"""

import json
import sys
import time
from typing import Any

import boto3
from sagemaker.core.resources import Cluster  # type: ignore[import-not-found]
from sagemaker.core.shapes import (  # type: ignore[import-not-found]
    ClusterInstanceGroupSpecification,
    ClusterLifeCycleConfig,
)

WAIT_S = 90
MODE, BAD_SOURCE = sys.argv[1:]
session = boto3.Session()


def group(name: str, count: int, source: str = "") -> Any:
    script = {"life_cycle_config": ClusterLifeCycleConfig(source_s3_uri=source, on_create="x.sh")} if source else {}
    return ClusterInstanceGroupSpecification(
        instance_group_name=name,
        instance_count=count,
        instance_type="ml.t3.medium",
        execution_role="arn:aws:iam::111122223333:role/hyperpod",
        **script,
    )


def made(name: str, *groups: Any) -> Any:
    mode = {"node_provisioning_mode": "Continuous"} if MODE == "continuous" else {}
    return Cluster.create(cluster_name=name, instance_groups=list(groups), session=session, **mode)


def settled(cluster: Any, count: int) -> list[Any]:
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        nodes = list(cluster.get_all_nodes(session=session))
        if len(nodes) == count and all(node.instance_status.status == "Running" for node in nodes):
            return nodes
        time.sleep(0.2)
    raise AssertionError(f"there are not {count} running nodes")


def lived() -> dict[str, Any]:
    cluster = made("real", group("my-controller", 1), group("worker", 2))
    cluster.wait_for_status("InService", poll=1, timeout=WAIT_S)
    settled(cluster, 3)
    cluster.update(instance_groups=[group("worker", 3)])
    cluster.wait_for_status("InService", poll=1, timeout=WAIT_S)
    worker = next(one for one in settled(cluster, 4) if one.instance_group_name == "worker")
    deleted = cluster.batch_delete_nodes(node_ids=[worker.instance_id], session=session)
    cluster.wait_for_status("InService", poll=1, timeout=WAIT_S)
    settled(cluster, 3)
    listed = [one.cluster_name for one in Cluster.get_all(session=session)]
    cluster.delete()
    cluster.wait_for_delete(poll=1, timeout=WAIT_S)
    return {"deleted": deleted.successful == [worker.instance_id], "listed": listed}


def failed() -> str:
    cluster = made("bad", group("my-controller", 1, BAD_SOURCE))
    try:
        cluster.wait_for_status("InService", poll=1, timeout=WAIT_S)
    except Exception as error:
        return type(error).__name__
    return ""


json.dump({**lived(), "failed": failed()}, sys.stdout)
