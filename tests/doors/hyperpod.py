"""SageMaker HyperPod as door tests meet it: clusters of real nodes, and what was told about them."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.doors.asking import ask, connect, members
from tests.harness import REGION, RunningServer, eventually

INSTANCE_TYPE = "ml.t3.medium"
ROLE = "arn:aws:iam::111122223333:role/hyperpod"
SCRIPT_FAILED = (
    "Lifecycle scripts did not run successfully. Ensure the scripts exist in provided S3 path, are accessible, and run "
    "without errors. Please see CloudWatch logs for lifecycle script execution details."
)
STABLE = ("InService", "Failed")


class HyperPod:
    """SageMaker of one account on one server."""

    def __init__(self, server: RunningServer, account: str, region: str = REGION) -> None:
        self.server, self.account, self.region = server, account, region
        self.api = server.client("sagemaker", account, region)

    def scripts(self, **texts: str) -> str:
        """A bucket of the account's own with these scripts (`on_create` is on_create.sh)."""
        return self.server.bucket(f"bucket-{self.account}", {f"{name}.sh": text for name, text in texts.items()})

    def create(self, name: str, *groups: dict[str, Any], until: str | None = "InService", **more: Any) -> str:
        """The ARN of a new cluster, once it has come to a status."""
        arn: str = self.api.create_cluster(ClusterName=name, InstanceGroups=list(groups), **more)["ClusterArn"]
        if until:
            self.until(name, until)
        return arn

    def describe(self, name: str) -> dict[str, Any]:
        return members(self.api.describe_cluster(ClusterName=name))

    def told(self, name: str) -> list[dict[str, Any]]:
        """Every state change of the cluster so far, as journaled: what was ever true, however shortly."""
        asked = f"account={self.account}&region={self.region}&cluster={name}&last=1000&detail_type=State"
        with connect(self.server) as connection:
            answer = ask(connection, "GET", f"/_tocsin/v1/events?{asked}")
        assert answer.status == 200
        return [event["detail"] for event in json.loads(answer.body)["events"]]

    def until(self, name: str, status: str) -> dict[str, Any]:
        """The description once the cluster is in that status. Fails at once when it comes to rest in another."""

        def there() -> dict[str, Any] | None:
            found = self.describe(name)
            assert found["ClusterStatus"] == status or found["ClusterStatus"] not in STABLE, found
            return found if found["ClusterStatus"] == status else None

        found: dict[str, Any] = eventually(there, f"{name} is {status}")
        return found

    def until_gone(self, name: str) -> None:
        eventually(lambda: name not in self.names(), f"{name} is gone")

    def names(self, **request: Any) -> list[str]:
        return [one["ClusterName"] for one in self.api.list_clusters(**request)["ClusterSummaries"]]

    def nodes(self, name: str, **request: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.list_cluster_nodes(ClusterName=name, **request)["ClusterNodeSummaries"]
        return found

    def output(self, name: str, instance_id: str) -> list[str]:
        """The lines of a node's lifecycle script, living or gone."""
        logs = self.server.client("logs", self.account, self.region)
        [group] = logs.describe_log_groups(logGroupNamePrefix=f"/aws/sagemaker/Clusters/{name}/")["logGroups"]
        streams = logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
        [stream] = [one["logStreamName"] for one in streams if one["logStreamName"].endswith(f"/{instance_id}")]
        assert re.fullmatch(rf"LifecycleConfig/[^/]+/{instance_id}", stream)
        events = logs.get_log_events(logGroupName=group["logGroupName"], logStreamName=stream, startFromHead=True)
        return [event["message"] for event in events["events"]]

    def kill(self, instance_id: str) -> None:
        """kill -9 of a node's agent."""
        pid = (self.server.data_dir / "machines" / instance_id / "pid").read_text()
        os.kill(int(pid.split()[0]), signal.SIGKILL)


def group(name: str, count: int = 1, source: str = "", **more: Any) -> dict[str, Any]:
    """An instance group; with a lifecycle script when there is a source."""
    script = {"LifeCycleConfig": {"SourceS3Uri": source, "OnCreate": "on_create.sh"}} if source else {}
    return {
        "InstanceGroupName": name,
        "InstanceCount": count,
        "InstanceType": INSTANCE_TYPE,
        "ExecutionRole": ROLE,
        **script,
        **more,
    }


def counts(described: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
    """(current, target, status) by group."""
    return {
        one["InstanceGroupName"]: (one["CurrentCount"], one["TargetCount"], one["Status"])
        for one in described["InstanceGroups"]
    }


def waiting(tmp_path: Path) -> str:
    return f"until [ -e {tmp_path}/open ]; do sleep 0.05; done\n"


def eks(pod: HyperPod) -> dict[str, Any]:
    return {"Eks": {"ClusterArn": f"arn:aws:eks:us-west-2:{pod.account}:cluster/k"}}


def story(pod: HyperPod, name: str) -> list[str]:
    asked = f"account={pod.account}&region={pod.region}&of={name}"
    with connect(pod.server) as connection:
        return [line["what"] for line in ask(connection, "GET", f"/_tocsin/v1/story?{asked}").json["lines"]]
