"""What a resource's model shows, what an update may change, and where requests stand."""

from typing import Any

import pytest

from tocsin.core.cloud.mapping import changed_tags
from tocsin.core.cloud.progress import (
    CLIENT_TOKEN_MS,
    cluster_standing,
    counts_for_token,
    drawn_name,
    failed,
    handler_code,
    past,
    refused,
)
from tocsin.core.cloud.schema import Schema, check_update, without_read_only
from tocsin.core.cloud.schemas import BUS, CLUSTER, LOG_GROUP, QUEUE, RULE, TOPIC
from tocsin.core.cloud.told import told
from tocsin.model.cloud import NotUpdatable, Operation, OperationStatus, ResourceRequest
from tocsin.model.errors import (
    Conflict,
    InternalFailure,
    NotImplementedYet,
    ResourceInUse,
    ResourceNotFound,
    ServiceUnavailable,
    Validation,
)
from tocsin.model.names import Scope

SCOPE = Scope("111122223333", "us-west-2")
ARN = "arn:aws:events:us-west-2:111122223333:event-bus/default"

# (schema, what is, what was sent, what is shown)
SHOWN: list[tuple[Schema, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (RULE, {"Name": "r", "State": "ENABLED", "EventBusName": "default"}, {"Name": "r"}, {"Name": "r"}),
    (RULE, {"State": "ENABLED"}, {"State": "ENABLED"}, {"State": "ENABLED"}),
    (RULE, {"State": "DISABLED"}, {}, {"State": "DISABLED"}),
    (RULE, {"State": "DISABLED"}, {"State": "ENABLED"}, {"State": "DISABLED"}),
    (RULE, {"EventBusName": "default"}, {"EventBusName": ARN}, {"EventBusName": ARN}),
    (RULE, {"EventPattern": '{"a": [1]}'}, {"EventPattern": {"a": [1]}}, {"EventPattern": {"a": [1]}}),
    (RULE, {"EventPattern": '{"a":[1]}'}, {"EventPattern": '{ "a": [1] }'}, {"EventPattern": '{ "a": [1] }'}),
    (RULE, {"EventPattern": '{"a": [1]}', "Name": "{}"}, {}, {"EventPattern": {"a": [1]}, "Name": "{}"}),
    (RULE, {"EventPattern": '{"a": [2]}'}, {"EventPattern": {"a": [1]}}, {"EventPattern": {"a": [2]}}),
    (RULE, {"Targets": [], "Tags": []}, {}, {}),
    (RULE, {"Targets": []}, {"Targets": []}, {"Targets": []}),
    (RULE, {"Targets": []}, {"Targets": [{"Id": "a", "Arn": "x"}]}, {"Targets": []}),
    (
        RULE,
        {"Targets": [{"Id": "a", "Arn": "x"}, {"Id": "b", "Arn": "y"}, {"Id": "c", "Arn": "z"}]},
        {"Targets": [{"Id": "b", "Arn": "y"}, {"Id": "a", "Arn": "other"}]},
        {"Targets": [{"Id": "b", "Arn": "y"}, {"Id": "a", "Arn": "x"}, {"Id": "c", "Arn": "z"}]},
    ),
    (BUS, {"Name": "b", "EventSourceName": "s"}, {"EventSourceName": "s"}, {"Name": "b"}),
    (LOG_GROUP, {"LogGroupClass": "STANDARD", "KmsKeyId": None}, {}, {}),
    (TOPIC, {"Subscription": [{"Protocol": "sqs", "Endpoint": "q"}]}, {}, {}),
    (QUEUE, {"VisibilityTimeout": 30, "SqsManagedSseEnabled": True}, {}, {}),
    (QUEUE, {"VisibilityTimeout": 30}, {"VisibilityTimeout": 30}, {"VisibilityTimeout": 30}),
    (
        CLUSTER,
        {"InstanceGroups": [{"InstanceGroupName": "g", "ThreadsPerCore": 2, "CurrentCount": 0, "ImageId": None}]},
        {"InstanceGroups": [{"InstanceGroupName": "g"}]},
        {"InstanceGroups": [{"InstanceGroupName": "g", "CurrentCount": 0}]},
    ),
    (
        CLUSTER,
        {"VpcConfig": {"Subnets": ["a", "b"], "SecurityGroupIds": ["c"]}},
        {"VpcConfig": {"Subnets": ["b", "a"], "SecurityGroupIds": ["c"]}},
        {"VpcConfig": {"Subnets": ["b", "a"], "SecurityGroupIds": ["c"]}},
    ),
    (
        BUS,
        {"Name": "b", "Description": None},
        {"Description": "", "Tags": []},
        {"Name": "b", "Description": "", "Tags": []},
    ),
    (BUS, {"Name": "b", "Description": "other"}, {"Description": ""}, {"Name": "b", "Description": "other"}),
    (BUS, {"Name": "b", "Description": None}, {"Description": "gone"}, {"Name": "b"}),
]


@pytest.mark.parametrize(("schema", "actual", "sent", "shown"), SHOWN)
def test_what_was_sent_is_shown_and_what_differs_as_it_is(
    schema: Schema, actual: dict[str, Any], sent: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert told(schema, actual, sent) == shown


def test_of_what_was_made_otherwise_everything_is_told() -> None:
    """Nobody waits for a certain model of it, and whoever takes it over shall find its defaults."""
    rule: dict[str, Any] = {"State": "ENABLED", "Description": None, "Targets": [], "EventPattern": '{"a": [1]}'}
    assert told(RULE, rule, None) == {"State": "ENABLED", "EventPattern": {"a": [1]}}
    bus = {"Name": "b", "EventSourceName": "s", "Tags": [{"Key": "k", "Value": "v"}]}
    assert told(BUS, bus, None) == {"Name": "b", "Tags": [{"Key": "k", "Value": "v"}]}


def groups(*members: dict[str, Any]) -> dict[str, Any]:
    return {"InstanceGroups": [{"InstanceGroupName": f"g{n}"} | one for n, one in enumerate(members)]}


# (before, operations' paths, after, the paths refused)
UPDATES: list[tuple[dict[str, Any], list[str], dict[str, Any], str]] = [
    (groups({"InstanceCount": 1}), ["/InstanceGroups/0/InstanceCount"], groups({"InstanceCount": 2}), ""),
    (groups({}), ["/InstanceGroups/-"], groups({}, {"InstanceType": "x"}), ""),
    (groups({}, {}), ["/InstanceGroups/1"], groups({}), ""),
    (
        groups({"InstanceType": "x"}),
        ["/InstanceGroups"],
        groups({"InstanceType": "y"}),
        "createOnlyProperties [/properties/InstanceGroups/*/InstanceType]",
    ),
    (
        groups({}),
        ["/InstanceGroups/0/InstanceGroupName"],
        groups({"InstanceGroupName": "other"}),
        "createOnlyProperties [/properties/InstanceGroups/*/InstanceGroupName]",
    ),
    (
        {"ClusterName": "a", "VpcConfig": {}},
        ["/ClusterName", "/VpcConfig"],
        {"ClusterName": "b"},
        "createOnlyProperties [/properties/ClusterName, /properties/VpcConfig]",
    ),
    (
        groups({"CurrentCount": 1}),
        ["/InstanceGroups/0/CurrentCount"],
        groups({"CurrentCount": 2}),
        "readOnlyProperties [/properties/InstanceGroups/*/CurrentCount]",
    ),
    (groups({"CurrentCount": 1}), ["/InstanceGroups"], groups({"CurrentCount": 2}, {"CurrentCount": 1}), ""),
    (groups({"CurrentCount": 1}), ["/InstanceGroups/0"], groups({}), ""),
    (groups({"CurrentCount": 1}), [""], groups({}), ""),
]


@pytest.mark.parametrize(("before", "paths", "after", "refused_"), UPDATES)
def test_what_is_fixed_cannot_be_updated(
    before: dict[str, Any], paths: list[str], after: dict[str, Any], refused_: str
) -> None:
    operations = [{"op": "add", "path": path} for path in paths]
    if not refused_:
        check_update(CLUSTER, before, after, operations)
        return
    with pytest.raises(NotUpdatable) as error:
        check_update(CLUSTER, before, after, operations)
    assert error.value.message == f"Invalid patch update: {refused_} cannot be updated"


def test_a_default_that_is_spelled_out_is_no_change() -> None:
    check_update(RULE, {"Name": "r"}, {"Name": "r", "EventBusName": "default"}, [])
    check_update(RULE, {"Name": "r", "EventBusName": "default"}, {"Name": "r"}, [])


def test_what_only_the_service_says_is_not_taken_as_sent() -> None:
    model = {"ClusterArn": "x"} | groups({"CurrentCount": 1, "InstanceCount": 1})
    assert without_read_only(CLUSTER, model) == groups({"InstanceCount": 1})


def test_tags_change_by_key() -> None:
    before = {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]}
    after = {"Tags": [{"Key": "c", "Value": "3"}, {"Key": "b", "Value": "4"}, {"Key": "d", "Value": "5"}]}
    assert changed_tags(before, after) == ({"b": "4", "d": "5"}, ["a"])
    assert changed_tags({}, {}) == ({}, [])


# (operation, ClusterStatus or "" when it is gone, FailureMessage, status, code)
STANDINGS = [
    (Operation.CREATE, "Creating", "", OperationStatus.IN_PROGRESS, ""),
    (Operation.CREATE, "InService", "", OperationStatus.SUCCESS, ""),
    (Operation.CREATE, "RollingBack", "why", OperationStatus.IN_PROGRESS, ""),
    (Operation.CREATE, "Failed", "why", OperationStatus.FAILED, "NotStabilized"),
    (Operation.CREATE, "Deleting", "", OperationStatus.FAILED, "NotStabilized"),
    (Operation.CREATE, "", "", OperationStatus.FAILED, "NotStabilized"),
    (Operation.UPDATE, "Updating", "", OperationStatus.IN_PROGRESS, ""),
    (Operation.UPDATE, "SystemUpdating", "", OperationStatus.IN_PROGRESS, ""),
    (Operation.UPDATE, "InService", "", OperationStatus.SUCCESS, ""),
    (Operation.UPDATE, "InService", "why", OperationStatus.FAILED, "NotStabilized"),
    (Operation.DELETE, "Deleting", "", OperationStatus.IN_PROGRESS, ""),
    (Operation.DELETE, "", "", OperationStatus.SUCCESS, ""),
    (Operation.DELETE, "InService", "", OperationStatus.FAILED, "NotStabilized"),
]


@pytest.mark.parametrize(("operation", "cluster", "why", "status", "code"), STANDINGS)
def test_an_operation_stands_where_its_cluster_stands(
    operation: Operation, cluster: str, why: str, status: OperationStatus, code: str
) -> None:
    seen = {"ClusterStatus": cluster, "FailureMessage": why} if cluster else None
    standing = cluster_standing(operation, seen)
    assert (standing.status, standing.code) == (status, code)
    assert why in standing.message or not code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ResourceNotFound("x"), "NotFound"),
        (ResourceInUse("x"), "AlreadyExists"),
        (Conflict("x"), "ResourceConflict"),
        (Validation("x"), "InvalidRequest"),
        (NotImplementedYet("x"), "GeneralServiceException"),
        (ServiceUnavailable("x"), "ServiceInternalError"),
        (InternalFailure("x"), "InternalFailure"),
    ],
)
def test_every_error_has_a_handlers_code(error: Any, code: str) -> None:
    assert handler_code(error) == code
    assert failed(error, "AWS::A::B", "id").code == code
    assert f"HandlerErrorCode: {code}" in refused(error, "AWS::A::B", "id").message


def request(asked_ms: int) -> ResourceRequest:
    return ResourceRequest(
        scope=SCOPE,
        token="t",
        type_name="AWS::A::B",
        operation=Operation.CREATE,
        status=OperationStatus.SUCCESS,
        asked_ms=asked_ms,
        digest="d",
    )


def test_client_tokens_stand_for_36_hours_and_requests_for_7_days() -> None:
    one = request(0)
    assert counts_for_token(one, CLIENT_TOKEN_MS - 1)
    assert not counts_for_token(one, CLIENT_TOKEN_MS)
    week_ms = 7 * 24 * 3_600_000
    assert (past([one], week_ms - 1), past([one], week_ms)) == ([], [one])


def test_names_are_drawn_from_the_request() -> None:
    token = "01234567-89ab-cdef-0123-456789abcdef"
    assert drawn_name({}, token) == "0123456789abcdef0123"
    assert drawn_name({"FifoQueue": True}, token) == "0123456789abcdef0123.fifo"
