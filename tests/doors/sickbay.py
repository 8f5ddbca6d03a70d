"""A cluster without much in it, and the kernel logs of its nodes: for tests of node health through the door."""

import json
from typing import Any

from tests.doors.asking import ask, connect
from tests.harness import RunningServer, eventually

ROLE = "arn:aws:iam::111122223333:role/hyperpod"
XID = "NVRM: Xid (PCI:0000:b9:00): {code}, pid=1234, name=python3, told by a test."
SELECTOR = '{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }'


class Sickbay:
    """A cluster without scripts, and the kernel logs of its nodes."""

    def __init__(
        self, server: RunningServer, account: str, nodes: int, recovery: str, instance_type: str = "ml.t3.medium"
    ) -> None:
        self.server, self.account = server, account
        self.api = server.client("sagemaker", account)
        group = {"InstanceGroupName": "workers", "InstanceCount": nodes, "InstanceType": instance_type}
        script = {
            "SourceS3Uri": server.bucket(f"bucket-{account}", {"on_create.sh": "exit 0"}),
            "OnCreate": "on_create.sh",
        }
        groups = [{**group, "ExecutionRole": ROLE, "LifeCycleConfig": script}]
        self.api.create_cluster(ClusterName="sick", InstanceGroups=groups, NodeRecovery=recovery)
        eventually(lambda: self.api.describe_cluster(ClusterName="sick")["ClusterStatus"] == "InService", "in service")
        self.sequence = 0

    @property
    def nodes(self) -> dict[str, str]:
        """Status by instance id."""
        found = self.api.list_cluster_nodes(ClusterName="sick")["ClusterNodeSummaries"]
        return {one["InstanceId"]: one["InstanceStatus"]["Status"] for one in found}

    def kernel_says(self, instance_id: str, text: str, priority: int = 3) -> None:
        self.sequence += 1
        with (self.server.data_dir / "machines" / instance_id / "kmsg").open("a") as log:
            log.write(f"{priority},{self.sequence},1,-;{text}\n")

    @property
    def told(self) -> list[dict[str, Any]]:
        """Details of the Node Health Events so far."""
        asked = f"account={self.account}&region=us-west-2&cluster=sick&last=1000&detail_type=Health"
        with connect(self.server) as connection:
            return [event["detail"] for event in ask(connection, "GET", f"/_tocsin/v1/events?{asked}").json["events"]]

    def summaries(self, count: int) -> list[dict[str, str]]:
        told = eventually(lambda: self.told if len(self.told) >= count else None, f"{count} health events")
        return [detail["HealthSummary"] for detail in told]

    @property
    def log_lines(self) -> list[tuple[str, dict[str, Any]]]:
        logs = self.server.client("logs", self.account)
        [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Clusters/sick/")["logGroups"]
        found = logs.filter_log_events(logGroupName=group["logGroupName"], filterPattern=SELECTOR)["events"]
        return [(one["logStreamName"], json.loads(one["message"])) for one in found]
