"""Continuous provisioning over the wire: partial capacity, logical ids, added nodes, operations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.doors.asking import refusal
from tests.doors.hyperpod import HyperPod, counts, group, waiting
from tests.harness import eventually

CONTINUOUS = {"NodeProvisioningMode": "Continuous"}


def create(pod: HyperPod, *workers: dict[str, Any], **more: Any) -> None:
    """A cluster of a controller and these groups, in service."""
    controller = group("head", 1, SlurmConfig={"NodeType": "Controller"})
    pod.create("c", controller, *workers, **CONTINUOUS, **more)


def operations(pod: HyperPod, name: str = "c", **request: Any) -> list[dict[str, Any]]:
    listed = pod.api.list_cluster_operations(ClusterName=name, **request)
    return list(listed["ClusterOperationSummaries"])


def settled(pod: HyperPod) -> None:
    eventually(lambda: all(one["Status"] != "InProgress" for one in operations(pod)), "all operations are over")


def test_a_cluster_is_in_service_with_what_it_has(pod: HyperPod, tmp_path: Path, gate: Callable[[], None]) -> None:
    source = pod.scripts(on_create=waiting(tmp_path))
    create(pod, group("w", 2, source))
    described = pod.describe("c")
    assert described["NodeProvisioningMode"] == "Continuous"
    assert counts(described) == {"head": (1, 1, "InService"), "w": (0, 2, "InService")}
    assert [one.get("ActiveOperations") for one in described["InstanceGroups"]] == [None, {"Scaling": 1}]
    pod.api.update_cluster(ClusterName="c", InstanceGroups=[group("w", 1, source), group("x", 1)])
    gate()
    settled(pod)
    assert counts(pod.describe("c")) == dict.fromkeys(("head", "w", "x"), (1, 1, "InService"))
    assert [one["ClusterStatus"] for one in pod.told("c")] == ["Creating", "InService"]
    assert [one["Status"] for one in operations(pod, SortOrder="Ascending")] == ["Superseded", "Done"]


def test_what_fails_is_tried_again_until_it_is_well(pod: HyperPod, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    create(pod, group("w", 1, pod.scripts(on_create=f"[ ! -e {tmp_path}/broken ]\n")))
    node = eventually(
        lambda: next((one for one in pod.nodes("c") if one["InstanceStatus"]["Status"] == "Failure"), None), "it fails"
    )
    assert "did not run successfully" in node["InstanceStatus"]["Message"]
    [worker] = pod.nodes("c", InstanceGroupNameContains="w", IncludeNodeLogicalIds=True)
    (tmp_path / "broken").unlink()
    eventually(lambda: counts(pod.describe("c"))["w"] == (1, 1, "InService"), "it is well")
    [well] = pod.nodes("c", InstanceGroupNameContains="w", IncludeNodeLogicalIds=True)
    assert well["NodeLogicalId"] == worker["NodeLogicalId"]
    assert well["InstanceId"] != worker["InstanceId"]
    assert "NodeLogicalId" not in pod.nodes("c")[0]


def test_nodes_are_added_by_token_and_found_by_logical_id(pod: HyperPod) -> None:
    create(pod, group("w", 0))
    request = {
        "ClusterName": "c",
        "ClientToken": "token-1",
        "NodesToAdd": [
            {"InstanceGroupName": "w", "IncrementTargetCountBy": 2},
            {"InstanceGroupName": "ghost", "IncrementTargetCountBy": 1},
        ],
    }
    made = pod.api.batch_add_cluster_nodes(**request)
    assert [(one["InstanceGroupName"], one["Status"]) for one in made["Successful"]] == [("w", "Pending")] * 2
    [failed] = made["Failed"]
    assert (failed["ErrorCode"], failed["FailedCount"]) == ("InstanceGroupNotFound", 1)
    ids = [one["NodeLogicalId"] for one in made["Successful"]]
    settled(pod)
    again = pod.api.batch_add_cluster_nodes(**request)
    assert [(one["NodeLogicalId"], one["Status"]) for one in again["Successful"]] == [(one, "Running") for one in ids]
    assert again["Failed"] == made["Failed"]
    assert counts(pod.describe("c"))["w"] == (2, 2, "InService")
    described = pod.api.describe_cluster_node(ClusterName="c", NodeLogicalId=ids[0])["NodeDetails"]
    assert described["NodeLogicalId"] == ids[0]
    done = pod.api.batch_delete_cluster_nodes(ClusterName="c", NodeLogicalIds=[ids[0], "not-there"])
    assert done["SuccessfulNodeLogicalIds"] == [ids[0]]
    assert [one["Code"] for one in done["FailedNodeLogicalIds"]] == ["NodeIdNotFound"]
    settled(pod)
    assert counts(pod.describe("c"))["w"] == (1, 1, "InService")
    again = pod.api.batch_add_cluster_nodes(**request)["Successful"]
    assert [one["Status"] for one in again] == ["NotFound", "Running"]
    assert pod.api.batch_reboot_cluster_nodes(ClusterName="c", NodeLogicalIds=[ids[1]])["SuccessfulNodeLogicalIds"]


def test_a_group_waits_for_its_minimum(pod: HyperPod, tmp_path: Path, gate: Callable[[], None]) -> None:
    create(
        pod,
        group("w", 2, pod.scripts(on_create=waiting(tmp_path)), MinInstanceCount=2),
        group("x", 0, MinInstanceCount=0),
    )
    described = pod.describe("c")
    assert counts(described)["w"] == (0, 2, "Creating")
    assert [one.get("MinCount") for one in described["InstanceGroups"]] == [None, 2, 0]
    assert refusal(pod.api.update_cluster_software, ClusterName="c").code == "ConflictException"
    gate()
    eventually(lambda: counts(pod.describe("c"))["w"] == (2, 2, "InService"), "the group is in service")


def test_an_operation_is_described_group_by_group(pod: HyperPod) -> None:
    create(pod, group("w", 1))
    settled(pod)
    pod.api.update_cluster(ClusterName="c", InstanceGroups=[group("w", 0)])
    settled(pod)
    newest = operations(pod)[0]
    assert (newest["Type"], newest["Status"]) == ("Scaling", "Done")
    described = pod.api.describe_cluster_operation(ClusterName="c", OperationId=newest["OperationId"])
    assert described["ScalingDetails"] == [
        {
            "InstanceGroupName": "w",
            "Status": "Done",
            "Original": {"CurrentCount": 1, "TargetCount": 1},
            "Desired": {"TargetCount": 0},
        }
    ]
    assert operations(pod, Status="InProgress") == []
    assert operations(pod, Type="DeepHealthCheck") == []
    pages = pod.api.get_paginator("list_cluster_operations").paginate(ClusterName="c", PaginationConfig={"PageSize": 1})
    listed = [one["OperationId"] for page in pages for one in page["ClusterOperationSummaries"]]
    assert listed == [one["OperationId"] for one in operations(pod)]
    assert len(listed) == 2
    ghost = "00000000-0000-0000-0000-000000000000"
    refused = refusal(pod.api.describe_cluster_operation, ClusterName="c", OperationId=ghost)
    assert refused.code == "ResourceNotFound"


def test_what_is_continuous_only_is_refused_by_other_clusters(pod: HyperPod) -> None:
    pod.create("d", group("w", 0))
    added = [{"InstanceGroupName": "w", "IncrementTargetCountBy": 1}]
    refused = refusal(pod.api.batch_add_cluster_nodes, ClusterName="d", NodesToAdd=added)
    assert refused.code == "ValidationException"
    assert "NodeProvisioningMode Continuous" in refused.message
    ghost = refusal(pod.api.batch_add_cluster_nodes, ClusterName="ghost", NodesToAdd=added)
    assert ghost.code == "ResourceNotFound"
    assert operations(pod, "d") == [], "scaling is no operation there"


def test_the_aws_cli_adds_a_node(pod: HyperPod) -> None:
    create(pod, group("w", 0))
    done = pod.server.cli(
        *("sagemaker", "batch-add-cluster-nodes", "--cluster-name", "c"),
        *("--nodes-to-add", "InstanceGroupName=w,IncrementTargetCountBy=1"),
        account=pod.account,
    )
    assert done.returncode == 0, done.stderr
    [added] = json.loads(done.stdout)["Successful"]
    assert (added["InstanceGroupName"], added["Status"]) == ("w", "Pending")
