"""Deep health checks through the door, on real nodes: boto3, the agents' tests, the results in the cluster's log."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doors.asking import ask, connect, tocsin
from tests.doors.sickbay import ROLE
from tests.harness import RunningServer, eventually

SETTINGS = "[health]\ndeep_test_s = 0.05\n"
BOTH = ["InstanceStress", "InstanceConnectivity"]


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose checks are short."""
    folder: Path = tmp_path_factory.mktemp("deep")
    (folder / "tocsin.toml").write_text(SETTINGS)
    running = RunningServer(folder / "data", "--config", str(folder / "tocsin.toml"))
    yield running
    running.stop()


class Ward:
    """A cluster of one group, made with or without checks on start."""

    def __init__(
        self,
        server: RunningServer,
        account: str,
        count: int,
        checks: list[str],
        faults: Sequence[str] = (),
        **more: Any,
    ) -> None:
        self.server, self.account = server, account
        self.api = server.client("sagemaker", account)
        self.group = {"InstanceGroupName": "workers", "InstanceCount": count, "InstanceType": "ml.t3.medium"}
        if faults:
            self.say("fault", "check-fails", *faults)
        on_start = {"OnStartDeepHealthChecks": checks} if checks else {}
        self.api.create_cluster(
            ClusterName="ward",
            InstanceGroups=[{**self.group, "ExecutionRole": ROLE, **on_start}],
            **{"NodeRecovery": "Automatic", **more},
        )

    @property
    def nodes(self) -> dict[str, str]:
        found = self.api.list_cluster_nodes(ClusterName="ward")["ClusterNodeSummaries"]
        return {one["InstanceId"]: one["InstanceStatus"]["Status"] for one in found}

    @property
    def status(self) -> str:
        told: str = self.api.describe_cluster(ClusterName="ward")["ClusterStatus"]
        return told

    def runs(self, count: int) -> dict[str, str]:
        def all_run() -> dict[str, str] | None:
            nodes = self.nodes if self.status == "InService" else {}
            return nodes if list(nodes.values()) == ["Running"] * count else None

        found: dict[str, str] = eventually(all_run, f"{count} nodes run")
        return found

    def story(self) -> str:
        """What was told of the cluster and its nodes, a line each."""
        with connect(self.server) as connection:
            asked = f"/_tocsin/v1/story?of=ward&account={self.account}&region=us-west-2&limit=1000"
            told = ask(connection, "GET", asked).json["lines"]
        return "\n".join(f"{one['what']} ({one['why']})" for one in told)

    def say(self, *words: str) -> str:
        done = tocsin(*words, "--endpoint-url", self.server.endpoint, "--account", self.account)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def results(self, instance_id: str) -> list[str]:
        logs = self.server.client("logs", self.account)
        [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Clusters/ward/")["logGroups"]
        stream = f"DeepHealthCheckResults/{instance_id}"
        found = logs.get_log_events(logGroupName=group["logGroupName"], logStreamName=stream, startFromHead=True)[
            "events"
        ]
        return [one["message"] for one in found]

    def check(self, **more: Any) -> Any:
        config = {"InstanceGroupName": "workers", "DeepHealthChecks": BOTH, **more}
        return self.api.start_cluster_health_check(ClusterName="ward", DeepHealthCheckConfigurations=[config])


def test_new_nodes_are_checked_before_they_run_and_the_results_are_logged(brisk: RunningServer, account: str) -> None:
    ward = Ward(brisk, account, 2, BOTH)
    nodes = ward.runs(2)
    story = ward.story()
    assert story.count("Pending → DeepHealthCheckInProgress") == 2
    assert story.count("DeepHealthCheckInProgress → Running") == 2
    one, other = nodes
    told = ward.results(one)
    assert told[-1] == f"Deep health check passed for instance {one}: InstanceStress, InstanceConnectivity"
    results = "\n".join(told)
    assert f'"test": "tcp to {other}", "result": "passed"' in results
    assert '"test": "all-reduce of 2 nodes over TCP", "result": "passed"' in results
    assert '"test": "GPU burn", "result": "skipped"' in results
    ward.api.delete_cluster(ClusterName="ward")


def test_a_node_that_fails_is_replaced_and_the_new_one_checked(brisk: RunningServer, account: str) -> None:
    ward = Ward(brisk, account, 1, ["InstanceStress"], faults=["workers", "--count", "1"])
    eventually(lambda: "Healthy → Unhealthy" in ward.story(), "the check fails")
    eventually(lambda: "replaces i-" in ward.story(), "it is replaced")
    [new] = ward.runs(1)
    assert "passed" in ward.results(new)[-1]
    story = ward.story()
    assert "to be replaced: deep-check" in story
    failed = story.split("(replaces ")[1].split(")")[0]
    assert "Encountered FaultyInstance. Replace the Instance." in ward.results(failed)[-1]
    ward.api.delete_cluster(ClusterName="ward")


def test_one_check_on_demand_at_a_time_is_an_operation_of_the_cluster(brisk: RunningServer, account: str) -> None:
    ward = Ward(brisk, account, 1, [])
    [node] = ward.runs(1)
    with pytest.raises(ClientError, match="is not in instance group"):
        ward.check(InstanceIds=["i-0123456789abcdef0"])
    assert ward.check(InstanceIds=[node])["ClusterArn"].startswith("arn:aws:sagemaker:")
    with pytest.raises(ClientError, match="already in progress") as refused:
        ward.check()
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    [operation] = ward.api.list_cluster_operations(ClusterName="ward", Type="DeepHealthCheck")[
        "ClusterOperationSummaries"
    ]
    told = ward.api.describe_cluster_operation(ClusterName="ward", OperationId=operation["OperationId"])
    assert told["DeepHealthCheckDetails"] == [
        {"InstanceGroupName": "workers", "InstanceIds": [node], "DeepHealthChecks": BOTH}
    ]

    def done() -> bool:
        summary = ward.api.describe_cluster_operation(ClusterName="ward", OperationId=operation["OperationId"])
        return bool(summary["Status"] == "Done")

    eventually(done, "the operation is done")
    assert ward.runs(1) == {node: "Running"}
    assert "Running → DeepHealthCheckInProgress" in ward.story()
    ward.api.delete_cluster(ClusterName="ward")


def test_with_recovery_none_a_failed_check_is_only_told(brisk: RunningServer, account: str) -> None:
    ward = Ward(brisk, account, 1, [], NodeRecovery="None")
    [node] = ward.runs(1)
    ward.say("fault", "check-fails")
    ward.check(DeepHealthChecks=["InstanceStress"])
    eventually(lambda: "Healthy → Unhealthy" in ward.story(), "the check fails")
    assert ward.runs(1) == {node: "Running"}
    assert "DeepHealthCheckFailed" in ward.say("health")
    ward.api.delete_cluster(ClusterName="ward")
