"""Cluster Events over the wire: on the bus and in the listings, under the same ids, also after a restart."""

import json
from pathlib import Path
from typing import Any

from tests.doors.asking import members, refusal
from tests.doors.hyperpod import SCRIPT_FAILED, HyperPod, group
from tests.harness import RunningServer, eventually

CONTINUOUS = {"NodeProvisioningMode": "Continuous"}
GHOST = "00000000-0000-0000-0000-000000000000"


def create(pod: HyperPod, *workers: dict[str, Any]) -> None:
    pod.create("c", group("head", 1, SlurmConfig={"NodeType": "Controller"}), *workers, **CONTINUOUS)


def events(pod: HyperPod, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod.api.list_cluster_events(ClusterName="c", **request)["Events"]
    return found


def until_over(pod: HyperPod) -> None:
    done = "Cluster c scaling completed successfully"
    eventually(lambda: done in {one["Description"] for one in events(pod)}, "the scaling is over")


def test_events_are_listed_newest_first_filtered_and_paged(pod: HyperPod) -> None:
    create(pod, group("w", 1))
    until_over(pod)
    everything = events(pod, MaxResults=100)
    assert everything[-1]["Description"] == "Cluster c creation started successfully"
    times = [one["EventTime"] for one in everything]
    assert times == sorted(times, reverse=True)
    assert events(pod, SortOrder="Ascending") == everything[::-1]
    pages = pod.api.get_paginator("list_cluster_events").paginate(ClusterName="c", PaginationConfig={"PageSize": 4})
    assert [one for page in pages for one in page["Events"]] == everything
    [node] = pod.nodes("c", InstanceGroupNameContains="w")
    assert {one["InstanceGroupName"] for one in events(pod, InstanceGroupName="w")} == {"w"}
    of_node = events(pod, NodeId=node["InstanceId"])
    assert {one["InstanceId"] for one in of_node} == {node["InstanceId"]}
    assert (
        {one["ResourceType"] for one in of_node}
        == {"Instance"}
        == {one["ResourceType"] for one in events(pod, ResourceType="Instance")}
    )
    [operation] = pod.api.list_cluster_operations(ClusterName="c")["ClusterOperationSummaries"]
    of_operation = events(pod, OperationId=operation["OperationId"])
    assert of_operation[0]["Description"] == "Cluster c scaling completed successfully"
    latest = [one for one in everything if one["EventTime"] == times[0] and one["ResourceType"] == "Cluster"]
    assert events(pod, EventTimeAfter=times[0], ResourceType="Cluster") == latest
    assert latest  # one commit may tell two of them
    assert events(pod, EventTimeBefore=times[-1])[-1] == everything[-1]


def test_every_event_listed_is_described_with_its_metadata(pod: HyperPod) -> None:
    create(pod, group("w", 1))
    until_over(pod)
    for one in events(pod):
        described = pod.api.describe_cluster_event(ClusterName="c", EventId=one["EventId"])["EventDetails"]
        [metadata] = [described.pop("EventDetails")["EventMetadata"]]
        assert described == one
        assert set(metadata) <= {"Cluster", "InstanceGroup", "InstanceGroupScaling", "Instance"}
        assert len(metadata) == 1
        if one["ResourceType"] == "Instance":
            assert metadata["Instance"]["NodeLogicalId"]


def test_a_rule_gets_errors_with_their_reason_and_an_id_that_resolves(pod: HyperPod, tmp_path: Path) -> None:
    bus, logs = pod.server.client("events", pod.account), pod.server.client("logs", pod.account)
    logs.create_log_group(logGroupName="/aws/events/errors")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker HyperPod Cluster Event"],
        "detail": {"EventDetails": {"EventLevel": ["Error"], "ResourceType": ["Instance"]}},
    }
    bus.put_rule(Name="errors", EventPattern=json.dumps(pattern))
    arn = f"arn:aws:logs:{pod.region}:{pod.account}:log-group:/aws/events/errors"
    bus.put_targets(Rule="errors", Targets=[{"Id": "log", "Arn": arn}])
    (tmp_path / "broken").touch()
    create(pod, group("w", 1, pod.scripts(on_create=f"[ ! -e {tmp_path}/broken ]\n")))

    def delivered() -> list[dict[str, Any]]:
        found = logs.filter_log_events(logGroupName="/aws/events/errors")["events"]
        told = [json.loads(one["message"]) for one in found]
        return [one for one in told if "creation" in one["detail"]["EventDetails"]["Description"]]

    first = eventually(delivered, "the error is delivered")[0]
    detail = first["detail"]["EventDetails"]
    assert detail["Description"] == "Instance creation in Cluster c and InstanceGroup w failed"
    assert detail["EventDetails"]["EventMetadata"]["Instance"]["FailureMessage"].startswith(SCRIPT_FAILED)
    assert first["id"] == detail["EventId"]
    described = pod.api.describe_cluster_event(ClusterName="c", EventId=first["id"])["EventDetails"]
    assert described["Description"] == detail["Description"]
    (tmp_path / "broken").unlink()


def test_clusters_of_the_default_mode_answer_as_on_aws(pod: HyperPod) -> None:
    pod.create("d", group("w", 0))
    for operation, more in (("list_cluster_events", {}), ("describe_cluster_event", {"EventId": GHOST})):
        refused = refusal(getattr(pod.api, operation), ClusterName="d", **more)
        assert refused.code == "ValidationException"
        assert "NodeProvisioningMode Continuous" in refused.message
        assert refusal(getattr(pod.api, operation), ClusterName="ghost", **more).code == "ResourceNotFound"


def test_an_event_that_is_not_there_is_not_found(pod: HyperPod) -> None:
    create(pod)
    refused = refusal(pod.api.describe_cluster_event, ClusterName="c", EventId=GHOST)
    assert (refused.code, refused.message) == ("ResourceNotFound", f"Event {GHOST} does not exist in cluster c.")


def test_events_outlive_the_server_and_are_numbered_on(tmp_path: Path, account: str) -> None:
    running = RunningServer(tmp_path / "data")
    pod = HyperPod(running, account)
    create(pod)
    until_over(pod)
    before = [one["EventId"] for one in events(pod, MaxResults=100)]
    running.stop()
    running = RunningServer(tmp_path / "data")
    try:
        pod = HyperPod(running, account)
        pod.until("c", "InService")
        assert [one["EventId"] for one in events(pod, MaxResults=100)][-len(before) :] == before
        pod.api.update_cluster(ClusterName="c", InstanceGroups=[group("x", 0)])
        eventually(lambda: len(events(pod, MaxResults=100)) > len(before), "more is told")
        ids = [one["EventId"] for one in events(pod, MaxResults=100)]
        assert len(set(ids)) == len(ids)
        pod.api.delete_cluster(ClusterName="c")
        pod.until_gone("c")
    finally:
        running.stop()


def test_the_aws_cli_lists_events(pod: HyperPod) -> None:
    create(pod)
    done = pod.server.cli("sagemaker", "list-cluster-events", "--cluster-name", "c", account=pod.account)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Events"]
    long_ago = pod.api.list_cluster_events(ClusterName="c", EventTimeBefore="2020-01-01T00:00:00Z")
    assert members(long_ago) == {"Events": []}
