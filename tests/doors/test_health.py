"""Node health through the door: a record in a node's kernel log, and what boto3 sees become of the node."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doors.asking import ask, connect
from tests.harness import RunningServer, eventually

ROLE = "arn:aws:iam::111122223333:role/hyperpod"
XID = "NVRM: Xid (PCI:0000:b9:00): {code}, pid=1234, name=python3, told by a test."
SELECTOR = '{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }'


class Sickbay:
    """A cluster without scripts, and the kernel logs of its nodes."""

    def __init__(self, server: RunningServer, account: str, nodes: int, recovery: str) -> None:
        self.server, self.account = server, account
        self.api = server.client("sagemaker", account)
        group = {"InstanceGroupName": "workers", "InstanceCount": nodes, "InstanceType": "ml.t3.medium"}
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


@pytest.fixture
def recovering(server: RunningServer, account: str) -> Iterator[Sickbay]:
    bay = Sickbay(server, account, 2, "Automatic")
    yield bay
    bay.api.delete_cluster(ClusterName="sick")


@pytest.fixture
def reporting(server: RunningServer, account: str) -> Iterator[Sickbay]:
    bay = Sickbay(server, account, 1, "None")
    yield bay
    bay.api.delete_cluster(ClusterName="sick")


def test_a_fault_that_a_reboot_mends_reboots_its_node_and_the_next_time_replaces_it(recovering: Sickbay) -> None:
    sick, well = recovering.nodes
    recovering.kernel_says(sick, XID.format(code=79))
    told = recovering.summaries(2)
    assert told == [
        {
            "HealthStatus": "Unhealthy",
            "HealthStatusReason": "HyperPod Health Monitoring Agent (HMA) has detected fault type NvidiaErrorReboot on "
            "this node and is unhealthy.",
            "RepairAction": "Reboot",
            "Recommendation": "HyperPod is working on repairing the unhealthy node. Please wait for the RepairAction "
            "to complete.",
        },
        {
            "HealthStatus": "Healthy",
            "HealthStatusReason": "The node answers again and is healthy.",
            "RepairAction": "None",
            "Recommendation": "No action is needed.",
        },
    ]
    assert recovering.nodes == {sick: "Running", well: "Running"}
    recovering.kernel_says(sick, XID.format(code=79))
    again = recovering.summaries(4)
    assert [one["RepairAction"] for one in again] == ["Reboot", "None", "Replace", "None"]
    eventually(lambda: sick not in recovering.nodes, "the sick node is gone")
    assert well in recovering.nodes


def test_with_recovery_none_a_fault_is_only_told(reporting: Sickbay) -> None:
    [node] = reporting.nodes
    reporting.kernel_says(node, XID.format(code=64))
    [told] = reporting.summaries(1)
    assert told == {
        "HealthStatus": "Unhealthy",
        "HealthStatusReason": "HyperPod Health Monitoring Agent (HMA) has detected fault type NvidiaErrorTerminate on "
        "this node and is unhealthy.",
        "RepairAction": "None",
        "Recommendation": "Please Replace the Faulty Node.",
    }
    assert reporting.nodes == {node: "Running"}
    described = reporting.api.describe_cluster_node(ClusterName="sick", NodeId=node)["NodeDetails"]
    assert described["InstanceStatus"]["Message"].startswith("xid-64: NVRM: Xid (PCI:0000:b9:00): 64")


def test_findings_are_lines_of_the_health_agents_stream(reporting: Sickbay) -> None:
    [node] = reporting.nodes
    reporting.kernel_says(node, XID.format(code=74), priority=11)  # not the kernel's: not believed
    reporting.kernel_says(node, XID.format(code=79))
    reporting.kernel_says(node, XID.format(code=31))
    lines = eventually(lambda: reporting.log_lines if len(reporting.log_lines) >= 3 else None, "the lines")
    assert {stream for stream, _ in lines} == {f"SagemakerHealthMonitoringAgent/workers/{node}"}
    reasons = [line["details: "]["reason"] for _, line in lines if "details: " in line]
    actions = [line["Event detail"]["Action"] for _, line in lines if "Event detail" in line]
    assert (reasons, actions) == (["XidHardwareFailure", "XidUserAppError"], ["reboot"])


def test_a_fault_with_an_end_of_its_own_comes_and_goes(reporting: Sickbay) -> None:
    [node] = reporting.nodes
    reporting.kernel_says(node, "nf_conntrack: table full, dropping packet")
    reporting.kernel_says(node, "mlx5_core 0000:5c:00.0: Detected insufficient power on the PCIe slot (27W).")
    [told] = reporting.summaries(1)
    assert told["Recommendation"] == "Look at the power of the slot and the card's riser."
    assert reporting.nodes == {node: "Running"}
