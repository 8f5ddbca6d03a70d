"""Software updates listen to alarms of the CloudWatch that the upstream serves."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doors.hyperpod import HyperPod, group, story
from tests.harness import RunningServer, eventually

WATCHED = "JobErrors"


@pytest.fixture(scope="module")
def with_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("moto") / "data", "--with-moto")
    yield running
    assert running.stop() == 0


def updating(pod: HyperPod, *alarms: str) -> None:
    """A cluster whose update bakes for an hour, with its batch through."""
    config: dict[str, Any] = {
        "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}},
        "WaitIntervalInSeconds": 3600,
        "AutoRollbackConfiguration": [{"AlarmName": name} for name in alarms],
    }
    pod.create("c", group("w", 1))
    pod.api.update_cluster_software(ClusterName="c", DeploymentConfig=config)

    def baking() -> bool:
        return bool(pod.describe("c")["InstanceGroups"][0]["TargetStateCount"] == 1)

    eventually(baking, "the batch is through")


def test_an_alarm_that_rings_upstream_rolls_an_update_back(with_moto: RunningServer, account: str) -> None:
    watch = with_moto.client("cloudwatch", account)
    watch.put_metric_alarm(
        AlarmName=WATCHED,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        MetricName="errors",
        Namespace="jobs",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    watch.set_alarm_state(AlarmName=WATCHED, StateValue="OK", StateReason="quiet")
    pod = HyperPod(with_moto, account)
    updating(pod, WATCHED, "Nobody")
    eventually(lambda: "alarm Nobody is not known, and does not ring" in story(pod, "c"), "the story tells")
    assert pod.describe("c")["ClusterStatus"] == "SystemUpdating"
    assert not [said for said in story(pod, "c") if WATCHED in said], "it is known, and quiet"
    watch.set_alarm_state(AlarmName=WATCHED, StateValue="ALARM", StateReason="errors")
    described = pod.until("c", "InService")
    assert f"in ALARM: {WATCHED}" in described["FailureMessage"]


def test_an_upstream_that_cannot_be_asked_is_told_once_and_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, account: str
) -> None:
    server = RunningServer(tmp_path_factory.mktemp("away") / "data", "--upstream", "http://127.0.0.1:9")
    try:
        pod = HyperPod(server, account)
        updating(pod, WATCHED)
        said = f"alarm {WATCHED} is not known, and does not ring"
        eventually(lambda: said in story(pod, "c"), "the story tells")
        assert story(pod, "c").count(said) == 1
        assert pod.describe("c")["ClusterStatus"] == "SystemUpdating"
    finally:
        assert server.stop() == 0
