"""UpdateClusterSoftware over the wire: real nodes get a fresh home and run their scripts again, or go back."""

import json
from pathlib import Path
from typing import Any

from tests.doors.asking import ask, connect, refusal
from tests.doors.hyperpod import HyperPod, group
from tests.harness import eventually

IMAGE = "ami-0123456789abcdef0"
DEFAULT_IMAGE = "ami-70c51070c51070c51"
ONE_BY_ONE = {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}}}


def only_group(pod: HyperPod, name: str) -> dict[str, Any]:
    [found] = pod.describe(name)["InstanceGroups"]
    return dict(found)


def test_an_update_renews_every_node_in_place(pod: HyperPod, tmp_path: Path) -> None:
    script = f"echo $TOCSIN_INSTANCE_ID $(ls $HOME) >> {tmp_path}/runs\ntouch $HOME/marker\n"
    pod.create("c", group("w", 2, pod.scripts(on_create=script)))
    nodes = [node["InstanceId"] for node in pod.nodes("c")]
    arn = pod.describe("c")["ClusterArn"]
    answer = pod.api.update_cluster_software(ClusterName="c", ImageId=IMAGE, DeploymentConfig=ONE_BY_ONE)
    assert answer["ClusterArn"] == arn
    told = pod.told("c")[2]
    assert (told["ClusterStatus"], told["InstanceGroups"][0]["Status"]) == ("SystemUpdating", "SystemUpdating")
    ids = ("CurrentImageId", "DesiredImageId")
    assert [told["InstanceGroups"][0][name] for name in ids] == [DEFAULT_IMAGE, IMAGE]
    pod.until("c", "InService")
    done = only_group(pod, "c")
    assert [done[name] for name in ids] == [IMAGE, IMAGE]
    assert (done["SoftwareUpdateStatus"], done["TargetStateCount"], done["Status"]) == ("Succeeded", 2, "InService")
    assert "ActiveSoftwareUpdateConfig" not in done
    assert [node["InstanceId"] for node in pod.nodes("c")] == nodes
    runs = (tmp_path / "runs").read_text().splitlines()
    assert sorted(runs) == sorted(nodes * 2), "the home is empty each time"
    for node in pod.nodes("c"):
        described = pod.api.describe_cluster_node(ClusterName="c", NodeId=node["InstanceId"])["NodeDetails"]
        assert [described[name] for name in ids] == [IMAGE, IMAGE]
        assert described["LastSoftwareUpdateTime"] > described["LaunchTime"]


def test_a_script_that_fails_on_the_new_image_rolls_the_update_back(pod: HyperPod, tmp_path: Path) -> None:
    marker = tmp_path / "broken"
    pod.create(
        "c",
        group(
            "w",
            1,
            pod.scripts(
                on_create=f"[ ! -e {marker} ] || [ $(wc -l < {marker}) -gt 4 ]; ok=$?\n"
                f"[ ! -e {marker} ] || echo run >> {marker}\nexit $ok\n"
            ),
        ),
    )
    marker.write_text("begun\n")
    pod.api.update_cluster_software(ClusterName="c")
    described = pod.until("c", "InService")
    assert [one["ClusterStatus"] for one in pod.told("c")][2:] == ["SystemUpdating", "RollingBack", "InService"]
    assert "did not run successfully" in described["FailureMessage"]
    assert described["InstanceGroups"][0]["SoftwareUpdateStatus"] == "RollbackComplete"
    assert marker.read_text().count("run") == 5, "four tries there, one back"
    assert pod.nodes("c")[0]["InstanceStatus"] == {"Status": "Running"}


def test_an_alarm_rolls_an_update_back(pod: HyperPod) -> None:
    pod.create("c", group("w", 1))
    name = f"alarm-{pod.account}"
    config = {**ONE_BY_ONE, "WaitIntervalInSeconds": 3600, "AutoRollbackConfiguration": [{"AlarmName": name}]}
    pod.api.update_cluster_software(ClusterName="c", DeploymentConfig=config)
    eventually(lambda: only_group(pod, "c")["TargetStateCount"] == 1, "the batch is through")
    assert only_group(pod, "c")["ActiveSoftwareUpdateConfig"] == config
    asked = f"/_tocsin/v1/alarms?account={pod.account}&region={pod.region}"
    with connect(pod.server) as connection:
        body = json.dumps({"name": name, "state": "ALARM", "reason": "errors"}).encode()
        is_json = {"content_type": "application/json"}
        assert ask(connection, "POST", asked, body, **is_json).status == 200
        assert ask(connection, "POST", asked, b"{}", **is_json).status == 400
        [listed] = ask(connection, "GET", asked).json["alarms"]
    assert (listed["name"], listed["state"], listed["reason"]) == (name, "ALARM", "errors")
    described = pod.until("c", "InService")
    assert f"in ALARM: {name}" in described["FailureMessage"]


def test_an_update_that_cannot_be_is_refused(pod: HyperPod) -> None:
    pod.create("c", group("w", 0, ImageId=IMAGE))

    def said(**request: Any) -> tuple[str, str]:
        refused = refusal(pod.api.update_cluster_software, **{"ClusterName": "c", **request})
        return refused.code, refused.message

    assert said(ClusterName="ghost")[0] == "ResourceNotFound"
    assert "nobody" in said(InstanceGroups=[{"InstanceGroupName": "nobody"}])[1]
    assert "custom AMI" in said()[1]
    assert "1 validation error detected" in said(ImageId="my-image")[1]
    assert only_group(pod, "c")["CurrentImageId"] == IMAGE


def test_the_aws_cli_updates_software(pod: HyperPod) -> None:
    pod.create("c", group("w", 0))
    done = pod.server.cli("sagemaker", "update-cluster-software", "--cluster-name", "c", account=pod.account)
    assert done.returncode == 0, done.stderr
    pod.until("c", "InService")
    assert only_group(pod, "c")["SoftwareUpdateStatus"] == "Succeeded"
