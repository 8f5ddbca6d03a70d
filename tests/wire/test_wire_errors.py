"""What a wrong request is told, word for word; and how each protocol and service spells an error."""

from typing import Any
from xml.etree import ElementTree

import orjson
import pytest

from tests.wire.wire_models import WIRE, json_call, query_call, understood
from tocsin.doors.wire import Request
from tocsin.model.errors import (
    AwsError,
    InternalFailure,
    InvalidSignature,
    LimitExceeded,
    ResourceNotFound,
    ResourceNotFoundException,
    Throttling,
    UnrecognizedClient,
    Validation,
)


def refusal(service: str, operation: str, body: object) -> AwsError:
    call, request = json_call(service, operation, body)
    with pytest.raises(AwsError) as caught:
        WIRE.read(call, request)
    return caught.value


ENTRY = "PutEventsRequestEntry(time=null, source=a, resources=null, detailType=b, detail={}, eventBusName=null"
NULLS = "traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null"

SERIALIZATION: list[tuple[str, str, Any, str]] = [
    ("events", "PutRule", {"Name": 1}, "NUMBER_VALUE can not be converted to a String"),
    ("events", "PutRule", {"Name": 1.5}, "NUMBER_VALUE can not be converted to a String"),
    ("events", "PutRule", {"Name": True}, "TRUE_VALUE can not be converted to a String"),
    ("events", "PutRule", {"Name": False}, "FALSE_VALUE can not be converted to a String"),
    ("events", "PutRule", {"Name": []}, "Start of list found where not expected"),
    ("events", "PutRule", {"Name": {}}, "Start of structure or map found where not expected"),
    ("events", "ListRules", {"Limit": "1"}, "STRING_VALUE can not be converted to an Integer"),
    ("events", "ListRules", {"Limit": True}, "TRUE_VALUE can not be converted to an Integer"),
    ("events", "ListRules", {"Limit": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
    ("events", "ListRules", {"Limit": 2**31}, "2147483648 can not be converted to an Integer: out of range"),
    ("events", "PutTargets", {"Targets": "x"}, "Expected list or null"),
    ("events", "PutTargets", {"Targets": {}}, "Start of structure or map found where not expected"),
    ("events", "PutTargets", {"Targets": ["x"]}, "Unexpected field type"),
    ("events", "PutTargets", {"Targets": [[]]}, "Start of list found where not expected"),
    ("events", "PutEvents", {"Entries": [{"Time": "soon"}]}, "'soon' can not be converted to a Timestamp"),
    ("events", "PutEvents", {"Entries": [{"Time": 1e300}]}, "'1e+300' can not be converted to a Timestamp"),
    ("events", "PutEvents", {"Entries": [{"Time": True}]}, "TRUE_VALUE can not be converted to a Timestamp"),
    ("events", "PutEvents", [], "Start of list found where not expected"),
    ("events", "PutEvents", "x", "Unexpected field type"),
    ("logs", "CreateLogGroup", {"tags": []}, "Start of list found where not expected"),
    ("logs", "CreateLogGroup", {"tags": {"a": 1}}, "NUMBER_VALUE can not be converted to a String"),
    ("logs", "FilterLogEvents", {"startTime": 2**63}, f"{2**63} can not be converted to a Long: out of range"),
    ("logs", "FilterLogEvents", {"interleaved": "true"}, "STRING_VALUE can not be converted to a Boolean"),
    ("sqs", "SendMessage", {"MessageAttributes": {"a": {"BinaryValue": "!"}}}, "Invalid Base64 in a blob: "),
]


@pytest.mark.parametrize(("service", "operation", "body", "message"), SERIALIZATION)
def test_a_wrong_json_type_is_told_in_the_words_of_aws(
    service: str, operation: str, body: object, message: str
) -> None:
    error = refusal(service, operation, body)
    assert (error.code, error.status) == ("SerializationException", 400)
    assert error.message.startswith(message)


@pytest.mark.parametrize("body", [b"{", b"{]", b"nul", b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"\x00"])
def test_a_body_that_is_not_json_is_a_serialization_error(body: bytes) -> None:
    error = refusal("events", "PutEvents", body)
    assert error.code == "SerializationException"
    assert error.message.startswith("The request body is not valid JSON: ")


VALIDATION: list[tuple[str, str, Any, str, list[str]]] = [
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "!@#$@!#$", "Arn": "arn"}]},
        "ValidationException",
        [
            (
                "Value '!@#$@!#$' at 'targets.1.member.id' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"
            )
        ],
    ),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "a", "Arn": "arn"}, {"Id": "b" * 65, "Arn": ""}]},
        "ValidationException",
        [
            (
                f"Value '{'b' * 65}' at 'targets.2.member.id' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            ),
            (
                "Value '' at 'targets.2.member.arn' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ],
    ),
    (
        "events",
        "PutRule",
        {},
        "ValidationException",
        ["Value null at 'name' failed to satisfy constraint: Member must not be null"],
    ),
    (
        "events",
        "PutRule",
        {"Name": None, "State": "ON"},
        "ValidationException",
        [
            "Value null at 'name' failed to satisfy constraint: Member must not be null",
            (
                "Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: "
                "[ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]"
            ),
        ],
    ),
    (
        "events",
        "PutEvents",
        {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}] * 11},
        "ValidationException",
        [
            (
                f"Value '[{', '.join([f'{ENTRY}, {NULLS})'] * 11)}]' at 'entries' failed to satisfy constraint: "
                "Member must have length less than or equal to 10"
            )
        ],
    ),
    (
        "events",
        "RemoveTargets",
        {"Rule": "r", "Ids": ["ok", "not ok"]},
        "ValidationException",
        [
            (
                "Value '[ok, not ok]' at 'ids' failed to satisfy constraint: Member must satisfy constraint: "
                "[Member must have length less than or equal to 64, "
                "Member must have length greater than or equal to 1, "
                r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+]"
            )
        ],
    ),
    (
        "logs",
        "FilterLogEvents",
        {"limit": 10001},
        "InvalidParameterException",
        ["Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"],
    ),
    (
        "logs",
        "CreateLogGroup",
        {"logGroupName": "g", "tags": {"": "x"}},
        "InvalidParameterException",
        [
            (
                "Value '{=x}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: "
                "[Member must have length less than or equal to 128, "
                "Member must have length greater than or equal to 1, "
                r"Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$]"
            )
        ],
    ),
    (
        "sagemaker",
        "CreateCluster",
        {
            "ClusterName": "-",
            "InstanceGroups": [
                {
                    "InstanceCount": -1,
                    "InstanceGroupName": "g",
                    "InstanceType": "ml.p5.48xlarge",
                    "ExecutionRole": "arn:aws:iam::123456789012:role/r",
                }
            ],
        },
        "ValidationException",
        [
            (
                "Value '-' at 'clusterName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9])*"
            ),
            (
                "Value '-1' at 'instanceGroups.1.member.instanceCount' failed to satisfy constraint: "
                "Member must have value greater than or equal to 0"
            ),
        ],
    ),
    (
        "sqs",
        "SendMessage",
        {"QueueUrl": "q"},
        "MissingParameter",
        ["Value null at 'messageBody' failed to satisfy constraint: Member must not be null"],
    ),
]


