"""Cloud Control by unmodified boto3 and the AWS CLI: every operation, on every type, errors included."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.doors.asking import refusal
from tests.doors.cloud import CASES, Cloud, filled, group, patch
from tests.doors.shell import Shell
from tests.harness import REGION, eventually


@pytest.mark.parametrize(
    ("type_name", "sent", "read_only", "operations", "changed"), CASES, ids=[one[0] for one in CASES]
)
def test_what_was_sent_is_what_is_read(
    cloud: Cloud,
    type_name: str,
    sent: dict[str, Any],
    read_only: set[str],
    operations: list[dict[str, Any]],
    changed: dict[str, Any],
) -> None:
    sent, changed = filled(sent, cloud.account), filled(changed, cloud.account)
    identifier = cloud.made(type_name, **sent)
    model = cloud.get(type_name, identifier)
    assert {name: model[name] for name in model if name not in read_only} == sent
    assert read_only <= model.keys()
    assert cloud.listed(type_name).count(identifier) == 1

    assert cloud.update(type_name, identifier, *operations)["OperationStatus"] == "SUCCESS"
    after = {name: value for name, value in (sent | changed).items() if value is not None}
    model = cloud.get(type_name, identifier)
    assert {name: model[name] for name in model if name not in read_only} == after

    again = cloud.create(type_name, **sent)
    assert (again["OperationStatus"], again["ErrorCode"]) == ("FAILED", "AlreadyExists")
    assert type_name in again["StatusMessage"]

    assert cloud.delete(type_name, identifier)["OperationStatus"] == "SUCCESS"
    gone = cloud.delete(type_name, identifier)
    assert (gone["OperationStatus"], gone["ErrorCode"]) == ("FAILED", "NotFound")
    assert (
        refusal(cloud.api.get_resource, TypeName=type_name, Identifier=identifier).code == "ResourceNotFoundException"
    )
    assert identifier not in cloud.listed(type_name)


def test_a_cluster_lives_as_the_awscc_provider_has_it_live(cloud: Cloud) -> None:
    """Create, poll, get, update by patch, get, delete, get (facts/hyperpod.md §7)."""
    kind = "AWS::SageMaker::Cluster"
    sent = {
        "ClusterName": "training",
        "InstanceGroups": [group("worker", 1), group("controller", 1)],
        "Tags": [{"Key": "team", "Value": "a"}],
    }
    made = cloud.api.create_resource(TypeName=kind, DesiredState=json.dumps(sent))["ProgressEvent"]
    assert (made["Operation"], made["OperationStatus"]) == ("CREATE", "IN_PROGRESS")
    arn = made["Identifier"]
    held = refusal(cloud.api.delete_resource, TypeName=kind, Identifier=arn)
    assert held.code == "ConcurrentOperationException"
    assert cloud.ended(made)["OperationStatus"] == "SUCCESS"

    model = cloud.get(kind, arn)
    read_only = {"ClusterArn", "CreationTime", "ClusterStatus"}
    assert model.keys() - sent.keys() == read_only
    counts = [one.pop("CurrentCount") for one in model["InstanceGroups"]]
    assert (counts, {name: model[name] for name in sent}) == ([1, 1], sent)
    assert cloud.get(kind, json.dumps({"ClusterName": "training"}))["ClusterArn"] == arn

    fixed = refusal(
        cloud.api.update_resource,
        TypeName=kind,
        Identifier=arn,
        PatchDocument=json.dumps([patch("replace", "/InstanceGroups/0/InstanceType", "ml.m5.large")]),
    )
    assert fixed.code == "NotUpdatableException"
    assert "createOnlyProperties [/properties/InstanceGroups/*/InstanceType] cannot be updated" in fixed.message

    grown = cloud.update(
        kind,
        arn,
        patch("test", "/ClusterName", "training"),
        patch("replace", "/InstanceGroups/0/InstanceCount", 2),
        patch("remove", "/InstanceGroups/1"),
        patch("replace", "/Tags/0/Value", "b"),
    )
    assert (grown["Operation"], grown["OperationStatus"]) == ("UPDATE", "SUCCESS")
    after = cloud.get(kind, arn)
    assert after["InstanceGroups"] == [group("worker", 2) | {"CurrentCount": 2}]
    assert after["Tags"] == [{"Key": "team", "Value": "b"}]
    assert cloud.listed(kind) == [arn]

    gone = cloud.api.delete_resource(TypeName=kind, Identifier=arn)["ProgressEvent"]
    assert cloud.ended(gone)["OperationStatus"] == "SUCCESS"
    lost = refusal(cloud.api.get_resource, TypeName=kind, Identifier=arn)
    assert lost.code == "ResourceNotFoundException"
    assert "(HandlerErrorCode: NotFound)" in lost.message


def test_a_cluster_that_fails_has_not_stabilized(cloud: Cloud) -> None:
    source = cloud.server.bucket(f"bucket-{cloud.account}", {"on_create.sh": "exit 1"})
    broken = group("worker", 1, LifeCycleConfig={"SourceS3Uri": source, "OnCreate": "on_create.sh"})
    event = cloud.create("AWS::SageMaker::Cluster", ClusterName="broken", InstanceGroups=[broken])
    assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "NotStabilized")
    assert "Lifecycle scripts did not run successfully" in event["StatusMessage"]
    twice = cloud.create("AWS::SageMaker::Cluster", ClusterName="broken", InstanceGroups=[broken])
    assert twice["ErrorCode"] == "AlreadyExists"


def test_a_client_token_stands_for_one_request(cloud: Cloud) -> None:
    token = uuid4().hex
    asked: dict[str, Any] = {"TypeName": "AWS::Logs::LogGroup", "ClientToken": token}
    first = cloud.api.create_resource(**asked, DesiredState='{"LogGroupName": "/once"}')["ProgressEvent"]
    second = cloud.api.create_resource(**asked, DesiredState='{"LogGroupName": "/once"}')["ProgressEvent"]
    assert second == first
    other = refusal(cloud.api.create_resource, **asked, DesiredState='{"LogGroupName": "/twice"}')
    assert other.code == "ClientTokenConflictException"
    assert cloud.listed("AWS::Logs::LogGroup") == ["/once"]


def test_a_value_of_another_type_is_told_with_its_place(cloud: Cloud) -> None:
    groups = [group("a", 1), group("b", 1) | {"InstanceCount": "2"}]
    event = cloud.create("AWS::SageMaker::Cluster", ClusterName="c", InstanceGroups=groups)
    assert (event["ErrorCode"], event["StatusMessage"]) == (
        "InvalidRequest",
        "Model validation failed (#/InstanceGroups/1/InstanceCount: STRING_VALUE can not be converted to an Integer)",
    )


def test_nonsense_in_a_model_is_an_invalid_request(cloud: Cloud) -> None:
    nonsense: list[dict[str, Any]] = [{}, {"InstanceGroupName": []}, {"InstanceGroupName": {"a": 1}}]
    for one in nonsense:
        event = cloud.create("AWS::SageMaker::Cluster", ClusterName="c", InstanceGroups=[one])
        assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "InvalidRequest")
    topic = cloud.create("AWS::SNS::Topic", TopicName="t", DeliveryStatusLogging=[{"Protocol": []}], Tags=[{}])
    assert topic["ErrorCode"] == "InvalidRequest"
    rule = cloud.create("AWS::Events::Rule", Name="r", EventPattern={"source": ["x"]}, Targets=[{}])
    assert rule["ErrorCode"] == "InvalidRequest"
    assert cloud.listed("AWS::Events::Rule") == []


def test_a_name_that_was_not_sent_is_drawn(cloud: Cloud) -> None:
    identifier = cloud.made("AWS::SNS::Topic", FifoTopic=True)
    model = cloud.get("AWS::SNS::Topic", identifier)
    assert model["FifoTopic"] is True
    assert identifier == f"arn:aws:sns:{REGION}:{cloud.account}:{model['TopicName']}"
    assert model["TopicName"].endswith(".fifo")


def test_what_others_changed_is_told(cloud: Cloud) -> None:
    cloud.made("AWS::Logs::LogGroup", LogGroupName="/g")
    assert "RetentionInDays" not in cloud.get("AWS::Logs::LogGroup", "/g")
    cloud.client("logs").put_retention_policy(logGroupName="/g", retentionInDays=30)
    assert cloud.get("AWS::Logs::LogGroup", "/g")["RetentionInDays"] == 30


def test_requests_are_listed_by_what_they_are(cloud: Cloud) -> None:
    cloud.made("AWS::Logs::LogGroup", LogGroupName="/g")
    cloud.delete("AWS::Logs::LogGroup", "/g")
    cloud.delete("AWS::Logs::LogGroup", "/g")

    def found(**asked: Any) -> list[tuple[str, str]]:
        pages = cloud.api.get_paginator("list_resource_requests").paginate(
            ResourceRequestStatusFilter=asked, PaginationConfig={"PageSize": 1}
        )
        events = [one for page in pages for one in page["ResourceRequestStatusSummaries"]]
        return sorted((one["Operation"], one["OperationStatus"]) for one in events)

    everything = [("CREATE", "SUCCESS"), ("DELETE", "FAILED"), ("DELETE", "SUCCESS")]
    assert found() == everything
    assert found(Operations=["DELETE"]) == everything[1:]
    assert found(OperationStatuses=["SUCCESS"], Operations=["DELETE"]) == [("DELETE", "SUCCESS")]


def test_only_what_is_under_way_is_cancelled(cloud: Cloud) -> None:
    source = cloud.server.bucket(f"bucket-{cloud.account}", {"on_create.sh": "sleep 600"})
    slow = group("worker", 1, LifeCycleConfig={"SourceS3Uri": source, "OnCreate": "on_create.sh"})
    desired = json.dumps({"ClusterName": "slow", "InstanceGroups": [slow]})
    made = cloud.api.create_resource(TypeName="AWS::SageMaker::Cluster", DesiredState=desired)["ProgressEvent"]
    token = made["RequestToken"]
    assert (
        cloud.api.cancel_resource_request(RequestToken=token)["ProgressEvent"]["OperationStatus"] == "CANCEL_COMPLETE"
    )
    assert refusal(cloud.api.cancel_resource_request, RequestToken=token).code == "ValidationException"
    deleted = cloud.delete("AWS::SageMaker::Cluster", made["Identifier"])
    assert deleted["OperationStatus"] == "SUCCESS"


Refused = tuple[str, dict[str, Any], str, str]
GROUP = "AWS::Logs::LogGroup"
REFUSED: list[Refused] = [
    ("create_resource", {"TypeName": "AWS::EC2::VPC", "DesiredState": "{}"}, "UnsupportedActionException", "CREATE"),
    ("get_resource", {"TypeName": "My::Own::Thing", "Identifier": "x"}, "TypeNotFoundException", "cannot be found"),
    ("create_resource", {"TypeName": GROUP, "DesiredState": "nonsense"}, "InvalidRequestException", "JSON"),
    (
        "create_resource",
        {"TypeName": GROUP, "DesiredState": '{"Colour": "red"}'},
        "ValidationException",
        "Model validation failed (#: extraneous key [Colour] is not permitted)",
    ),
    (
        "create_resource",
        {"TypeName": GROUP, "DesiredState": '{"RetentionInDays": "7"}'},
        "ValidationException",
        "#/RetentionInDays: expected type: Integer, found: String",
    ),
    (
        "create_resource",
        {"TypeName": GROUP, "DesiredState": '{"Tags": ["x"]}'},
        "ValidationException",
        "#/Tags/0: expected type: JSONObject, found: String",
    ),
    ("create_resource", {"TypeName": GROUP, "DesiredState": '{"Arn": "x"}'}, "ValidationException", "readOnly"),
    (
        "create_resource",
        {"TypeName": "AWS::Events::EventBus", "DesiredState": "{}"},
        "ValidationException",
        "#: required key [Name] not found",
    ),
    (
        "update_resource",
        {"TypeName": GROUP, "Identifier": "/no", "PatchDocument": "[]"},
        "ResourceNotFoundException",
        "was not found",
    ),
    (
        "update_resource",
        {"TypeName": GROUP, "Identifier": "/kept", "PatchDocument": '[{"op": "remove", "path": "/Tags"}]'},
        "InvalidRequestException",
        "Invalid patch update",
    ),
    (
        "update_resource",
        {
            "TypeName": GROUP,
            "Identifier": "/kept",
            "PatchDocument": '[{"op": "replace", "path": "/LogGroupName", "value": "/other"}]',
        },
        "NotUpdatableException",
        "Invalid patch update: createOnlyProperties [/properties/LogGroupName] cannot be updated",
    ),
    (
        "update_resource",
        {
            "TypeName": GROUP,
            "Identifier": "/kept",
            "PatchDocument": '[{"op": "replace", "path": "/Arn", "value": "x"}]',
        },
        "NotUpdatableException",
        "Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated",
    ),
    ("get_resource", {"TypeName": GROUP, "Identifier": '{"Arn": "x"}'}, "InvalidRequestException", "Identifier"),
    ("get_resource_request_status", {"RequestToken": "no"}, "RequestTokenNotFoundException", "no"),
    ("cancel_resource_request", {"RequestToken": "no"}, "RequestTokenNotFoundException", "no"),
    ("list_resource_requests", {"NextToken": "no"}, "ValidationException", "nextToken"),
    ("list_resources", {"TypeName": GROUP, "NextToken": "no"}, "InvalidRequestException", "nextToken"),
]


@pytest.mark.parametrize(("operation", "request_", "code", "text"), REFUSED)
def test_refusals_are_in_aws_words(
    cloud: Cloud, operation: str, request_: dict[str, Any], code: str, text: str
) -> None:
    cloud.made(GROUP, LogGroupName="/kept")
    call: Callable[..., Any] = getattr(cloud.api, operation)
    refused = refusal(call, **request_)
    assert (refused.code, text in refused.message) == (code, True), refused


def test_what_a_service_refuses_is_an_invalid_request(cloud: Cloud) -> None:
    event = cloud.create("AWS::Events::Rule", Name="r")
    assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "InvalidRequest")
    assert "EventPattern or ScheduleExpression" in event["StatusMessage"]
    half = cloud.create("AWS::Events::Rule", Name="r", EventPattern="{}", Targets=[{"Id": "a", "Arn": "no arn"}])
    assert half["ErrorCode"] == "InvalidRequest"
    assert cloud.listed("AWS::Events::Rule") == []


def test_the_aws_cli_creates_and_reads(shell: Shell) -> None:
    topic = "--type-name AWS::SNS::Topic"
    made = shell.run("cloudcontrol", (f'create-resource {topic} --desired-state {{"TopicName":"cli"}}', ""))
    assert made["ProgressEvent"]["OperationStatus"] == "SUCCESS"
    read = shell.run("cloudcontrol", (f"get-resource {topic} --identifier {made['ProgressEvent']['Identifier']}", ""))
    assert json.loads(read["ResourceDescription"]["Properties"])["TopicName"] == "cli"
    shell.run("cloudcontrol", ("get-resource-request-status --request-token no", "RequestTokenNotFoundException"))


def test_the_image_of_a_group_is_told_as_it_was_sent_last(cloud: Cloud) -> None:
    """By an update of the cluster, as AWS's handler does it, or by one of its software; the last one holds."""
    first, second, third = (f"ami-{n:017x}" for n in (1, 2, 3))
    kind, api = "AWS::SageMaker::Cluster", cloud.client("sagemaker")
    arn = cloud.made(kind, ClusterName="c", InstanceGroups=[group("g", 0, ImageId=first)])

    def image() -> str:
        return str(cloud.get(kind, arn)["InstanceGroups"][0]["ImageId"])

    def rests() -> bool:
        return bool(api.describe_cluster(ClusterName="c")["ClusterStatus"] == "InService")

    assert image() == first
    api.update_cluster_software(ClusterName="c", ImageId=second)
    eventually(rests, "the software is updated")
    assert image() == second
    api.update_cluster(ClusterName="c", InstanceGroups=[group("g", 0, ImageId=first)])
    eventually(rests, "the cluster is updated")
    assert image() == second, "who sends again what the group was made with changes nothing"
    event = cloud.update(kind, arn, patch("replace", "/InstanceGroups/0/ImageId", third))
    assert event["OperationStatus"] == "SUCCESS"
    assert image() == third
