"""API destinations and connections through boto3, against a real HTTP server on this machine."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.doors.aims import API_KEY, Outside
from tests.doors.asking import refused
from tests.harness import REGION, eventually
from tests.peer import Answer, HttpPeer

BASIC = {"BasicAuthParameters": {"Username": "me", "Password": "pass-word"}}

# Requests.


def test_an_event_is_posted_as_aws_does(outside: Outside) -> None:
    outside.target(outside.destine())
    event_id = outside.put('{"n":1}')
    [seen] = outside.peer.at("/hook")
    assert (seen.method, json.loads(seen.body)["id"], json.loads(seen.body)["detail"]) == ("POST", event_id, {"n": 1})
    assert seen.headers["User-Agent"] == "Amazon/EventBridge/ApiDestinations"
    assert seen.headers["Range"] == "bytes=0-1048575"
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"
    assert seen.headers["X-Key"] == "key-value"
    assert " " not in seen.body


def test_basic_authorization_is_a_header(outside: Outside) -> None:
    outside.target(outside.destine(connection=outside.connect(kind="BASIC", parameters=BASIC)))
    outside.put()
    [seen] = outside.peer.at("/hook")
    assert seen.headers["Authorization"] == "Basic " + base64.b64encode(b"me:pass-word").decode()


def test_path_query_and_headers_come_from_target_and_connection(outside: Outside) -> None:
    http = {
        "HeaderParameters": [{"Key": "X-Whose", "Value": "connection"}, {"Key": "X-Secret", "Value": "s"}],
        "QueryStringParameters": [{"Key": "q", "Value": "connection"}],
        "BodyParameters": [{"Key": "added", "Value": "by connection"}],
    }
    connection = outside.connect(parameters=API_KEY | {"InvocationHttpParameters": http})
    outside.target(
        outside.destine("/of/*/and/*?own=1", connection=connection),
        HttpParameters={
            "PathParameterValues": ["a/b c", "$.detail.n"],
            "HeaderParameters": {"X-Whose": "target", "X-Target": "$.source", "User-Agent": "me"},
            "QueryStringParameters": {"q": "target", "t": "$.detail.text"},
        },
    )
    outside.put('{"n":7,"text":"ä&"}')
    [seen] = outside.peer.at("/of/a%2Fb%20c/and/7")
    assert parse_qs(seen.query) == {"own": ["1"], "q": ["connection"], "t": ["ä&"]}
    assert (seen.headers["X-Whose"], seen.headers["X-Target"], seen.headers["X-Secret"]) == (
        "connection",
        "my.app",
        "s",
    )
    assert seen.headers["User-Agent"] == "Amazon/EventBridge/ApiDestinations"
    assert json.loads(seen.body)["added"] == "by connection"


def test_a_target_is_sent_what_its_transformation_makes_by_the_method_it_asks_for(outside: Outside) -> None:
    outside.target(outside.destine(HttpMethod="PUT"), Input='{"a":[1]}')
    outside.put()
    [seen] = outside.peer.at("/hook")
    assert (seen.method, seen.body) == ("PUT", '{"a":[1]}')


def test_a_get_has_no_body(outside: Outside) -> None:
    outside.target(outside.destine(HttpMethod="GET"))
    outside.put()
    [seen] = outside.peer.at("/hook")
    assert (seen.method, seen.body) == ("GET", "")


# OAuth.


def oauth(peer: HttpPeer, **http: Any) -> dict[str, Any]:
    return {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "client", "ClientSecret": "client-secret"},
            "AuthorizationEndpoint": f"{peer.url}/token",
            "HttpMethod": "POST",
            "OAuthHttpParameters": http,
        }
    }


def test_a_token_is_fetched_once_used_and_fetched_anew_when_it_is_not_taken(outside: Outside) -> None:
    peer = outside.peer
    peer.answers["/token"] = [Answer(body=json.dumps({"access_token": f"t{n}", "expires_in": 3600})) for n in (1, 2)]
    peer.answers["/hook"] = [Answer(), Answer(), Answer(status=401), Answer()]
    scope = {"BodyParameters": [{"Key": "scope", "Value": "all", "IsValueSecret": False}]}
    connection = outside.connect(kind="OAUTH_CLIENT_CREDENTIALS", parameters=oauth(peer, **scope))
    eventually(lambda: outside.state() == "AUTHORIZED", "a token")
    [asked] = peer.at("/token")
    assert parse_qs(asked.body) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client"],
        "client_secret": ["client-secret"],
        "scope": ["all"],
    }
    outside.target(outside.destine(connection=connection))
    for times in (1, 2, 3):
        outside.put()
        peer.at("/hook", times)
    seen = peer.at("/hook", 4)
    assert [one.headers["Authorization"] for one in seen] == ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"]
    assert seen[2].body == seen[3].body


def test_a_connection_whose_token_is_refused_says_why_and_is_not_used(outside: Outside) -> None:
    outside.peer.answers["/token"] = [Answer(status=401, body='{"error":"invalid client-secret"}')]
    arn = outside.connect(kind="OAUTH_CLIENT_CREDENTIALS", parameters=oauth(outside.peer))
    eventually(lambda: outside.state() == "DEAUTHORIZED", "a refusal")
    reason = outside.events.describe_connection(Name="c")["StateReason"]
    assert "HTTP status code 401" in reason
    assert "client-secret" not in reason
    outside.destine(connection=arn)
    assert outside.events.describe_api_destination(Name="d")["ApiDestinationState"] == "INACTIVE"


# What goes wrong.


PASSING = {f"/{status}": Answer(status=status) for status in (401, 407, 409, 429, 500, 503)} | {
    f"/raw{number}": Answer(raw=raw)
    for number, raw in enumerate((b"garbage\r\n\r\n", b"HTTP/1.1 2OO what\r\n\r\n", b""))
}


def test_a_failure_that_may_pass_is_tried_again_with_the_same_event(outside: Outside) -> None:
    connection = outside.connect()
    for path, answer in PASSING.items():
        name = path.strip("/")
        outside.peer.answers[path] = [answer, Answer()]
        outside.events.put_rule(Name=name, EventPattern='{"source":["my.app"]}')
        outside.target(outside.destine(path, name, connection), name)
    event_id = outside.put()
    for path in PASSING:
        assert [json.loads(one.body)["id"] for one in outside.peer.at(path, 2)] == [event_id, event_id]


@pytest.mark.parametrize("status", [302, 400, 403, 404, 413])
def test_a_failure_that_will_not_pass_goes_to_the_dead_letter_queue_at_once(outside: Outside, status: int) -> None:
    url, dlq = outside.queue("dlq")
    answer = Answer(status=status, headers={"Location": f"{outside.peer.url}/elsewhere"}, body="no, key-value")
    outside.peer.answers["/hook"] = [answer]
    arn = outside.destine()
    outside.target(arn, DeadLetterConfig={"Arn": dlq}, Input='"not this"')
    event_id = outside.put()
    message = outside.received(url)
    told = {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["id"] == event_id
    assert told["TARGET_ARN"] == arn
    assert told["RULE_ARN"].endswith(":rule/rule")
    assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"]) == ("SDK_CLIENT_ERROR", "0")
    assert told["ERROR_MESSAGE"].endswith(f"HTTP status code {status}: no, ***")
    assert "EXHAUSTED_RETRY_CONDITION" not in told
    assert len(outside.peer.seen) == 1


def test_whatever_a_peer_says_its_dead_letter_is_kept(outside: Outside) -> None:
    url, dlq = outside.queue("dlq")
    outside.peer.answers["/hook"] = [Answer(status=400, body="\x1b[31m\x00bad\x07")]
    outside.target(outside.destine(), DeadLetterConfig={"Arn": dlq})
    outside.put()
    told = outside.received(url)["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert told.endswith("HTTP status code 400:  [31m bad")


def test_retries_that_are_used_up_are_told(outside: Outside) -> None:
    url, dlq = outside.queue("dlq")
    outside.peer.answers["/hook"] = [Answer(status=500)]
    outside.target(outside.destine(), DeadLetterConfig={"Arn": dlq}, RetryPolicy={"MaximumRetryAttempts": 1})
    outside.put()
    told = {name: one["StringValue"] for name, one in outside.received(url)["MessageAttributes"].items()}
    assert told["RETRY_ATTEMPTS"] == "1"
    assert told["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert len(outside.peer.at("/hook")) == 2


def test_a_peer_that_hangs_times_out_and_delays_nobody(outside: Outside) -> None:
    url, dlq = outside.queue("dlq")
    outside.peer.answers["/hangs"] = [Answer(hangs=True)]
    connection = outside.connect()
    hangs = outside.destine("/hangs", "hangs", connection)
    outside.events.put_targets(
        Rule="rule",
        Targets=[
            {
                "Id": "1",
                "Arn": hangs,
                "RetryPolicy": {"MaximumRetryAttempts": 0},
                "DeadLetterConfig": {"Arn": dlq},
            },
            {"Id": "2", "Arn": outside.destine("/hook", "works", connection)},
        ],
    )
    for _ in range(20):
        outside.put()
    outside.peer.at("/hook", 20)
    told = {name: one["StringValue"] for name, one in outside.received(url)["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == "TIMEOUT"


def test_a_destination_that_is_gone_is_a_dead_letter(outside: Outside) -> None:
    url, dlq = outside.queue("dlq")
    outside.target(outside.destine(), DeadLetterConfig={"Arn": dlq})
    outside.events.delete_api_destination(Name="d")
    outside.put()
    assert outside.received(url)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_deauthorized_connection_holds_deliveries_until_it_is_authorized_again(outside: Outside) -> None:
    outside.target(outside.destine())
    answer = outside.events.deauthorize_connection(Name="c")
    assert answer["ConnectionState"] == "DEAUTHORIZED"
    assert outside.events.describe_api_destination(Name="d")["ApiDestinationState"] == "INACTIVE"
    outside.put()
    updated = outside.events.update_connection(Name="c", AuthParameters=API_KEY)
    assert updated["ConnectionState"] == "AUTHORIZED"
    outside.peer.at("/hook")


# The operations.


def test_a_connection_is_described_without_its_secrets(outside: Outside) -> None:
    http = {"HeaderParameters": [{"Key": "a", "Value": "shown"}, {"Key": "b", "Value": "hid", "IsValueSecret": True}]}
    arn = outside.connect(kind="BASIC", parameters=BASIC | {"InvocationHttpParameters": http})
    described = outside.events.describe_connection(Name="c")
    assert described["ConnectionArn"] == arn
    assert arn.startswith(f"arn:aws:events:{REGION}:{outside.account}:connection/c/")
    assert described["SecretArn"].startswith(f"arn:aws:secretsmanager:{REGION}:{outside.account}:secret:")
    assert (described["ConnectionState"], described["AuthorizationType"]) == ("AUTHORIZED", "BASIC")
    assert described["AuthParameters"] == {
        "BasicAuthParameters": {"Username": "me"},
        "InvocationHttpParameters": {
            "HeaderParameters": [
                {"Key": "a", "Value": "shown"},
                {"Key": "b", "IsValueSecret": True},
            ]
        },
    }
    assert described["LastAuthorizedTime"] == described["CreationTime"]


def test_secrets_are_in_no_log(outside: Outside) -> None:
    for path, status in (("/400", 400), ("/500", 500)):
        outside.peer.answers[path] = [Answer(status=status, body="you sent key-value")]
    connection = outside.connect()
    outside.target(outside.destine("/400", "d4", connection))
    outside.put()
    outside.peer.at("/400")
    log = outside.server.errors
    eventually(lambda: f"{outside.account}:rule/rule dropped" in log.read_text(), "the dropped delivery in the log")
    assert "key-value" not in log.read_text()


def test_an_update_changes_what_it_names(outside: Outside) -> None:
    outside.connect(kind="BASIC", parameters=BASIC)
    outside.events.update_connection(
        Name="c", Description="new", AuthParameters={"BasicAuthParameters": {"Username": "you"}}
    )
    described = outside.events.describe_connection(Name="c")
    assert described["Description"] == "new"
    assert described["AuthParameters"] == {"BasicAuthParameters": {"Username": "you"}}
    outside.events.update_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=API_KEY)
    assert outside.events.describe_connection(Name="c")["AuthParameters"] == {
        "ApiKeyAuthParameters": {"ApiKeyName": "X-Key"}
    }


def test_parameters_of_another_authorization_are_refused(outside: Outside) -> None:
    with refused("ValidationException", "ApiKeyAuthParameters must be specified"):
        outside.connect(kind="API_KEY", parameters=BASIC)


def test_connections_and_destinations_that_are_not_there(outside: Outside) -> None:
    events = outside.events
    absent = "Failed to describe the connection(s). Connection 'x' does not exist."
    for call in (events.describe_connection, events.update_connection, events.delete_connection):
        with refused("ResourceNotFoundException", absent):
            call(Name="x")
    absent = "Failed to describe the api-destination(s). An api-destination 'x' does not exist."
    for call in (events.describe_api_destination, events.update_api_destination, events.delete_api_destination):
        with refused("ResourceNotFoundException", absent):
            call(Name="x")


def test_names_are_used_once(outside: Outside) -> None:
    connection = outside.connect()
    with refused("ResourceAlreadyExistsException", "Connection c already exists."):
        outside.connect()
    outside.destine(connection=connection)
    with refused("ResourceAlreadyExistsException", "An api-destination 'd' already exists."):
        outside.destine(connection=connection)
    outside.events.delete_connection(Name="c")
    with refused("ResourceNotFoundException", f"Connection '{connection}' does not exist."):
        outside.destine(name="other", connection=connection)


@pytest.mark.parametrize(
    "endpoint", ["http://example.com/", "ftp://example.com/", "https://", "https://me:pw@example.com/", "example.com"]
)
def test_only_https_goes_to_other_machines(outside: Outside, endpoint: str) -> None:
    with refused("ValidationException", "Parameter InvocationEndpoint is not valid."):
        outside.events.create_api_destination(
            Name="d", ConnectionArn=outside.connect(), InvocationEndpoint=endpoint, HttpMethod="POST"
        )


def test_a_destination_is_described_listed_updated_and_deleted(outside: Outside) -> None:
    events, connection = outside.events, outside.connect()
    arn = outside.destine(connection=connection, Description="text")
    described = events.describe_api_destination(Name="d")
    assert (described["ApiDestinationArn"], described["Description"]) == (arn, "text")
    assert (described["ApiDestinationState"], described["InvocationRateLimitPerSecond"]) == ("ACTIVE", 300)
    events.update_api_destination(Name="d", HttpMethod="PUT", InvocationRateLimitPerSecond=5)
    [listed] = events.list_api_destinations(ConnectionArn=connection)["ApiDestinations"]
    assert (listed["HttpMethod"], listed["InvocationRateLimitPerSecond"]) == ("PUT", 5)
    assert listed["InvocationEndpoint"] == described["InvocationEndpoint"]
    events.delete_api_destination(Name="d")
    assert events.list_api_destinations()["ApiDestinations"] == []


def test_both_are_listed_page_by_page(outside: Outside) -> None:
    names = [f"n{number}" for number in range(5)]
    arns = [outside.connect(name) for name in names]
    for name, arn in zip(names, arns, strict=True):
        outside.destine(name=name, connection=arn)
    for list_all, key in (
        (outside.events.list_connections, "Connections"),
        (outside.events.list_api_destinations, "ApiDestinations"),
    ):
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = list_all(Limit=2, NamePrefix="n", **token)
            found += [one["Name"] for one in answer[key]]
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert found == names
    assert [c["Name"] for c in outside.events.list_connections(NamePrefix="n3")["Connections"]] == ["n3"]
    assert outside.events.list_connections(ConnectionState="DEAUTHORIZED")["Connections"] == []


def test_a_target_needs_an_api_destination_of_its_own_account(outside: Outside) -> None:
    arn = outside.destine().replace(outside.account, "999988887777")
    with refused("ValidationException", "It must be in account and region of the rule."):
        outside.target(arn)


def test_the_aws_cli_makes_both(outside: Outside) -> None:
    made = outside.server.cli(
        *("events", "create-connection", "--name", "c", "--authorization-type", "API_KEY"),
        *("--auth-parameters", json.dumps(API_KEY)),
        account=outside.account,
    )
    arn = json.loads(made.stdout)["ConnectionArn"]
    asked = {
        "Name": "d",
        "ConnectionArn": arn,
        "InvocationEndpoint": f"{outside.peer.url}/hook",  # as an option the CLI would fetch it
        "HttpMethod": "POST",
    }
    made = outside.server.cli(
        *("events", "create-api-destination", "--cli-input-json", json.dumps(asked)), account=outside.account
    )
    outside.target(json.loads(made.stdout)["ApiDestinationArn"])
    outside.put()
    outside.peer.at("/hook")
