"""Whose request it is: the signature's, and without keys only this machine's own."""

from datetime import UTC, datetime

import pytest

from tocsin.doors.identity import Identity
from tocsin.doors.wire import Request
from tocsin.model.errors import AccessDenied, MissingAuthentication
from tocsin.model.names import Scope

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = Identity("111122223333", "us-west-2", {})
SIGNED = "AWS4-HMAC-SHA256 Credential={}/20260101/{}/events/aws4_request, SignedHeaders=host, Signature=00"


def request(host: str = "127.0.0.1:4566", query: str = "", authorization: str = "") -> Request:
    headers = {"host": host, "x-amz-date": "20260101T000000Z"}
    headers |= {"authorization": authorization} if authorization else {}
    return Request("POST", "/", query, headers, b"")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4566", "localhost", "localhost:1", "[::1]:4566", "127.9.9.9", "a.localhost"]
)
def test_this_machine_is_answered(host: str) -> None:
    assert OPEN.of(request(host), NOW)[0] == Scope("111122223333", "us-west-2")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:4566", "localhost.evil.example", ""]
)
def test_a_name_that_merely_leads_here_is_refused(host: str) -> None:
    with pytest.raises(AccessDenied):
        OPEN.of(request(host), NOW)


@pytest.mark.parametrize(
    ("key", "account"), [("999988887777", "999988887777"), ("AKIAIOSFODNN7EXAMPLE", "111122223333")]
)
def test_the_account_is_the_key_where_it_is_12_digits(key: str, account: str) -> None:
    scope, signed = OPEN.of(request(authorization=SIGNED.format(key, "eu-west-1")), NOW)
    assert scope == Scope(account, "eu-west-1")
    assert signed is not None
    assert signed.service == "events"


def test_our_own_api_shows_what_the_query_asks_for_only_where_nobody_signs() -> None:
    asked = request(query="account=999988887777&region=eu-west-1")
    assert OPEN.of_own(asked, NOW) == Scope("999988887777", "eu-west-1")
    with pytest.raises(MissingAuthentication):
        Identity("111122223333", "us-west-2", {"AKIA": "secret"}).of_own(asked, NOW)
