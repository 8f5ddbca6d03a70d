"""What botocore signs, we verify; what is changed afterwards, we refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.doors.signature import Credential, account_of, credential, verify
from tocsin.doors.wire import Request
from tocsin.model.errors import AwsError

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SECRETS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "123456789012": "test"}
QUICK = settings(max_examples=80, deadline=None, database=None)


@contextmanager
def clock(moment: datetime) -> Iterator[None]:
    """Botocore signs with the time it is told."""
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment.replace(tzinfo=None)):
        yield


def signed(
    method: str = "POST",
    path: str = "/",
    query: str = "",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    *,
    presigned: int | None = None,
    key: str = "AKIDEXAMPLE",
) -> Request:
    """A request as botocore signs it, in the header or (`presigned` seconds) in the query string."""
    keys = botocore.credentials.Credentials(key, SECRETS[key])
    url = f"http://127.0.0.1:4566{path}" + (f"?{query}" if query else "")
    sent = botocore.awsrequest.AWSRequest(method=method, url=url, data=body, headers=headers or {})
    with clock(NOW):
        if presigned is None:
            botocore.auth.SigV4Auth(keys, "events", "us-east-1").add_auth(sent)
        else:
            botocore.auth.SigV4QueryAuth(keys, "events", "us-east-1", expires=presigned).add_auth(sent)
    split = urlsplit(sent.url)
    found = {name.lower(): str(value) for name, value in sent.headers.items()}
    found["host"] = "127.0.0.1:4566"
    return Request(method, split.path, split.query, found, body)


PATHS = st.lists(
    st.sampled_from(["a", "b%20c", "..", ".", "", "x=y", "~z", "%2F", "a:b", "é".encode().hex()]), max_size=5
)
TEXT = st.text("abc XYZ-_.~/:=+&?%é中", max_size=8)
QUERIES = st.lists(st.tuples(TEXT, TEXT), max_size=5)


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs if name)


@QUICK
@given(method=st.sampled_from(["GET", "POST", "PUT"]), path=PATHS, pairs=QUERIES, body=st.binary(max_size=30),
       value=st.text("ab  \tc", max_size=8).map(str.strip), presigned=st.none() | st.integers(1, 3600))  # fmt: skip
def test_what_botocore_signs_is_verified(
    method: str, path: list[str], pairs: list[tuple[str, str]], body: bytes, value: str, presigned: int | None
) -> None:
    headers = {"X-Amz-Target": "AWSEvents.PutEvents", "X-Amz-Meta-A": value}
    if presigned is not None:
        body = b""
    request = signed(method, "/" + "/".join(path), encoded(pairs), body, headers, presigned=presigned)
    assert credential(request) == Credential("AKIDEXAMPLE", "us-east-1", "events", "20261123")
    verify(request, SECRETS, NOW)


def changed(request: Request, **fields: object) -> Request:
    parts = {name: getattr(request, name) for name in ("method", "path", "query", "headers", "body")}
    return Request(**{**parts, **fields})


def refused(request: Request, now: datetime = NOW) -> AwsError:
    with pytest.raises(AwsError) as caught:
        verify(request, SECRETS, now)
    return caught.value


def test_a_change_to_anything_signed_is_refused() -> None:
    request = signed(query="a=1")
    edits: list[dict[str, object]] = [
        {"method": "PUT"},
        {"path": "/x"},
        {"query": "a=2"},
        {"query": "a=1&b=2"},
        {"body": b"[]"},
        {"headers": {**request.headers, "host": "elsewhere"}},
    ]
    for edit in edits:
        error = refused(changed(request, **edit))
        assert (error.code, error.status) == ("InvalidSignatureException", 403)
        assert error.message.startswith("The request signature we calculated does not match the signature you")
    presigned = signed("GET", body=b"", presigned=60)
    assert refused(changed(presigned, query=presigned.query + "&x=1")).code == "InvalidSignatureException"


def test_the_stated_hash_of_a_body_is_checked() -> None:
    digest = "4" * 64
    assert "x-amz-content-sha256" in refused(signed(headers={"X-Amz-Content-SHA256": digest})).message


def test_a_body_may_stay_out_of_the_signature() -> None:
    request = signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    verify(changed(request, body=b"anything"), SECRETS, NOW)


def test_an_unknown_key_is_an_unrecognized_client() -> None:
    with pytest.raises(AwsError) as caught:
        verify(signed(), {"other": "x"}, NOW)
    assert (caught.value.code, caught.value.status) == ("UnrecognizedClientException", 403)
    assert caught.value.message == "The security token included in the request is invalid."


def test_an_unsigned_request_is_missing_its_authentication() -> None:
    request = Request("POST", "/", "", {}, b"")
    assert credential(request) is None
    error = refused(request)
    assert (error.code, error.message) == ("MissingAuthenticationTokenException", "Missing Authentication Token")


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_may_be_off_by_a_quarter_of_an_hour(minutes: int) -> None:
    verify(signed(), SECRETS, NOW + timedelta(minutes=minutes))


def test_a_signature_out_of_its_time_is_refused_in_the_words_of_aws() -> None:
    assert refused(signed(), NOW + timedelta(minutes=20)).message == (
        "Signature expired: 20261123T101500Z is now earlier than 20261123T102000Z (20261123T103500Z - 15 min.)"
    )
    assert refused(signed(), NOW - timedelta(minutes=20)).message == (
        "Signature not yet current: 20261123T101500Z is still later than 20261123T101000Z (20261123T095500Z + 15 min.)"
    )
    presigned = signed("GET", body=b"", presigned=60)
    assert refused(presigned, NOW + timedelta(seconds=61)).message.startswith("Signature expired: ")


SCOPE = "AKID/20261123/us-east-1/events/aws4_request"
DATE = {"x-amz-date": "20261123T101500Z"}
MALFORMED = [
    ("AWS4-HMAC-SHA256", "not a valid key=value pair"),
    ("AWS4-HMAC-SHA256 x", "'x' not a valid key=value pair (missing equal-sign) in Authorization header"),
    (f"AWS4-HMAC-SHA256 Credential={SCOPE}", ("Authorization header requires 'Signature' parameter. "
     "Authorization header requires 'SignedHeaders' parameter.")),
    ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=1", "Credential must have exactly 5"),
    ("AWS4-HMAC-SHA256 Credential=//us//aws4_request, SignedHeaders=host, Signature=1", "Credential must have"),
    ("AWS3 x=y", "Unsupported AWS 'algorithm': 'AWS3'."),
]  # fmt: skip


@pytest.mark.parametrize(("header", "message"), MALFORMED)
def test_a_malformed_signature_is_incomplete(header: str, message: str) -> None:
    with pytest.raises(AwsError) as caught:
        credential(Request("POST", "/", "", {"authorization": header, **DATE}, b""))
    assert (caught.value.code, caught.value.status) == ("IncompleteSignatureException", 400)
    assert message in caught.value.message


def test_a_signature_without_a_date_or_with_a_wrong_one_is_incomplete() -> None:
    header = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=1"
    for headers in ({}, {"x-amz-date": "today"}, {"x-amz-date": "20261399T101500Z"}):
        request = Request("POST", "/", "", {"authorization": header, **headers}, b"")
        with pytest.raises(AwsError, match=r"'X-Amz-Date'|basic format|no date"):
            verify(request, {"AKID": "s"}, NOW)


def test_a_query_signature_lacks_nothing_or_is_incomplete() -> None:
    request = Request("GET", "/", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a", {}, b"")
    with pytest.raises(AwsError, match="must include 'X-Amz-Signature'"):
        credential(request)


def test_a_scope_of_another_day_and_an_unsigned_host_are_refused() -> None:
    header = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=x-amz-date, Signature=1"
    request = Request("POST", "/", "", {"authorization": header, **DATE}, b"")
    with pytest.raises(AwsError, match="must be a 'SignedHeader'"):
        verify(request, {"AKID": "s"}, NOW)
    other = changed(request, headers={"authorization": header, "x-amz-date": "20261124T101500Z"})
    with pytest.raises(AwsError, match="Date in Credential scope does not match"):
        verify(other, {"AKID": "s"}, NOW)


def test_the_asymmetric_kind_names_no_region_and_is_not_checked() -> None:
    scope = "AKID/20261123/events/aws4_request"
    header = f"AWS4-ECDSA-P256-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
    request = Request("POST", "/", "", {"authorization": header, **DATE}, b"")
    assert credential(request) == Credential("AKID", "", "events", "20261123")
    assert refused(request).code == "InvalidSignatureException"


def test_another_scheme_is_no_signature() -> None:
    assert credential(Request("GET", "/", "", {"authorization": "Bearer abc"}, b"")) is None


def test_a_key_of_twelve_digits_is_an_account() -> None:
    verify(signed(key="123456789012"), SECRETS, NOW)
    assert account_of("123456789012") == "123456789012"
    assert account_of("AKIDEXAMPLE") is None
    assert account_of("12345678901٣") is None
