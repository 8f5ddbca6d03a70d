"""An API destination's request, what its answer means, and the request for a token."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tocsin.core.connections import merged, only, secrets_in, shown
from tocsin.core.invocation import blotted, http_parameters, request, verdict
from tocsin.core.tokens import asked, read_token
from tocsin.model.connection import ApiDestination, Authorization, HttpParameters
from tocsin.model.names import Scope
from tocsin.model.outbound import DELIVERED, Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = b'{"id":"e","detail":{"text":"a b","n":1.50,"list":[1,2],"deep":{"x":null}}}'


def destination(endpoint: str = "https://h/p", method: str = "POST") -> ApiDestination:
    return ApiDestination(
        scope=Scope("1", "r"),
        name="d",
        uid="u",
        connection_arn="c",
        endpoint=endpoint,
        method=method,
        rate_per_s=1,
        created_ms=0,
        modified_ms=0,
    )


def url(endpoint: str, **given: Any) -> str:
    return request(destination(endpoint), {}, HttpParameters(**given), "{}", {}).url


@pytest.mark.parametrize(
    ("endpoint", "path", "expected"),
    [
        ("https://h/a/*/b/*", ("1", "2"), "https://h/a/1/b/2"),
        ("https://h/a/*", ("x/y?z#ü",), "https://h/a/x%2Fy%3Fz%23%C3%BC"),
        ("https://h/a/*/b/*", ("1",), "https://h/a/1/b/*"),
        ("https://h/a", ("1", "2"), "https://h/a"),
        ("https://h/*-*", ("*", "2"), "https://h/%2A-2"),
    ],
)
def test_path_values_fill_the_stars_in_order(endpoint: str, path: tuple[str, ...], expected: str) -> None:
    assert url(endpoint, path=path) == expected


def test_the_query_goes_behind_the_endpoints_own() -> None:
    assert url("https://h/p?a=1", query={"b": "x y"}) == "https://h/p?a=1&b=x+y"
    assert url("https://h/p#part", query={"b": "1"}) == "https://h/p?b=1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("as it is", "as it is"),
        ("$.detail.text", "a b"),
        ("$.detail.n", "1.50"),
        ("$.detail.list", "[1,2]"),
        ("$.detail.missing", ""),
        ("$5 a day", "$5 a day"),
    ],
)
def test_values_that_are_paths_are_followed_in_the_event(value: str, expected: str) -> None:
    spec = {"HttpParameters": {"PathParameterValues": [value], "HeaderParameters": {"h": value}}}
    assert http_parameters(spec, EVENT) == HttpParameters(path=(expected,), headers={"h": expected})


def test_headers_that_belong_to_the_connection_of_two_machines_are_nobodys_to_set() -> None:
    theirs = {"host": "x", "Content-Length": "1", "USER-AGENT": "x", "content-type": "text/plain", "X": "1"}
    made = request(destination(), {}, HttpParameters(headers=theirs), "{}", {"x": "authorized"}).headers
    assert made == {
        "User-Agent": "Amazon/EventBridge/ApiDestinations",
        "Range": "bytes=0-1048575",
        "content-type": "text/plain",
        "x": "authorized",
    }


def test_body_parameters_join_an_object_and_leave_anything_else_alone() -> None:
    parameters = {"InvocationHttpParameters": {"BodyParameters": [{"Key": "k", "Value": "v"}]}}
    bodies = [request(destination(), parameters, HttpParameters(), text, {}).body for text in ('{"n":1.50}', '"x"')]
    assert bodies == [b'{"n":1.50,"k":"v"}', b'"x"']


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_success(status: int) -> None:
    assert verdict(status, "", None, NOW) == DELIVERED


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (100, Verdict.NEVER, "SDK_CLIENT_ERROR"),
        (301, Verdict.NEVER, "SDK_CLIENT_ERROR"),
        (400, Verdict.NEVER, "SDK_CLIENT_ERROR"),
        (401, Verdict.AGAIN, "SDK_CLIENT_ERROR"),
        (403, Verdict.NEVER, "SDK_CLIENT_ERROR"),
        (407, Verdict.AGAIN, "SDK_CLIENT_ERROR"),
        (408, Verdict.NEVER, "SDK_CLIENT_ERROR"),
        (409, Verdict.AGAIN, "SDK_CLIENT_ERROR"),
        (429, Verdict.AGAIN, "THROTTLING"),
        (500, Verdict.AGAIN, "SDK_CLIENT_ERROR"),
        (599, Verdict.AGAIN, "SDK_CLIENT_ERROR"),
    ],
)
def test_other_answers_are_tried_again_as_aws_does(status: int, expected: Verdict, code: str) -> None:
    outcome = verdict(status, "why", "7", NOW)
    assert (outcome.verdict, outcome.code) == (expected, code)
    assert outcome.message.endswith(f"HTTP status code {status}: why")
    assert outcome.after_s == (7 if expected is Verdict.AGAIN else None)


def test_secrets_are_blotted_out_of_what_a_peer_says() -> None:
    parameters = {
        "BasicAuthParameters": {"Username": "u", "Password": "pw"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "a", "Value": "pw-long", "IsValueSecret": True}, {"Key": "b", "Value": "open"}]
        },
    }
    assert blotted("u pw pw-long open", secrets_in(parameters)) == "u *** *** open"


def test_an_update_goes_in_member_by_member_and_leaves_no_other_kind_behind() -> None:
    old = {"BasicAuthParameters": {"Username": "u", "Password": "p"}, "InvocationHttpParameters": {"a": [1]}}
    new = merged(old, {"ApiKeyAuthParameters": {"ApiKeyName": "n"}, "BasicAuthParameters": {"Username": "v"}})
    assert new["BasicAuthParameters"] == {"Username": "v", "Password": "p"}
    assert set(only(Authorization.API_KEY, new)) == {"ApiKeyAuthParameters", "InvocationHttpParameters"}


# Tokens.


def oauth(**given: Any) -> dict[str, Any]:
    return {
        "ClientParameters": {"ClientID": "id", "ClientSecret": "secret"},
        "AuthorizationEndpoint": "https://h/token",
        "HttpMethod": "POST",
    } | given


GRANT = {"grant_type": ["client_credentials"], "client_id": ["id"], "client_secret": ["secret"]}


def test_a_token_is_asked_for_by_a_form() -> None:
    what = asked(oauth())
    assert (what.method, what.url) == ("POST", "https://h/token")
    assert what.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs((what.body or b"").decode()) == GRANT


def test_a_get_asks_in_its_query() -> None:
    what = asked(oauth(HttpMethod="GET", AuthorizationEndpoint="https://h/token?a=1"))
    assert what.body is None
    assert parse_qs(urlsplit(what.url).query) == GRANT | {"a": ["1"]}


def test_a_server_that_wants_json_gets_it() -> None:
    header = [{"Key": "content-type", "Value": "application/json"}]
    body = [{"Key": "audience", "Value": "x"}, {"Key": "grant_type", "Value": "other"}]
    what = asked(oauth(OAuthHttpParameters={"HeaderParameters": header, "BodyParameters": body}))
    assert json.loads(what.body or b"") == {
        "grant_type": "other",
        "client_id": "id",
        "client_secret": "secret",
        "audience": "x",
    }


@pytest.mark.parametrize(
    ("answer", "header", "seconds"),
    [
        ('{"access_token":"t","token_type":"bearer","expires_in":3600}', "Bearer t", 3570),
        ('{"access_token":"t","token_type":"MAC"}', "MAC t", 3570),
        ('{"access_token":"t","expires_in":"120"}', "Bearer t", 90),
        ('{"access_token":"t","expires_in":5}', "Bearer t", 1),
    ],
)
def test_a_token_is_kept_until_shortly_before_it_expires(answer: str, header: str, seconds: float) -> None:
    token = read_token(answer.encode(), NOW)
    assert token is not None
    assert (token.header, (token.until - NOW).total_seconds()) == (header, seconds)


@pytest.mark.parametrize("answer", ["", "no", "[]", '{"access_token":""}', '{"access_token":"t","expires_in":"x"}'])
def test_what_holds_no_token_is_none(answer: str) -> None:
    assert read_token(answer.encode(), NOW) is None


def test_shown_parameters_hold_no_secret_of_oauth() -> None:
    http = {"BodyParameters": [{"Key": "k", "Value": "v", "IsValueSecret": True}]}
    told = shown({"OAuthParameters": oauth(OAuthHttpParameters=http)})
    assert told == {
        "OAuthParameters": {
            "AuthorizationEndpoint": "https://h/token",
            "HttpMethod": "POST",
            "ClientParameters": {"ClientID": "id"},
            "OAuthHttpParameters": {"BodyParameters": [{"Key": "k", "IsValueSecret": True}]},
        }
    }
