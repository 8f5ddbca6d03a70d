"""`tocsin rule explain` and the choices of `tocsin events`: what a person asks when nothing was delivered."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.doors.asking import ask, connect, tocsin
from tests.doors.test_cli_show import Shown, following
from tests.harness import RunningServer, eventually
from tocsin.model.names import Scope, log_group_arn

PATTERN = '{"source":["my.app"],"detail":{"n":[{"numeric":[">",5]}]}}'


@pytest.fixture
def shown(server: RunningServer, account: str) -> Shown:
    return Shown(server, account)


def put_rule(shown: Shown, name: str = "many", **more: Any) -> None:
    shown.server.client("events", shown.account).put_rule(Name=name, EventPattern=PATTERN, **more)


def put_target(shown: Shown, group: str, rule: str = "many") -> None:
    arn = log_group_arn(Scope(shown.account, "us-west-2"), group)
    shown.server.client("events", shown.account).put_targets(Rule=rule, Targets=[{"Id": "log", "Arn": arn}])


# rule explain


def test_each_of_the_last_events_has_its_verdict_and_the_reason(shown: Shown) -> None:
    put_rule(shown)
    shown.put('{"n": 9}', '{"n": "9"}')
    shown.put('{"N": 9}', source="other")
    head, obstacle, *lines = shown.text("rule", "explain", "many").splitlines()
    assert head.startswith("many on default, ENABLED  arn:aws:events:us-west-2:")
    assert obstacle == "  The rule has no targets: a match leads to nothing."
    assert [line.split(" ")[0] for line in lines[:2]] == ["match", "no"]
    assert (
        lines[2].strip() == 'detail.n: wanted {"numeric": [">", 5]}, found "9"; is a string, the pattern wants a number'
    )
    assert lines[4].strip() == (
        'detail.n: wanted {"numeric": [">", 5]}, found nothing; no such key; keys count case: did you mean detail.N?'
        " (and 1 more field)"
    )
    assert lines[5:] == ["1 of the last 3 events match."]


def test_one_event_is_explained_field_by_field(shown: Shown) -> None:
    put_rule(shown)
    shown.put('{"n": 5}')
    [event] = shown.json("events")
    lines = shown.text("rule", "explain", "many", "--event-id", event["id"]).splitlines()
    assert lines[3:] == [
        "No match. 1 field of 2 does not hold.",
        "  detail.n",
        '    wanted  {"numeric": [">", 5]}',
        "    found   5",
        "    hint    is the bound itself, which is not included",
    ]
    [answer] = shown.json("rule", "explain", "many", "--event-id", event["id"])
    [told] = answer["events"]
    assert (told["id"], told["matched"], told["event"]) == (event["id"], False, event)
    assert [field["path"] for field in told["alternatives"][0]["fields"]] == ["detail.n", "source"]


def test_what_keeps_a_rule_from_delivering_is_said_first(shown: Shown) -> None:
    put_rule(shown, State="DISABLED")
    put_target(shown, "/not/there")
    [answer] = shown.json("rule", "explain", "many")
    assert answer["obstacles"] == [
        "The rule is disabled: nothing is delivered until it is enabled.",
        "The log group /not/there of target log does not exist: deliveries to it are dropped.",
    ]
    assert shown.text("rule", "explain", "many").splitlines()[-1] == "No events on this bus yet."
    shown.server.client("logs", shown.account).create_log_group(logGroupName="/not/there")
    put_rule(shown, State="ENABLED")
    assert shown.json("rule", "explain", "many")[0]["obstacles"] == []


def test_only_as_many_events_as_are_asked_for_are_explained(shown: Shown) -> None:
    put_rule(shown)
    shown.put(*[f'{{"n": {n}}}' for n in range(4, 9)])
    [answer] = shown.json("rule", "explain", "many", "--last", "2")
    assert [one["event"]["detail"]["n"] for one in answer["events"]] == [7, 8]


def test_a_rule_or_event_that_is_not_there_is_said_not_to_be(shown: Shown) -> None:
    def said(*arguments: str) -> str:
        done = tocsin("rule", "explain", *arguments, *shown.options())
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    put_rule(shown)
    where = f"on bus default in account {shown.account}, us-west-2."
    assert said("mny") == f"tocsin: There is no rule mny {where} Did you mean many?\n"
    assert said("quite-another") == f"tocsin: There is no rule quite-another {where}\n"
    assert said("many", "--event-id", "x") == "tocsin: No event x is on bus default, as far back as is looked.\n"
    assert tocsin("rule", "explain", "many", "--last", "0", *shown.options()).returncode == 2


# events: by time and by pattern


def test_events_are_chosen_by_a_pattern(shown: Shown) -> None:
    shown.put('{"n": 4}', '{"n": 6}', '{"n": 7}')
    shown.put('{"n": 8}', source="other")
    assert [event["detail"]["n"] for event in shown.json("events", "--match", PATTERN)] == [6, 7]
    assert [event["detail"]["n"] for event in shown.json("events", "--match", PATTERN, "--last", "1")] == [7]
    assert [event["detail"]["n"] for event in shown.json("events", "--match", PATTERN, "--since", "1h")] == [6, 7]
    assert shown.json("events", "--match", PATTERN, "--bus", "other") == []
    assert len(shown.json("events", "--match", PATTERN, "--bus", "default")) == 2


def test_events_are_chosen_by_time(shown: Shown) -> None:
    shown.put('{"n": 1}')
    time.sleep(0.02)
    between = datetime.now(UTC).isoformat()
    time.sleep(0.02)
    shown.put('{"n": 2}')

    def numbers(*arguments: str) -> list[int]:
        return [event["detail"]["n"] for event in shown.json("events", *arguments)]

    assert numbers("--since", between) == [2]
    assert numbers("--until", between) == [1]
    assert numbers("--since", "1h") == [1, 2]
    assert numbers("--since", "1h", "--last", "1") == [2]
    assert numbers("--since", "1h", "--last", "0") == []
    assert numbers("--since", "1h", "--until", between) == [1]
    assert numbers("--since", "2100-01-01") == []
    assert numbers("--until", "2001-01-01") == []


def test_a_long_time_is_read_in_several_calls(shown: Shown) -> None:
    noise = [f'{{"n": {number}}}' for number in range(10)]
    for _ in range(25):
        shown.put(*noise)
    with connect(shown.server) as connection:
        asked, after, found = f"account={shown.account}&region=us-west-2&since_ms=0&limit=100", "", []
        for _ in range(100):
            answer = ask(connection, "GET", f"/_tocsin/v1/events?{asked}{after}").json
            found.append(len(answer["events"]))
            after = f"&after={answer['after']}"
            if not answer["more"]:
                break
    assert sum(found) == 250
    assert max(found) == 100
    assert len(shown.json("events", "--since", "1h")) == 250


def test_past_and_coming_events_of_a_pattern_are_followed(shown: Shown) -> None:
    shown.put('{"n": 1}', '{"n": 6}')
    with following(shown, "--output", "json", "--since", "1h", "--match", PATTERN) as (lines, _):
        eventually(lambda: len(lines) == 1, "the past event")
        shown.put('{"n": 2}', '{"n": 7}')
        eventually(lambda: len(lines) == 2, "the next event")
        assert [json.loads(line)["detail"]["n"] for line in lines] == [6, 7]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no time: write 30m, 2h, 7d, 2026-01-01 or 2026-01-01T10:00Z"),
        (["--since", "999999999w"], "is no time"),
        (["--match", '{"a":1}'], 'Event pattern is not valid. Reason: "a" must be an object or an array'),
        (["--follow", "--until", "1h"], "--follow and --until do not go together"),
    ],
)
def test_a_choice_that_is_none_is_code_two(arguments: list[str], said: str) -> None:
    done = tocsin("events", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_server_says_why_a_pattern_is_not_valid(server: RunningServer) -> None:
    with connect(server) as connection:
        answer = ask(connection, "GET", "/_tocsin/v1/events?match=%7B%7D")
        assert (answer.status, list(answer.json)) == (400, ["error"])
        assert answer.json["error"].startswith("Event pattern is not valid. Reason: Empty objects are not allowed")
        assert ask(connection, "GET", "/_tocsin/v1/explain").status == 404