@pytest.mark.parametrize(("service", "operation", "body", "code", "violations"), VALIDATION)
def test_all_violations_stand_in_one_sentence(
    service: str, operation: str, body: object, code: str, violations: list[str]
) -> None:
    error = refusal(service, operation, body)
    count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    assert (error.code, error.message) == (code, count + "; ".join(violations))


def test_a_secret_is_not_quoted() -> None:
    auth = {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "\n" * 3}}
    body = {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": auth}
    error = refusal("events", "CreateConnection", body)
    where = "Value at 'authParameters.apiKeyAuthParameters.apiKeyValue' failed to satisfy constraint: "
    assert error.message.startswith(f"1 validation error detected: {where}")


UNION = "Member must have exactly one of its members set: [ebsVolumeConfig, fsxLustreConfig, fsxOpenZfsConfig]"


@pytest.mark.parametrize(
    "members", [{}, {"EbsVolumeConfig": {}, "FsxLustreConfig": {"DnsName": "a", "MountName": "b"}}]
)
def test_a_union_has_exactly_one_member(members: dict[str, Any]) -> None:
    group = {
        "InstanceCount": 1,
        "InstanceGroupName": "g",
        "InstanceType": "ml.p5.48xlarge",
        "ExecutionRole": "arn:aws:iam::123456789012:role/r",
        "InstanceStorageConfigs": [members],
    }
    error = refusal("sagemaker", "CreateCluster", {"ClusterName": "c", "InstanceGroups": [group]})
    assert f"at 'instanceGroups.1.member.instanceStorageConfigs.1.member' failed to satisfy constraint: {UNION}" in (
        error.message
    )


QUERY = [
    ("CreateTopic", {}, "ValidationError", "1 validation error detected: Value null at 'name' failed"),
    ("Publish", {"Message": "m", "MessageAttributes.entry.1.Name": "a",
                 "MessageAttributes.entry.1.Value.DataType": "Binary",
                 "MessageAttributes.entry.1.Value.BinaryValue": "!"}, "MalformedInput", "'!' can not be converted"),
    ("ListSMSSandboxPhoneNumbers", {"MaxResults": "101"}, "InvalidParameter", "1 validation error detected: Value '1"),
    ("ListSMSSandboxPhoneNumbers", {"MaxResults": "x"}, "MalformedInput", "'x' can not be converted to a number"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "form", "code", "message"), QUERY)
def test_query_services_use_their_own_codes(operation: str, form: dict[str, str], code: str, message: str) -> None:
    call, request = query_call("sns", operation, form)
    with pytest.raises(AwsError) as caught:
        WIRE.read(call, request)
    assert caught.value.code == code
    assert caught.value.message.startswith(message)


class NotFound(AwsError):
    code = "NotFoundException"


class QueueDoesNotExist(AwsError):
    code = "QueueDoesNotExist"


SPELLINGS: list[tuple[str, str, AwsError, int, str]] = [
    ("events", "DescribeRule", ResourceNotFoundException("gone"), 400, "ResourceNotFoundException"),
    ("sagemaker", "DescribeCluster", ResourceNotFound("gone"), 400, "ResourceNotFound"),
    ("sagemaker", "DescribeCluster", Validation("gone"), 400, "ValidationException"),
    ("logs", "PutLogEvents", InternalFailure("gone"), 500, "InternalFailure"),
    ("sqs", "SendMessage", QueueDoesNotExist("gone"), 400, "AWS.SimpleQueueService.NonExistentQueue"),
    ("sns", "Publish", NotFound("gone"), 404, "NotFound"),
    ("sns", "Publish", Throttling("gone"), 400, "Throttling"),
    ("sts", "GetCallerIdentity", InvalidSignature("gone"), 403, "SignatureDoesNotMatch"),
    ("sts", "GetCallerIdentity", UnrecognizedClient("gone"), 403, "InvalidClientTokenId"),
    ("sts", "GetCallerIdentity", InternalFailure("gone"), 500, "InternalFailure"),
]


@pytest.mark.parametrize(("service", "operation", "error", "status", "code"), SPELLINGS)
def test_botocore_reads_code_and_message_of_every_error(
    service: str, operation: str, error: AwsError, status: int, code: str
) -> None:
    made = query_call if service in ("sns", "sts") else json_call
    call, request = made(service, operation, {})
    response = WIRE.fail(call, request, error, "the-request")
    found = understood(service, operation, response)
    assert response.status == status
    assert (found["Error"]["Code"], found["Error"]["Message"]) == (code, "gone")
    assert found["ResponseMetadata"]["RequestId"] == "the-request"


def test_the_message_member_is_spelled_as_the_model_has_it() -> None:
    call, request = json_call("sagemaker", "DescribeCluster", {})
    modelled = orjson.loads(WIRE.fail(call, request, ResourceNotFound("gone"), "id").body)
    assert modelled == {"__type": "ResourceNotFound", "Message": "gone"}
    plain = orjson.loads(WIRE.fail(call, request, Validation("bad"), "id").body)
    assert plain == {"__type": "ValidationException", "message": "bad"}


def test_further_fields_of_an_error_are_members_beside_the_message() -> None:
    call, request = json_call("logs", "PutLogEvents", {})
    response = WIRE.fail(call, request, LimitExceeded("late", expectedSequenceToken="7"), "id")
    found = {"__type": "LimitExceededException", "message": "late", "expectedSequenceToken": "7"}
    assert orjson.loads(response.body) == found
    assert ("x-amzn-ErrorType", "LimitExceededException") in response.headers


def test_a_query_error_is_xml_even_when_no_service_is_known() -> None:
    request = Request("POST", "/", "", {"content-type": "application/x-www-form-urlencoded"}, b"Action=Nope")
    with pytest.raises(AwsError) as caught:
        WIRE.resolve(request, None)
    root = ElementTree.fromstring(WIRE.fail(None, request, caught.value, "<id>\x01").body)
    assert [element.text for element in root.iter() if element.tag.endswith("Code")] == ["InvalidAction"]
    assert [element.text for element in root.iter() if element.tag.endswith("RequestId")] == ["<id>\ufffd"]
