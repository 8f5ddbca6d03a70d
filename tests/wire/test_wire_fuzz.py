"""Nothing a client sends makes the wire raise anything but an AwsError."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.wire_models import WIRE, inputs, json_call, model_of, query_call
from tocsin.doors.signature import credential
from tocsin.doors.wire import Call, Request
from tocsin.doors.wire.tokens import decode
from tocsin.model.errors import AwsError

OPERATIONS = [
    ("events", "PutEvents"),
    ("events", "StartReplay"),
    ("logs", "PutLogEvents"),
    ("sagemaker", "CreateCluster"),
    ("ssm", "SendCommand"),
    ("sqs", "SendMessage"),
]

QUICK = settings(max_examples=60, deadline=None, database=None)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read_or_refused(call: Call, request: Request) -> AwsError | None:
    """The refusal, None where the input was read; anything else escapes and fails the test."""
    try:
        WIRE.read(call, request)
    except AwsError as error:
        return error
    return None


def tried(service: str, operation: str, body: bytes) -> None:
    call, request = json_call(service, operation, body)
    error = read_or_refused(call, request)
    if error is not None:
        response = WIRE.fail(call, request, error, "id")
        assert 400 <= response.status < 600
        assert orjson.loads(response.body)["__type"] == error.code


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUICK
@given(body=st.binary(max_size=40))
def test_any_bytes_are_an_input_or_an_error(service: str, operation: str, body: bytes) -> None:
    tried(service, operation, body)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUICK
@given(data=st.data())
def test_any_json_is_an_input_or_an_error(service: str, operation: str, data: st.DataObject) -> None:
    names = sorted(model_of(service).operation_model(operation).input_shape.members)
    body = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4))
    tried(service, operation, orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))


@pytest.mark.parametrize(("service", "operation"), OPERATIONS[:4])
@settings(max_examples=25, deadline=None, database=None)
@given(data=st.data())
def test_a_valid_input_with_one_wrong_member_is_an_input_or_an_error(
    service: str, operation: str, data: st.DataObject
) -> None:
    members = data.draw(inputs(service, operation))
    name = data.draw(st.sampled_from(sorted(model_of(service).operation_model(operation).input_shape.members)))
    members = {**members, name: data.draw(VALUES)}
    tried(service, operation, orjson.dumps(members, default=lambda value: 0))


@QUICK
@given(body=st.binary(max_size=60), query=st.text(max_size=30))
def test_any_form_is_an_input_or_an_error(body: bytes, query: str) -> None:
    head = b"Action=Publish&Version=2010-03-31&Message=m&"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = Request("POST", "/", query, headers, head + body)
    call, error = resolved_or_refused(request)
    if call is not None:
        error = read_or_refused(call, request)
    if error is not None:
        assert b"<Code>" in WIRE.fail(call, request, error, "id").body


def resolved_or_refused(request: Request) -> tuple[Call | None, AwsError | None]:
    try:
        return WIRE.resolve(request, "sns"), None
    except AwsError as error:
        return None, error


FORM_NAMES = st.lists(
    st.sampled_from(["Tags", "member", "Attributes", "entry", "1", "2", "²", "99999999999", "key", "value", ""]),
    max_size=6,
).map(".".join)


@QUICK
@given(form=st.dictionaries(FORM_NAMES, st.text(max_size=4), max_size=8))
def test_any_names_in_a_form_are_an_input_or_an_error(form: dict[str, str]) -> None:
    call, request = query_call("sns", "CreateTopic", {**form, "Name": "n"})
    error = read_or_refused(call, request)
    assert error is None or WIRE.fail(call, request, error, "id").status == 400


@QUICK
@given(target=st.text(max_size=30), name=st.text(max_size=10) | st.none())
def test_any_target_resolves_or_is_an_error(target: str, name: str | None) -> None:
    request = Request("POST", "/", "", {"x-amz-target": target}, b"{}")
    with pytest.raises(AwsError):
        WIRE.resolve(request, name)


@QUICK
@given(token=st.text(max_size=40))
def test_any_text_as_a_token_is_refused(token: str) -> None:
    with pytest.raises(AwsError):
        decode("ListRules", token)


@QUICK
@given(header=st.text(max_size=60), query=st.text(max_size=40))
def test_any_authorization_is_a_credential_or_an_error(header: str, query: str) -> None:
    for text in (header, f"AWS4-HMAC-SHA256 {header}", f"AWS4-HMAC-SHA256 Credential={header}"):
        assert claimed_or_refused(Request("POST", "/", "", {"authorization": text}, b"")) in CLAIMS
    assert claimed_or_refused(Request("POST", "/", f"X-Amz-Algorithm=x&{query}", {}, b"")) in CLAIMS


CLAIMS = (None, "IncompleteSignatureException")


def claimed_or_refused(request: Request) -> str | None:
    try:
        credential(request)
    except AwsError as error:
        return error.code
    return None


@pytest.mark.parametrize("depth", [500, 1000, 2000, 100_000])
def test_a_nesting_bomb_is_an_error(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        body = f'{{"Entries":{opening * depth}1{closing * depth}}}'.encode()
        call, request = json_call("events", "PutEvents", body)
        with pytest.raises(AwsError):
            WIRE.read(call, request)


def test_a_bomb_in_a_recursive_shape_is_an_error_or_an_input() -> None:
    opening, closing = b'{"SubExpressions":[', b"]}"
    body = b'{"Resource":"TrainingJob","SearchExpression":%s{}%s}' % (opening * 400, closing * 400)
    call, request = json_call("sagemaker", "Search", body)
    error = read_or_refused(call, request)
    assert error is None or error.status == 400
