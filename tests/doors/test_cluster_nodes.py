"""Batch operations on nodes over the wire: reboot, replace and delete real ones, and what is refused."""

import json
from pathlib import Path
from typing import Any

from tests.doors.asking import members, refusal
from tests.doors.hyperpod import HyperPod, counts, group
from tests.harness import eventually

GHOST = "i-00000000000000000"


def ids(pod: HyperPod, name: str, group_name: str) -> list[str]:
    return [node["InstanceId"] for node in pod.nodes(name, InstanceGroupNameContains=group_name)]


def status(pod: HyperPod, name: str, instance_id: str) -> dict[str, Any]:
    found = pod.api.describe_cluster_node(ClusterName=name, NodeId=instance_id)["NodeDetails"]["InstanceStatus"]
    return dict(found)


def traced(pod: HyperPod, tmp_path: Path) -> str:
    return pod.scripts(on_create=f"echo $TOCSIN_INSTANCE_ID >> {tmp_path}/$TOCSIN_INSTANCE_NAME\ntouch $HOME/kept\n")


def test_a_rebooted_node_keeps_its_id_and_disk_and_runs_no_script(pod: HyperPod, tmp_path: Path) -> None:
    pod.create("c", group("my-controller"), group("w", 1, traced(pod, tmp_path)))
    [node] = ids(pod, "c", "w")
    place = pod.server.data_dir / "machines" / node
    before = (place / "pid").read_text()
    assert members(pod.api.batch_reboot_cluster_nodes(ClusterName="c", NodeIds=[node])) == {"Successful": [node]}
    eventually(lambda: (place / "pid").exists() and (place / "pid").read_text() not in ("", before), "another process")
    eventually(lambda: status(pod, "c", node) == {"Status": "Running"}, "it runs again")
    assert (tmp_path / "w-1").read_text().split() == [node]
    assert (place / "home" / "kept").exists()
    assert pod.describe("c")["ClusterStatus"] == "InService"
    assert [one["ClusterStatus"] for one in pod.told("c")] == ["Creating", "InService"]


def test_a_replaced_node_has_a_new_id_and_runs_the_script_again(pod: HyperPod, tmp_path: Path) -> None:
    pod.create("c", group("my-controller"), group("w", 1, traced(pod, tmp_path)), NodeRecovery="None")
    [old] = ids(pod, "c", "w")
    assert pod.api.batch_replace_cluster_nodes(ClusterName="c", NodeIds=[old])["Successful"] == [old]

    def replaced() -> str | None:
        nodes = pod.nodes("c", InstanceGroupNameContains="w")
        one = nodes[0]
        return str(one["InstanceId"]) if len(nodes) == 1 and one["InstanceStatus"]["Status"] == "Running" else None

    new = eventually(lambda: replaced() not in (None, old) and replaced(), "the replacement runs")
    assert (tmp_path / "w-1").read_text().split() == [old, new]
    assert not (pod.server.data_dir / "machines" / old).exists()
    assert pod.describe("c")["ClusterStatus"] == "InService"


def test_deleted_nodes_go_and_their_group_wants_fewer(pod: HyperPod) -> None:
    pod.create("c", group("my-controller"), group("w", 3))
    nodes = ids(pod, "c", "w")
    made = members(pod.api.batch_delete_cluster_nodes(ClusterName="c", NodeIds=[nodes[0], GHOST, nodes[2]]))
    assert made["Successful"] == [nodes[0], nodes[2]]
    assert [(one["Code"], one["NodeId"]) for one in made["Failed"]] == [("NodeIdNotFound", GHOST)]
    told = pod.told("c")
    assert told[2]["ClusterStatus"] == "Updating"
    assert counts(told[2])["w"] == (3, 1, "Updating")
    described = pod.until("c", "InService")
    assert counts(described)["w"] == (1, 1, "InService")
    assert ids(pod, "c", "w") == [nodes[1]]


def test_the_slurm_controller_is_never_had(pod: HyperPod) -> None:
    pod.create("c", group("head", SlurmConfig={"NodeType": "Controller"}), group("w", 0))
    [head] = ids(pod, "c", "head")
    for operation in ("batch_delete_cluster_nodes", "batch_reboot_cluster_nodes", "batch_replace_cluster_nodes"):
        made = members(getattr(pod.api, operation)(ClusterName="c", NodeIds=[head]))
        [failed] = made["Failed"]
        assert failed.get("Code", failed.get("ErrorCode")) in ("InvalidNodeStatus", "InvalidInstanceStatus")
        assert "Slurm controller" in failed["Message"]
        assert "Successful" not in made


def test_a_batch_that_is_wrong_as_a_whole_is_refused(pod: HyperPod) -> None:
    pod.create("c", group("w", 0))

    def said(operation: str, **request: Any) -> tuple[str, str]:
        refused = refusal(getattr(pod.api, f"batch_{operation}_cluster_nodes"), **{"ClusterName": "c", **request})
        return refused.code, refused.message

    for operation in ("delete", "reboot", "replace"):
        assert said(operation) == ("ValidationException", "Specify at least one of NodeIds and NodeLogicalIds.")
        assert said(operation, ClusterName="ghost", NodeIds=[GHOST])[0] == "ResourceNotFound"
        assert "NodeProvisioningMode Continuous" in said(operation, NodeLogicalIds=["a-b"])[1]
    many = [f"i-{number:017x}" for number in range(100)]
    assert "at most 99 NodeIds" in said("delete", NodeIds=many)[1]
    assert "1 validation error detected" in said("reboot", NodeIds=many[:26])[1]


def test_the_aws_cli_replaces_a_node(pod: HyperPod) -> None:
    pod.create("c", group("my-controller", 0), group("w", 1))
    [old] = ids(pod, "c", "w")
    done = pod.server.cli(
        *("sagemaker", "batch-replace-cluster-nodes", "--cluster-name", "c", "--node-ids", old, GHOST),
        account=pod.account,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["Successful"] == [old]
    assert [one["ErrorCode"] for one in answer["Failed"]] == ["InstanceIdNotFound"]
