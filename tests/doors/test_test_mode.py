"""Tocsin in the place where suites put moto's server: wiped between tests, and never made to wait."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.core.world import group_spec
from tests.harness import WAIT_S, RunningServer

OTHER = "999988887777"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("stand-in") / "data", "--test-mode")
    yield running
    assert running.stop() == 0


# A fixture as suites have it for moto: the environment points at the server, every test begins with nothing.


@pytest.fixture
def aws(stand_in: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    reset(stand_in.endpoint)
    yield stand_in.endpoint
    reset(stand_in.endpoint)


def reset(endpoint: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")) as answer:
        return json.load(answer)


def groups(*counts: int) -> list[dict[str, Any]]:
    return [group_spec(f"group-{number}", count) for number, count in enumerate(counts, 1)]


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_cluster_is_in_service_when_it_is_looked_at_and_gone_in_the_next_test(aws: str, time: str) -> None:
    client = boto3.session.Session().client("sagemaker")
    assert client.list_clusters()["ClusterSummaries"] == []
    client.create_cluster(ClusterName="mine", InstanceGroups=groups(1, 8))
    described = client.describe_cluster(ClusterName="mine")
    assert described["ClusterStatus"] == "InService"
    assert [group["CurrentCount"] for group in described["InstanceGroups"]] == [1, 8]
    client.delete_cluster(ClusterName="mine")
    assert client.list_clusters()["ClusterSummaries"] == []


def test_an_event_is_delivered_before_the_next_request_is_answered(aws: str) -> None:
    session = boto3.session.Session()
    events, queues, machines = (session.client(name) for name in ("events", "sqs", "sagemaker"))
    url = queues.create_queue(QueueName="states")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="states", EventPattern=json.dumps({"detail-type": [{"suffix": "Cluster State Change"}]}))
    events.put_targets(Rule="states", Targets=[{"Id": "queue", "Arn": arn}])
    machines.create_cluster(ClusterName="mine", InstanceGroups=groups(2))
    messages = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(message["Body"])["detail"]["ClusterStatus"] for message in messages]
    assert told == ["Creating", "InService"]


def test_a_reset_wipes_every_account_and_region_and_every_service(aws: str, stand_in: RunningServer) -> None:
    for account, region in (("111122223333", "us-west-2"), (OTHER, "eu-west-1")):
        stand_in.client("sqs", account, region).create_queue(QueueName="q")
        stand_in.client("logs", account, region).create_log_group(logGroupName="/g")
        events = stand_in.client("events", account, region)
        events.create_event_bus(Name="b")
        events.put_rule(Name="r", EventPattern='{"source":["x"]}')
        stand_in.client("sagemaker", account, region).create_cluster(ClusterName="c", InstanceGroups=groups(1))
    assert reset(aws) == {"status": "ok"}
    for account, region in (("111122223333", "us-west-2"), (OTHER, "eu-west-1")):
        assert "QueueUrls" not in stand_in.client("sqs", account, region).list_queues()
        assert stand_in.client("logs", account, region).describe_log_groups()["logGroups"] == []
        events = stand_in.client("events", account, region)
        assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default"]
        assert events.list_rules()["Rules"] == []
        assert stand_in.client("sagemaker", account, region).list_clusters()["ClusterSummaries"] == []


def test_nothing_of_it_is_kept_on_disk(aws: str, stand_in: RunningServer) -> None:
    boto3.session.Session().client("sqs").create_queue(QueueName="q")
    assert [path.name for path in stand_in.data_dir.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/moto-api/reset"), ("POST", "/moto-api/seed")])
def test_what_else_motos_server_has_there_is_refused_by_name(aws: str, method: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{aws}{path}", method=method))
    with caught.value as refusal:
        assert refusal.code == 404
        assert "POST /moto-api/reset" in json.load(refusal)["error"]


def test_a_simulated_node_is_online_for_systems_manager(aws: str) -> None:
    session = boto3.session.Session()
    session.client("sagemaker").create_cluster(ClusterName="mine", InstanceGroups=groups(2))
    told = session.client("ssm").describe_instance_information()["InstanceInformationList"]
    assert [one["PingStatus"] for one in told] == ["Online", "Online"]


def test_a_cloud_control_request_ends_with_its_cluster_whoever_asks(aws: str) -> None:
    """What others make of the cluster afterwards is none of its doing."""
    session = boto3.session.Session()
    cloud, api = session.client("cloudcontrol"), session.client("sagemaker")
    wanted = {"ClusterName": "mine", "InstanceGroups": groups(2)}
    cloud.create_resource(TypeName="AWS::SageMaker::Cluster", DesiredState=json.dumps(wanted))
    api.delete_cluster(ClusterName="mine")
    [told] = cloud.list_resource_requests()["ResourceRequestStatusSummaries"]
    assert (told["Operation"], told["OperationStatus"]) == ("CREATE", "SUCCESS")


def test_reset_auth_says_that_nobody_is_asked(aws: str) -> None:
    url = f"{aws}/moto-api/reset-auth"
    with urllib.request.urlopen(urllib.request.Request(url, b"inf", method="POST")) as answer:
        assert json.load(answer) == {"status": "ok", "PREVIOUS_INITIAL_NO_AUTH_ACTION_COUNT": "inf"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, b"0", method="POST"))
    with caught.value as refusal:
        assert refusal.code == 501
        assert "IAM" in json.load(refusal)["error"]


def test_data_json_tells_what_is_there_by_service(aws: str) -> None:
    boto3.session.Session().client("sqs").create_queue(QueueName="q")
    with urllib.request.urlopen(f"{aws}/moto-api/data.json") as answer:
        told = json.load(answer)
    assert [queue["name"] for queue in told["sqs"]["Queue"]] == ["q"]
    assert told["sagemaker"]["Cluster"] == []
    assert not {"Credentials", "JoinToken"} & {kind for kinds in told.values() for kind in kinds}


def test_without_test_mode_nobody_can_reset(server: RunningServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        reset(server.endpoint)
    caught.value.close()


def test_test_mode_is_refused_where_others_can_reach_it(tmp_path: Path) -> None:
    settings = tmp_path / "tocsin.toml"
    settings.write_text('host = "0.0.0.0"\n[access_keys]\nAKIATEST = "secret"\n')
    command = [sys.executable, "-m", "tocsin", "serve", "--test-mode", "--config", str(settings)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert ended.returncode == 2
    assert "test_mode" in ended.stderr
