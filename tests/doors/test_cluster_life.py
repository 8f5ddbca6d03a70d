"""A cluster from its creation to its end, with nodes that are real: what becomes of it, and who may ask for what."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.doors.asking import log_lines, members, refusal
from tests.doors.hyperpod import SCRIPT_FAILED, HyperPod, counts, group, waiting
from tests.harness import eventually
from tests.processes import gone

# the life of a cluster


def test_a_cluster_is_creating_then_in_service_then_deleting_then_gone(pod: HyperPod) -> None:
    name = "short-lived"
    arn = pod.create(name, group("empty", 0), group("bare", 1), until=None)
    begun = pod.told(name)[0]
    assert (begun["ClusterStatus"], begun["ClusterArn"]) == ("Creating", arn)
    assert counts(begun) == {"empty": (0, 0, "Creating"), "bare": (0, 1, "Creating")}
    assert counts(pod.until(name, "InService")) == {"empty": (0, 0, "InService"), "bare": (1, 1, "InService")}
    [node] = pod.nodes(name)
    assert node["InstanceStatus"] == {"Status": "Running"}
    place = pod.server.data_dir / "machines" / node["InstanceId"]
    assert place.is_dir()
    assert members(pod.api.delete_cluster(ClusterName=name)) == {"ClusterArn": arn}
    assert pod.told(name)[-1]["ClusterStatus"] == "Deleting"
    assert refusal(pod.api.delete_cluster, ClusterName=name).code in ("ConflictException", "ResourceNotFound")
    pod.until_gone(name)
    assert not place.exists()
    assert refusal(pod.api.describe_cluster, ClusterName=name).code == "ResourceNotFound"
    assert pod.create(name, group("empty", 0)) != arn


def test_of_creations_at_once_one_wins(pod: HyperPod) -> None:
    def create(_: int) -> str:
        try:
            return str(pod.api.create_cluster(ClusterName="wanted", InstanceGroups=[group("g", 0)])["ClusterArn"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(create, range(6)))
    assert sorted(answers)[:5] == ["ResourceInUse"] * 5
    assert pod.until("wanted", "InService")["ClusterArn"] == sorted(answers)[5]


def test_what_a_cluster_was_asked_to_be_is_described_back(pod: HyperPod) -> None:
    asked: dict[str, Any] = {
        "Orchestrator": {"Eks": {"ClusterArn": f"arn:aws:eks:us-west-2:{pod.account}:cluster/k"}},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
    }
    storage = [{"EbsVolumeConfig": {"VolumeSizeInGB": 500}}]
    pod.create("k8s", group("g", 0, InstanceStorageConfigs=storage), **asked)
    described = pod.describe("k8s")
    assert {name: described[name] for name in asked} == asked
    assert described["InstanceGroups"][0]["InstanceStorageConfigs"] == storage


def test_every_status_is_told_to_the_rules(pod: HyperPod) -> None:
    events = pod.server.client("events", pod.account)
    pod.server.client("logs", pod.account).create_log_group(logGroupName="told")
    events.put_rule(Name="r", EventPattern='{"source":["aws.sagemaker"]}')
    arn = f"arn:aws:logs:{pod.region}:{pod.account}:log-group:told"
    events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": arn}])
    pod.create("told", group("g", 0))
    pod.api.update_cluster(ClusterName="told", NodeRecovery="None")
    pod.until("told", "InService")
    pod.api.delete_cluster(ClusterName="told")
    pod.until_gone("told")

    def statuses() -> list[str]:
        return [json.loads(line)["detail"]["ClusterStatus"] for line in log_lines(pod.server, pod.account, "told")]

    eventually(lambda: "Deleting" in statuses(), "the event of the deletion")
    assert statuses() == ["Creating", "InService", "Updating", "InService", "Deleting"]


def test_clusters_are_listed_filtered_sorted_and_paged(pod: HyperPod) -> None:
    names = ["list-b", "list-a", "other", "list-ab"]
    arns = {name: pod.create(name, group("g", 0)) for name in names}
    assert pod.names() == names
    assert pod.names(SortOrder="Descending") == names[::-1]
    assert pod.names(SortBy="NAME") == ["list-a", "list-ab", "list-b", "other"]
    assert pod.names(SortBy="NAME", SortOrder="Descending") == ["other", "list-b", "list-ab", "list-a"]
    assert pod.names(NameContains="list-") == ["list-b", "list-a", "list-ab"]
    summaries = pod.api.list_clusters()["ClusterSummaries"]
    assert set(summaries[0]) == {"ClusterArn", "ClusterName", "CreationTime", "ClusterStatus"}
    assert {one["ClusterName"]: one["ClusterArn"] for one in summaries} == arns
    moment = summaries[2]["CreationTime"]
    assert pod.names(CreationTimeAfter=moment) == names[2:]
    assert pod.names(CreationTimeBefore=moment) == names[:3]
    pages = pod.api.get_paginator("list_clusters").paginate(
        SortBy="NAME", SortOrder="Descending", PaginationConfig={"PageSize": 3}
    )
    listed = [[one["ClusterName"] for one in page["ClusterSummaries"]] for page in pages]
    assert listed == [["other", "list-b", "list-ab"], ["list-a"]]
    token = pod.api.list_clusters(MaxResults=1)["NextToken"]
    refused = refusal(pod.api.list_clusters, NextToken=token, SortBy="NAME")
    assert refused.code == "ValidationException"


def test_an_update_grows_shrinks_adds_and_deletes_groups(pod: HyperPod) -> None:
    pod.create("c", group("a", 1), group("b", 1), group("z", 0))
    [old] = pod.nodes("c", InstanceGroupNameContains="a")

    def update(**request: Any) -> dict[str, tuple[int, int, str]]:
        """The counts as the status flips, which it has done when the call is answered."""
        before = len(pod.told("c"))
        assert pod.api.update_cluster(ClusterName="c", **request)["ClusterArn"]
        flipped = pod.told("c")[before]
        assert flipped["ClusterStatus"] == "Updating"
        return counts(flipped)

    during = update(InstanceGroups=[group("a", 2), group("new", 1)], InstanceGroupsToDelete=["z"])
    assert during == {
        "a": (1, 2, "Updating"),
        "b": (1, 1, "InService"),
        "z": (0, 0, "Deleting"),
        "new": (0, 1, "Creating"),
    }
    after = counts(pod.until("c", "InService"))
    assert after == {"a": (2, 2, "InService"), "b": (1, 1, "InService"), "new": (1, 1, "InService")}
    assert old["InstanceId"] in {node["InstanceId"] for node in pod.nodes("c")}

    during = update(InstanceGroups=[group("a", 1)], InstanceGroupsToDelete=["b", "new"])
    assert {name: (target, status) for name, (_, target, status) in during.items()} == {
        "a": (1, "Updating"),
        "b": (0, "Deleting"),
        "new": (0, "Deleting"),
    }
    assert counts(pod.until("c", "InService")) == {"a": (1, 1, "InService")}
    assert [node["InstanceId"] for node in pod.nodes("c")] == [old["InstanceId"]]

    update(NodeRecovery="Automatic")
    assert pod.until("c", "InService")["NodeRecovery"] == "Automatic"
    update(InstanceGroups=[group("a", 0)])
    assert counts(pod.until("c", "InService")) == {"a": (0, 0, "InService")}


def test_an_update_that_makes_no_sense_is_refused_and_changes_nothing(pod: HyperPod) -> None:
    pod.create("c", group("a", 0), group("b", 0))
    before = pod.describe("c")

    def said(**request: Any) -> str:
        refused = refusal(pod.api.update_cluster, ClusterName="c", **request)
        assert (refused.code, refused.status) == ("ValidationException", 400)
        return refused.message

    assert said().startswith("Specify at least one of InstanceGroups, ")
    assert "has not: x." in said(InstanceGroupsToDelete=["x"])
    assert "keep at least one instance group" in said(InstanceGroupsToDelete=["a", "b"])
    assert "cannot be updated and deleted" in said(InstanceGroups=[group("a", 1)], InstanceGroupsToDelete=["a"])
    changed = group("a", 0) | {"InstanceType": "ml.m5.large"}
    assert said(InstanceGroups=[changed]) == "InstanceType of instance group a cannot be changed after its creation."
    assert pod.describe("c") == before


def test_a_second_operation_waits_for_the_first(pod: HyperPod, tmp_path: Path, gate: Callable[[], None]) -> None:
    pod.create("busy", group("g", 1, pod.scripts(on_create=waiting(tmp_path))), until=None)

    def conflict() -> None:
        refused = refusal(pod.api.update_cluster, ClusterName="busy", NodeRecovery="None")
        assert (refused.code, refused.status) == ("ConflictException", 400)
        assert pod.describe("busy")["ClusterStatus"] in refused.message

    conflict()
    gate()
    pod.until("busy", "InService")
    (tmp_path / "open").unlink()
    pod.api.update_cluster(ClusterName="busy", InstanceGroups=[group("g", 2, pod.scripts(on_create=waiting(tmp_path)))])
    conflict()
    [fresh] = eventually(
        lambda: [node for node in pod.nodes("busy") if node["InstanceStatus"]["Status"] != "Running"], "the new node"
    )
    assert fresh["InstanceStatus"] == {"Status": "Pending"}
    gate()
    pod.until("busy", "InService")


def test_a_cluster_can_be_deleted_while_it_is_created(pod: HyperPod, tmp_path: Path, gate: Callable[[], None]) -> None:
    script = f"echo $$ > {tmp_path}/pid\n{waiting(tmp_path)}"
    pod.create("early", group("g", 1, pod.scripts(on_create=script)), until=None)
    pid = eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the script")
    pod.api.delete_cluster(ClusterName="early")
    assert pod.told("early")[-1]["ClusterStatus"] == "Deleting"
    pod.until_gone("early")
    eventually(lambda: gone(int(pid)), "the script has ended")


def test_a_failing_growth_is_rolled_back_and_leaves_the_old_nodes_alone(pod: HyperPod, tmp_path: Path) -> None:
    source = pod.scripts(on_create=f"[ ! -e {tmp_path}/broken ]\n")
    pod.create("grown", group("g", 1, source))
    [old] = pod.nodes("grown")
    (tmp_path / "broken").touch()
    pod.api.update_cluster(ClusterName="grown", InstanceGroups=[group("g", 2, source), group("added", 1, source)])
    described = pod.until("grown", "InService")
    assert SCRIPT_FAILED in described["FailureMessage"]
    assert counts(described) == {"g": (1, 1, "InService")}
    assert pod.nodes("grown") == [old]
    (tmp_path / "broken").unlink()
    pod.api.update_cluster(ClusterName="grown", InstanceGroups=[group("g", 2, source)])
    described = pod.until("grown", "InService")
    assert "FailureMessage" not in described
    assert counts(described) == {"g": (2, 2, "InService")}


# recovery


def test_a_dead_node_is_replaced_where_recovery_is_automatic(pod: HyperPod, tmp_path: Path) -> None:
    source = pod.scripts(on_create=f"echo $TOCSIN_INSTANCE_ID >> {tmp_path}/$TOCSIN_INSTANCE_NAME\n")
    pod.create("mended", group("a", 1, source), group("b", 1, source), NodeRecovery="Automatic")
    old = {node["InstanceGroupName"]: node["InstanceId"] for node in pod.nodes("mended")}
    pod.kill(old["b"])

    def replaced() -> str | None:
        now = {node["InstanceGroupName"]: node for node in pod.nodes("mended")}
        node = now.get("b")
        if node is None or node["InstanceId"] == old["b"] or node["InstanceStatus"]["Status"] != "Running":
            return None
        assert now["a"]["InstanceId"] == old["a"]
        return str(node["InstanceId"])

    fresh = eventually(replaced, "the replacement runs")
    assert (tmp_path / "b-1").read_text().split() == [old["b"], fresh]
    assert (tmp_path / "a-1").read_text().split() == [old["a"]]
    assert pod.describe("mended")["ClusterStatus"] == "InService"


def test_a_dead_node_is_left_where_recovery_is_none(pod: HyperPod) -> None:
    pod.create("left", group("g", 1), NodeRecovery="None")
    [node] = pod.nodes("left")
    pod.kill(node["InstanceId"])
    eventually(lambda: pod.nodes("left")[0]["InstanceStatus"]["Status"] == "Failure", "the failure is seen")
    [left] = pod.nodes("left")
    assert left["InstanceId"] == node["InstanceId"]
    assert "InstanceTerminated" in left["InstanceStatus"]["Message"]
    described = pod.describe("left")
    assert described["ClusterStatus"] == "InService"
    pod.api.update_cluster(ClusterName="left", NodeRecovery="Automatic")
    healed = eventually(
        lambda: [one for one in pod.nodes("left") if one["InstanceStatus"]["Status"] == "Running"], "it is replaced"
    )
    assert healed[0]["InstanceId"] != node["InstanceId"]
