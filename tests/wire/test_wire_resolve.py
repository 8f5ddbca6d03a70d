"""Which operation a request calls, and what is said when it calls none."""

import subprocess
import sys

import pytest

from tests.wire.wire_models import SERVICES, WIRE, json_call, model_of, protocol_of, query_call, serialized
from tocsin.doors.wire import Call, Request, Wire
from tocsin.model.errors import AwsError

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def target(text: str) -> Request:
    return Request("POST", "/", "", {"x-amz-target": text}, b"")


def form(body: bytes) -> Request:
    return Request("POST", "/", "", FORM, body)


STS = b"Action=GetCallerIdentity&Version=2011-06-15"

CALLS = [
    (target("AWSEvents.PutEvents"), "events", Call("events", "PutEvents", "json")),
    (target("SageMaker.CreateTrainingJob"), None, Call("sagemaker", "CreateTrainingJob", "json")),
    (form(STS), "sts", Call("sts", "GetCallerIdentity", "query")),
    (form(STS), None, Call("sts", "GetCallerIdentity", "query")),
    (form(b"Action=ListTopics&Version=2010-03-31"), None, Call("sns", "ListTopics", "query")),
    (form(b"Action=ListQueues&Version=2012-11-05"), "sqs", Call("sqs", "ListQueues", "query")),
    (Request("GET", "/", STS.decode(), {}, b""), "sts", Call("sts", "GetCallerIdentity", "query")),
]


@pytest.mark.parametrize(("request_", "signing_name", "call"), CALLS)
def test_a_request_calls_its_operation(request_: Request, signing_name: str | None, call: Call) -> None:
    assert WIRE.resolve(request_, signing_name) == call


REFUSALS = [
    (target("AWSEvents.Nope"), None, "UnknownOperationException", "events has no operation 'Nope'."),
    (target("AWSEvents"), None, "UnknownOperationException", "X-Amz-Target is not <service>.<operation>: 'AWSEvents'"),
    (target(""), None, "UnknownOperationException", "X-Amz-Target is not"),
    (target("DynamoDB_20120810.ListTables"), None, "NotImplemented", "The service that X-Amz-Target 'DynamoDB_"),
    (form(b"Version=2011-06-15"), "sts", "MissingAction", "The request must contain the parameter Action."),
    (form(b""), None, "MissingAction", "The request must contain the parameter Action."),
    (form(b"Action=Nope&Version=1"), "sts", "InvalidAction", "Could not find operation Nope for version 1"),
    (form(b"Action=ListUsers&Version=2010-05-08"), "iam", "NotImplemented", "The service 'iam' is not served here."),
    (form(b"Action=PutRule"), "events", "InvalidAction", "Could not find operation PutRule for version none"),
    (form(b"\xff=%ff"), None, "MalformedInput", "The request is not a form: "),
    (form(b"&".join([b"a=b"] * 10_001)), None, "MalformedInput", "The request is not a form: "),
    (Request("POST", "/", "", {"smithy-protocol": "rpc-v2-cbor"}, b"\xa0"), "logs", "NotImplemented", "The protocol"),
    (Request("GET", "/", "", {}, b""), None, "UnknownOperationException", "The request names no operation"),
    (Request("PUT", "/b/k", "", {}, b""), "s3", "NotImplemented", "The service 's3' is not served here."),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "signing_name", "code", "message"), REFUSALS)
def test_a_request_for_nothing_served_is_told_so(
    request_: Request, signing_name: str | None, code: str, message: str
) -> None:
    with pytest.raises(AwsError) as caught:
        WIRE.resolve(request_, signing_name)
    assert caught.value.code == code
    assert caught.value.message.startswith(message)
    assert WIRE.fail(None, request_, caught.value, "id").status == caught.value.status


def test_an_empty_body_is_an_empty_input() -> None:
    call, request = json_call("events", "ListRules", b"")
    assert WIRE.read(call, request) == {}


def test_members_the_model_does_not_name_and_nulls_are_left_out() -> None:
    call, request = json_call("events", "ListRules", {"NamePrefix": "a", "Nope": {"x": []}, "Limit": None})
    assert WIRE.read(call, request) == {"NamePrefix": "a"}


def test_an_integer_may_come_with_a_fraction_of_nothing() -> None:
    call, request = json_call("events", "ListRules", b'{"Limit":1.0}')
    limit = WIRE.read(call, request)["Limit"]
    assert (limit, type(limit)) == (1, int)


def test_a_result_with_a_member_the_model_does_not_name_is_our_mistake() -> None:
    call, _ = json_call("events", "ListRules", {})
    with pytest.raises(TypeError, match="'Secret' that the model's ListRulesResponse does not name"):
        WIRE.write(call, {"Rules": [], "Secret": 1}, "id")
    call, _ = query_call("sns", "ListTopics", {})
    with pytest.raises(TypeError, match="'Secret' that the model's ListTopicsResponse does not name"):
        WIRE.write(call, {"Secret": 1}, "id")


@pytest.mark.parametrize("result", [{"Rules": "x"}, {"Rules": [1]}, {"NextToken": 1}, {"Rules": [{"Name": b"x"}]}])
def test_a_result_of_the_wrong_type_is_our_mistake(result: dict[str, object]) -> None:
    call, _ = json_call("events", "ListRules", {})
    with pytest.raises(TypeError, match="a result holds"):
        WIRE.write(call, result, "id")


def test_an_operation_without_output_answers_an_empty_body() -> None:
    call, _ = json_call("events", "DeleteRule", {})
    assert WIRE.write(call, {}, "id").body == b""
    with pytest.raises(TypeError, match="DeleteRule has no output"):
        WIRE.write(call, {"x": 1}, "id")


def test_none_members_of_a_result_are_left_out() -> None:
    call, _ = json_call("events", "ListRules", {})
    assert WIRE.write(call, {"Rules": [{"Name": "a", "Arn": None}], "NextToken": None}, "id").body == (
        b'{"Rules":[{"Name":"a"}]}'
    )


def test_a_query_answer_has_its_wrapper_and_request_id() -> None:
    call = WIRE.resolve(serialized("sts", "GetCallerIdentity", {}), "sts")
    body = WIRE.write(call, {"Account": "123456789012", "Arn": "a&b"}, "id").body.decode()
    assert body == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<Account>123456789012</Account><Arn>a&amp;b</Arn></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_starting_up_imports_no_botocore_and_reads_no_whole_model() -> None:
    code = (
        "import sys; from tocsin.doors.wire import Wire; wire = Wire(('events', 'sagemaker', 'sts'));"
        "assert not [name for name in sys.modules if name.startswith('botocore')];"
        "assert all('model' not in vars(s) for s in wire._directory.services.values())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_service_without_a_model_is_named() -> None:
    with pytest.raises(LookupError, match="'nope'"):
        Wire(("nope",))


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_of_a_service_compiles(service: str) -> None:
    protocol = "query" if protocol_of(service) == "query" else "json"
    for operation in model_of(service).operation_names:
        call = Call(service, operation, protocol)
        request = serialized(service, operation, {})
        assert read_or_refused(call, request) in (None, 400)
        assert WIRE.write(call, {}, "id").status == 200


def read_or_refused(call: Call, request: Request) -> int | None:
    try:
        WIRE.read(call, request)
    except AwsError as error:
        return error.status
    return None
