"""Events and their patterns over the wire: answers and refusals in AWS's words (facts/peers.md §3.2), and delivery."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.doors.asking import log_lines, members, refusal
from tests.doors.bus import PATTERN, Bus
from tests.harness import RunningServer, eventually

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# patterns


def envelope(**changes: Any) -> str:
    whole = {
        "id": "1",
        "account": "111122223333",
        "source": "my.app",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-west-2",
        "resources": [],
        "detail-type": "x",
        "detail": {"n": 12345678901234567890},
    }
    return json.dumps({name: value for name, value in (whole | changes).items() if value is not None})


def test_a_pattern_is_tried_on_an_event(bus: Bus) -> None:
    def matches(pattern: Any, event: str) -> bool:
        answer = members(bus.events.test_event_pattern(EventPattern=json.dumps(pattern), Event=event))
        assert set(answer) == {"Result"}
        return bool(answer["Result"])

    assert matches({"source": ["my.app"]}, envelope())
    assert not matches({"source": ["other"]}, envelope())
    assert matches({"source": [{"prefix": "my."}], "detail": {"n": [{"exists": True}]}}, envelope())


@pytest.mark.parametrize(
    "event", ["not json", "[]", '{"a":' * 2000 + "1" + "}" * 2000, envelope(id=None), envelope(**{"detail-type": None})]
)
def test_an_event_to_try_must_be_a_whole_event(bus: Bus, event: str) -> None:
    refused = refusal(bus.events.test_event_pattern, EventPattern=PATTERN, Event=event)
    assert refused == ("ValidationException", "Parameter Event is not valid.", 400)


# events


def test_every_entry_has_an_id_of_its_own(bus: Bus) -> None:
    entry = {"Source": "my.app", "DetailType": "x", "Detail": "{}"}
    answer = members(bus.events.put_events(Entries=[entry] * 10))
    assert answer["FailedEntryCount"] == 0
    assert [set(one) for one in answer["Entries"]] == [{"EventId"}] * 10
    ids = {one["EventId"] for one in answer["Entries"]}
    assert len(ids) == 10
    assert all(map(UUID.fullmatch, ids))


@pytest.mark.parametrize("missing", ["Source", "DetailType", "Detail"])
def test_an_entry_that_lacks_something_fails_alone(bus: Bus, missing: str) -> None:
    entry = {"Source": "my.app", "DetailType": "x", "Detail": "{}"}
    lacking = {name: value for name, value in entry.items() if name != missing}
    answer = members(bus.events.put_events(Entries=[entry, lacking, entry | {missing: ""}]))
    said = f"Parameter {missing} is not valid. Reason: {missing} is a required argument."
    assert answer["FailedEntryCount"] == 2
    assert answer["Entries"][1:] == [{"ErrorCode": "InvalidArgument", "ErrorMessage": said}] * 2
    assert set(answer["Entries"][0]) == {"EventId"}


@pytest.mark.parametrize("detail", ["text", '"text"', "[1]", "1", "null", "{", '{"a":1}{"b":2}', '{"a":NaN}'])
def test_a_detail_must_be_a_json_object(bus: Bus, detail: str) -> None:
    assert bus.put(Detail=detail) == {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("levels", [255, 1000, 1023, 1024, 100_000])
def test_a_detail_nested_beyond_reason_is_malformed(bus: Bus, levels: int) -> None:
    assert bus.put(Detail=nested(levels)) == {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def test_no_detail_stops_the_events_behind_it(bus: Bus) -> None:
    bus.route("numbers", "numbers", '{"source":["my.app"],"detail":{"n":[{"numeric":["<", 5]}]}}')
    bus.route("texts", "texts", '{"source":["my.app"],"detail":{"t":[{"wildcard":"*x*y*"},{"cidr":"10.0.0.0/8"}]}}')
    numbers = ["1e308", "-0", "1e-400", "123456789012345678901234567890", "0." + "1" * 5000, "[[1],{},null]"]
    texts = ["\\u0000", "\\ud83d\\ude00", "\\/", "\\u2028", "x" * 200_000, "10.1.2.300"]
    odd = [*(f'{{"n":{number}}}' for number in numbers), *(f'{{"t":"{text}"}}' for text in texts)]
    odd += [nested(254), '{"":1}', '{"a":1,"a":{"b":2}}', '{"\\ud83d\\ude00":{}}', "{}"]
    for detail in odd:
        assert set(bus.put(Detail=detail)) == {"EventId"}, detail[:50]
    last = bus.put(Detail='{"n":4,"t":"xy"}')["EventId"]

    def delivered() -> bool:
        return all(last in "".join(log_lines(bus.server, bus.account, group)) for group in ("numbers", "texts"))

    eventually(delivered, "the last event")


def test_nobody_speaks_as_aws(bus: Bus) -> None:
    refused = bus.put(Source="aws.sagemaker")
    assert refused == {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    assert "EventId" in bus.put(Source="awsome.app")


def test_more_than_ten_entries_are_refused_with_all_their_text(bus: Bus) -> None:
    entries = [{"Source": "my.app", "DetailType": "x", "Detail": "{}"}] * 11
    refused = refusal(bus.events.put_events, Entries=entries)
    one = (
        "PutEventsRequestEntry(time=null, source=my.app, resources=null, detailType=x, detail={}, eventBusName=null, "
        "traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null)"
    )
    assert refused.code == "ValidationException"
    assert refused.message.startswith(f"1 validation error detected: Value '[{one}, ")
    assert refused.message.endswith(
        "]' at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10"
    )


def test_entries_that_are_too_big_together_are_refused(bus: Bus) -> None:
    # The size is counted in UTF-8 bytes: half as many characters of two bytes each are as much.
    detail = json.dumps({"text": "é" * (1 << 18)}, ensure_ascii=False)
    entry = {"Source": "my.app", "DetailType": "x", "Detail": detail}
    said = "Total size of the entries in the request is over the limit."
    assert refusal(bus.events.put_events, Entries=[entry] * 2) == ("ValidationException", said, 400)
    assert members(bus.events.put_events(Entries=[entry]))["FailedEntryCount"] == 0


def test_an_event_for_a_bus_that_is_not_there_is_taken_and_dropped(bus: Bus) -> None:
    bus.route("g")
    elsewhere = f"arn:aws:events:eu-north-1:{bus.account}:event-bus/default"
    for name in ("nowhere", elsewhere):
        assert "EventId" in bus.put(EventBusName=name, Detail='{"lost": true}')
    kept = bus.put(EventBusName="default")
    assert [json.loads(line)["id"] for line in bus.lines("g")] == [kept["EventId"]]


# delivery


def test_an_event_arrives_as_one_line_of_compact_json_in_awss_order(bus: Bus) -> None:
    bus.route("g")
    detail = '{ "z" : 1,\n\t"a" : [ 1.0, 12345678901234567890123, 1e300, -0 ], "text" : "a  b \\" : \\u00e9 ü 日本" }'
    before = datetime.now(UTC).replace(microsecond=0)
    event_id = bus.put(Detail=detail, DetailType="thing — häppened", Resources=["arn:one", "two"])["EventId"]
    [line] = bus.lines("g")
    event = json.loads(line)
    assert before <= datetime.fromisoformat(event["time"]) <= datetime.now(UTC)
    assert line == (
        f'{{"version":"0","id":"{event_id}","detail-type":"thing — häppened","source":"my.app",'
        f'"account":"{bus.account}","time":"{event["time"]}","region":"us-west-2","resources":["arn:one","two"],'
        '"detail":{"z":1,"a":[1.0,12345678901234567890123,1e300,-0],"text":"a  b \\" : \\u00e9 ü 日本"}}'
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])


def test_the_time_of_an_entry_is_told_to_the_second(bus: Bus) -> None:
    bus.route("g")
    bus.put(Time=datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC))
    [line] = bus.lines("g")
    assert json.loads(line)["time"] == "2026-01-02T03:04:05Z"
    assert json.loads(line)["resources"] == []


def test_one_event_has_one_id_in_all_its_deliveries(bus: Bus) -> None:
    for group in ("one", "two"):
        bus.route(group, rule=f"rule-{group}")
    event_id = bus.put()["EventId"]
    assert [json.loads(line)["id"] for group in ("one", "two") for line in bus.lines(group)] == [event_id] * 2


def test_a_rule_delivers_only_what_it_matches(bus: Bus) -> None:
    bus.route("g", pattern='{"detail": {"level": ["high"]}}')
    bus.put(Detail='{"level": "low"}')
    wanted = bus.put(Detail='{"level": "high"}')["EventId"]
    assert [json.loads(line)["id"] for line in bus.lines("g")] == [wanted]


def test_a_disabled_rule_delivers_nothing_until_it_is_enabled(bus: Bus) -> None:
    bus.route("g", rule="quiet")
    bus.route("witness", rule="loud")
    assert members(bus.events.disable_rule(Name="quiet")) == {}
    assert bus.events.describe_rule(Name="quiet")["State"] == "DISABLED"
    bus.put()
    bus.lines("witness")
    assert members(bus.events.enable_rule(Name="quiet")) == {}
    event_id = bus.put()["EventId"]
    assert [json.loads(line)["id"] for line in bus.lines("g")] == [event_id]


def test_a_rule_made_anew_delivers_by_its_new_pattern_at_once(bus: Bus) -> None:
    bus.route("g")
    bus.rule("rule", '{"source": ["other"]}')
    bus.put()
    event_id = bus.put(Source="other")["EventId"]
    assert [json.loads(line)["id"] for line in bus.lines("g")] == [event_id]


def test_a_removed_target_gets_nothing_more(bus: Bus) -> None:
    bus.route("g", rule="r")
    bus.route("witness", rule="w")
    bus.events.remove_targets(Rule="r", Ids=["log"])
    bus.put()
    bus.lines("witness")
    assert log_lines(bus.server, bus.account, "g") == []


def test_a_target_that_is_not_there_loses_only_its_own_delivery(bus: Bus) -> None:
    bus.route("there")
    bus.events.put_targets(Rule="rule", Targets=[{"Id": "a-lost", "Arn": bus.group_arn("lost")}])
    first = bus.put()["EventId"]
    assert [json.loads(line)["id"] for line in bus.lines("there")] == [first]
    bus.logs.create_log_group(logGroupName="lost")
    second = bus.put()["EventId"]
    assert [json.loads(line)["id"] for line in bus.lines("there", 2)] == [first, second]
    assert [json.loads(line)["id"] for line in bus.lines("lost")] == [second]


def test_accounts_and_regions_are_apart(server: RunningServer, account: str) -> None:
    ours, regional = Bus(server, account), Bus(server, account, "eu-west-1")
    foreign = Bus(server, "9" + account[1:])
    for bus in (ours, regional, foreign):
        bus.route("g")
    ids = {bus.region + bus.account: bus.put()["EventId"] for bus in (ours, regional, foreign)}
    for bus in (ours, regional, foreign):
        [line] = bus.lines("g")
        event = json.loads(line)
        assert (event["account"], event["region"]) == (bus.account, bus.region)
        assert event["id"] == ids[bus.region + bus.account]
    regional.events.remove_targets(Rule="rule", Ids=["log"])
    regional.events.delete_rule(Name="rule")
    assert [rule["Name"] for rule in ours.events.list_rules()["Rules"]] == ["rule"]
    assert regional.events.list_rules()["Rules"] == []


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("list_endpoints", {}),
        ("list_event_sources", {}),
    ],
)
def test_an_operation_that_is_not_there_yet_says_so(bus: Bus, operation: str, request_: dict[str, Any]) -> None:
    refused = refusal(getattr(bus.events, operation), **request_)
    name = "".join(word.title() for word in operation.split("_"))
    assert refused == ("NotImplemented", f"events:{name} is not implemented in Tocsin yet.", 501)


# the AWS CLI


def test_the_aws_cli_makes_a_rule_and_sends_an_event(bus: Bus) -> None:
    def cli(*arguments: str) -> Any:
        done = bus.server.cli("events", *arguments, account=bus.account)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    bus.logs.create_log_group(logGroupName="g")
    assert cli("put-rule", "--name", "r", "--event-pattern", PATTERN) == {"RuleArn": bus.rule_arn("r")}
    put = cli("put-targets", "--rule", "r", "--targets", f"Id=log,Arn={bus.group_arn('g')}")
    assert put == {"FailedEntryCount": 0, "FailedEntries": []}
    entry = [{"Source": "my.app", "DetailType": "x", "Detail": '{"by":"cli"}'}]
    [sent] = cli("put-events", "--entries", json.dumps(entry))["Entries"]
    [line] = bus.lines("g")
    assert json.loads(line)["id"] == sent["EventId"]
    refused = bus.server.cli("events", "delete-rule", "--name", "r", account=bus.account)
    assert refused.returncode in (254, 255)  # version 2, version 1
    assert "(ValidationException)" in refused.stderr
    assert "Rule can't be deleted since it has targets." in refused.stderr
