"""Node health through the door: a record in a node's kernel log, and what boto3 sees become of the node."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.sickbay import XID, Sickbay
from tests.harness import RunningServer, eventually


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
            "HealthStatusReason": "The node is healthy again.",
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


def test_a_node_is_held_to_the_gpus_that_its_type_promises(tmp_path: Path) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text("[health]\nexpect_gpus = true\n")
    server = RunningServer(tmp_path / "data", "--config", str(config))
    try:
        bay = Sickbay(server, "111122223333", 1, "None", instance_type="ml.g5.12xlarge")
        [told] = bay.summaries(1)
        assert "detected fault type NvidiaErrorReboot" in told["HealthStatusReason"]
        [node] = bay.nodes
        described = bay.api.describe_cluster_node(ClusterName="sick", NodeId=node)["NodeDetails"]
        message = described["InstanceStatus"]["Message"]
        assert message == "gpu-count: the NVIDIA library is not installed, and the instance type promises 4"
        gpus = [{"bus": f"0000:0{number}:00"} for number in range(4)]
        (server.data_dir / "machines" / node / "gpus.json").write_text(json.dumps({"state": "ready", "gpus": gpus}))
        assert bay.summaries(2)[1]["HealthStatus"] == "Healthy"
    finally:
        server.stop()
