"""What is owed to the outside, as people see it, and what happens when it is too much."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.doors.aims import Outside
from tests.doors.asking import configured, tocsin
from tests.harness import eventually
from tests.peer import Answer, HttpPeer


def shown(outside: Outside, *words: str) -> str:
    where = ("--endpoint-url", outside.server.endpoint, "--account", outside.account)
    done = tocsin(*words, *where)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failing(outside: Outside) -> str:
    """A target that fails for good, and the event that is owed to it."""
    outside.peer.answers["/hook"] = [Answer(status=503, body="closed", headers={"Retry-After": "3600"})]
    outside.target(outside.destine())
    event_id = outside.put()
    eventually(lambda: '"attempts": 1' in shown(outside, "deliveries", "--output", "json"), "a failed attempt")
    return event_id


def test_what_is_owed_is_told_with_its_error_and_the_next_try(outside: Outside) -> None:
    assert shown(outside, "deliveries") == "0 deliveries are owed.\n"
    failing(outside)
    [line] = shown(outside, "deliveries", "--output", "json").splitlines()
    lane = json.loads(line)
    assert lane["lane"] == "api-destination/d/default/rule/1"
    assert (lane["carrier"], lane["owed"], lane["in_flight"]) == ("api-destination", 1, 0)
    assert lane["origin"].endswith(":rule/rule")
    assert lane["last_error"].endswith("HTTP status code 503: closed")
    assert lane["next_try_ms"] >= lane["oldest_ms"] + 3_600_000
    text = shown(outside, "deliveries")
    assert "1 owed, the oldest since 20" in text
    assert "HTTP status code 503: closed" in text
    assert text.endswith("\n1 delivery is owed.\n")


def test_rule_explain_tells_a_target_that_fails(outside: Outside) -> None:
    failing(outside)
    told = shown(outside, "rule", "explain", "rule")
    assert "Target 1 fails since 20" in told
    assert "1 delivery is owed to it; the next try is at 20" in told
    assert "HTTP status code 503: closed" in told


def test_rule_explain_tells_what_is_wrong_with_a_connection(outside: Outside) -> None:
    arn = outside.destine()
    outside.target(arn)
    outside.events.deauthorize_connection(Name="c")
    assert "The connection c of target 1 is DEAUTHORIZED" in shown(outside, "rule", "explain", "rule")
    outside.events.delete_connection(Name="c")
    assert "The connection c of target 1 does not exist: deliveries are dropped." in shown(
        outside, "rule", "explain", "rule"
    )
    outside.events.delete_api_destination(Name="d")
    assert "The API destination d of target 1 does not exist" in shown(outside, "rule", "explain", "rule")
    anew = outside.destine()
    assert f"was made anew: deliveries are dropped until the target names {anew}." in shown(
        outside, "rule", "explain", "rule"
    )


def test_nothing_more_is_accepted_when_too_much_is_owed_and_again_when_it_is_delivered(
    tmp_path: Path, account: str, peer: HttpPeer
) -> None:
    with configured(tmp_path, "[outbox]\nowed_max = 1\n") as small:
        outside = Outside(small, account, peer)
        peer.answers["/hook"] = [Answer(status=503)]
        outside.target(outside.destine())
        outside.put()
        peer.at("/hook")
        with pytest.raises(ClientError) as raised:
            outside.put()
        error = raised.value.response["Error"]
        assert (error["Code"], raised.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (
            "ThrottlingException",
            400,
        )
        assert "outbox.owed_max" in error["Message"]
        sns = small.client("sns", account)
        topic = sns.create_topic(Name="t")["TopicArn"]
        with pytest.raises(ClientError, match="Throttl"):
            sns.publish(TopicArn=topic, Message="m")
        peer.answers["/hook"] = [Answer()]
        peer.at("/hook", 2)
        eventually(lambda: shown(outside, "deliveries").startswith("0 "), "nothing owed")
        outside.put()
