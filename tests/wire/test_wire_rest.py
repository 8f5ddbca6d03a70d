"""REST-JSON where a property cannot say it: whole bodies, maps of headers, addresses, and how errors go out.

The models of services that are not served stand in for what chatbot's does not use.
"""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from tests.wire.wire_models import WIRE, model_of, serialized, understood
from tocsin.doors.wire import Call, Request
from tocsin.model.errors import AwsError, Conflict, InternalFailure, ResourceNotFoundException


def read(service: str, operation: str, members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What we read of what botocore sends."""
    request = replace(serialized(service, operation, members), **changes)
    return WIRE.read(WIRE.resolve(request, model_of(service).signing_name), request)


def written(service: str, operation: str, result: dict[str, Any]) -> dict[str, Any]:
    """What botocore reads of what we write."""
    found = understood(service, operation, WIRE.write(Call(service, operation, "rest-json"), result, "id"))
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def test_a_blob_that_is_the_whole_body_comes_as_it_is() -> None:
    members = {"FunctionName": "a:1", "InvocationType": "Event", "Payload": b"\x00\xff{"}
    assert read("lambda", "Invoke", members) == members


def test_an_empty_body_is_no_payload() -> None:
    assert read("lambda", "Invoke", {"FunctionName": "a", "Payload": b""}) == {"FunctionName": "a"}


ASSET = {"AssetId": "a", "DataSetId": "d", "RevisionId": "r"}


def test_a_text_that_is_the_whole_body_and_maps_of_headers_and_of_query_parameters() -> None:
    asked = {"QueryStringParameters": {"x y": "1&2", "z": ""}, "RequestHeaders": {"tone": "high"}, "Body": "grüß"}
    found = read("dataexchange", "SendApiAsset", ASSET | asked)
    headers = found.pop("RequestHeaders")
    assert found == ASSET | {name: value for name, value in asked.items() if name != "RequestHeaders"}
    assert headers["tone"] == "high"


def test_a_list_in_a_header_may_hold_commas() -> None:
    members = {"workflowName": "w", "uniqueIds": ["a,b", "a,", ",", "plain"]}
    assert read("entityresolution", "BatchDeleteUniqueId", members) == members


def test_a_greedy_label_takes_slashes_and_a_plain_one_an_encoded_slash() -> None:
    arn = "arn:aws:securityhub:us-west-2:111122223333:action/custom/a b"
    assert read("securityhub", "DeleteActionTarget", {"ActionTargetArn": arn}) == {"ActionTargetArn": arn}
    schedule = {"Name": "n", "GroupName": "g"}
    assert read("scheduler", "GetSchedule", schedule) == schedule
    tagged = {"ResourceArn": "arn:aws:scheduler:us-west-2:111122223333:schedule-group/a", "TagKeys": ["x", "y"]}
    assert read("scheduler", "UntagResource", tagged) == tagged


TEXT = "application/x-amz-json-1.1"
REFUSED = [
    ({"body": b"\xff"}, "The request body is not UTF-8"),
    ({"query": "a=%ff"}, "The query string cannot be read"),
    ({"query": "&".join(["a=b"] * 10_001)}, "The query string cannot be read"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_is_no_text_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AwsError, match=said) as caught:
        read("dataexchange", "SendApiAsset", ASSET, **changes)
    assert caught.value.code == "SerializationException"


MALFORMED = [
    (b"{", "The request body is not valid JSON"),
    (b"[]", "Start of list found where not expected"),
    (b'{"ConfigurationName": 1}', "NUMBER_VALUE can not be converted to a String"),
    (b'{"SnsTopicArns": "a"}', "Expected list or null"),
]


@pytest.mark.parametrize(("body", "said"), MALFORMED)
def test_a_body_of_another_shape_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(AwsError, match=said) as caught:
        read("chatbot", "CreateSlackChannelConfiguration", {}, body=body)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize("text", ["x", "1.5", "99999999999999999999", ""])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(AwsError, match="can not be converted to a number") as caught:
        read("scheduler", "ListSchedules", {}, query=f"MaxResults={text}")
    assert caught.value.code == "SerializationException"


def test_a_violation_is_told_in_chatbots_code() -> None:
    with pytest.raises(AwsError, match="2 validation errors detected: ") as caught:
        read("chatbot", "DescribeSlackChannelConfigurations", {"MaxResults": 101, "NextToken": "-"})
    assert caught.value.code == "InvalidParameterException"


# Addresses.

DESCRIBE = "/describe-slack-workspaces"


@pytest.mark.parametrize("signing_name", ["chatbot", None])
def test_method_and_path_call_an_operation_signed_or_not(signing_name: str | None) -> None:
    request = Request("POST", DESCRIBE, "", {}, b"{}")
    assert WIRE.resolve(request, signing_name) == Call("chatbot", "DescribeSlackWorkspaces", "rest-json")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", DESCRIBE), ("POST", f"{DESCRIBE}/"), ("POST", "/"), ("PUT", "/a")]
)
def test_an_address_that_is_no_operations_is_not_found(method: str, path: str) -> None:
    request = Request(method, path, "", {}, b"")
    with pytest.raises(AwsError, match=f"chatbot has no operation at {method} {path}") as caught:
        WIRE.resolve(request, "chatbot")
    assert (caught.value.code, caught.value.status) == ("UnknownOperationException", 404)


def test_an_unsigned_address_of_nothing_names_no_operation() -> None:
    with pytest.raises(AwsError, match="The request names no operation"):
        WIRE.resolve(Request("POST", "/no/such/place", "", {}, b""), None)


def test_a_form_signed_for_a_rest_service_is_no_query_call() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    call = WIRE.resolve(Request("POST", DESCRIBE, "Action=ListTopics", headers, b""), "chatbot")
    assert call.operation == "DescribeSlackWorkspaces"


# Answers.


def test_an_answer_is_spread_over_status_headers_and_body() -> None:
    result = {"StatusCode": 202, "FunctionError": "Unhandled", "ExecutedVersion": "7", "Payload": b"{}"}
    response = WIRE.write(Call("lambda", "Invoke", "rest-json"), result, "id")
    assert (response.status, response.body) == (202, b"{}")
    assert dict(response.headers)["X-Amz-Function-Error"] == "Unhandled"
    assert written("lambda", "Invoke", result) == result | {"Payload": "{}"}


def test_a_content_type_of_the_result_is_the_answers() -> None:
    result = {"ContentType": "text/yaml", "Content": b"a: 1", "VersionNumber": 3}
    response = WIRE.write(Call("appconfig", "CreateHostedConfigurationVersion", "rest-json"), result, "id")
    assert [value for name, value in response.headers if name.lower() == "content-type"] == ["text/yaml"]
    assert dict(response.headers)["Version-Number"] == "3"


def test_an_answer_without_content_has_none() -> None:
    response = WIRE.write(Call("chatbot", "DeleteSlackChannelConfiguration", "rest-json"), {}, "id")
    assert (response.status, response.body) == (204, b"")
    assert response.headers == (("x-amzn-RequestId", "id"),)


def test_a_member_the_model_does_not_name_is_our_mistake() -> None:
    for result in ({"Secret": 1}, {"ChannelConfiguration": {"Secret": 1}}):
        with pytest.raises(TypeError, match="'Secret'"):
            written("chatbot", "CreateSlackChannelConfiguration", result)


ERRORS = [
    (ResourceNotFoundException("gone"), 404, "ResourceNotFoundException", "Message"),
    (Conflict("twice"), 409, "ConflictException", "message"),
    (InternalFailure("oh"), 500, "InternalFailure", "message"),
]


@pytest.mark.parametrize(("error", "status", "code", "member"), ERRORS)
def test_an_error_has_its_code_in_a_header_and_its_message_as_the_model_spells_it(
    error: AwsError, status: int, code: str, member: str
) -> None:
    call = Call("chatbot", "UpdateSlackChannelConfiguration", "rest-json")
    response = WIRE.fail(call, Request("POST", "/", "", {}, b""), error, "id")
    assert response.status == status
    assert dict(response.headers)["x-amzn-ErrorType"] == code
    assert orjson.loads(response.body) == {member: error.message}
    assert understood("chatbot", "UpdateSlackChannelConfiguration", response)["Error"] == {
        "Code": code,
        "Message": error.message,
    }
