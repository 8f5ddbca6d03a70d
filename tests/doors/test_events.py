"""EventBridge's operations over the wire: answers and refusals in AWS's words (facts/peers.md §3.2), and delivery."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.doors.asking import configured, log_lines, members, refusal
from tests.harness import REGION, RunningServer, eventually

PATTERN = json.dumps({"source": ["my.app"]})
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN_BUS = ("ResourceNotFoundException", "Event bus nowhere does not exist.", 400)
TOO_MANY = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.", 400)


class Bus:
    """The events and logs clients of one account, and what tests do with them again and again."""

    def __init__(self, server: RunningServer, account: str, region: str = REGION) -> None:
        self.server, self.account, self.region = server, account, region
        self.events = server.client("events", account, region)
        self.logs = server.client("logs", account, region)

    def rule_arn(self, name: str) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:rule/{name}"

    def group_arn(self, name: str) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{name}"

    def rule(self, name: str, pattern: str = PATTERN, **more: Any) -> None:
        self.events.put_rule(Name=name, EventPattern=pattern, **more)

    def route(self, group: str, rule: str = "rule", pattern: str = PATTERN) -> None:
        """A log group, and a rule that delivers to it."""
        self.logs.create_log_group(logGroupName=group)
        self.rule(rule, pattern)
        self.events.put_targets(Rule=rule, Targets=[{"Id": "log", "Arn": self.group_arn(group)}])

    def put(self, **entry: Any) -> Any:
        """The answer's entry for an event that lacks nothing but what is given."""
        full = {"Source": "my.app", "DetailType": "thing happened", "Detail": "{}"} | entry
        return self.events.put_events(Entries=[full])["Entries"][0]

    def lines(self, group: str, number: int = 1) -> list[str]:
        """The group's lines, once there are so many."""

        def enough() -> list[str] | None:
            found = log_lines(self.server, self.account, group, self.region)
            return found if len(found) >= number else None

        found: list[str] = eventually(enough, f"{number} lines in {group}")
        return found


@pytest.fixture
def bus(server: RunningServer, account: str) -> Bus:
    return Bus(server, account)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of small limits."""
    toml = "[events]\nrules_per_bus_max = 2\ntargets_per_rule_max = 1\n"
    with configured(tmp_path_factory.mktemp("small"), toml) as running:
        yield running


# rules


def test_put_rule_answers_the_arn_of_the_rule(bus: Bus) -> None:
    answer = bus.events.put_rule(Name="a.rule-1_x", EventPattern=PATTERN)
    assert members(answer) == {"RuleArn": bus.rule_arn("a.rule-1_x")}


def test_describe_shows_a_rule_as_it_was_put(bus: Bus) -> None:
    role = f"arn:aws:iam::{bus.account}:role/r"
    spaced = '{ "source" : ["my.app"] }'
    bus.rule("full", spaced, State="DISABLED", Description="words", RoleArn=role)
    bus.rule("bare")
    assert members(bus.events.describe_rule(Name="full")) == {
        "Name": "full",
        "Arn": bus.rule_arn("full"),
        "EventPattern": spaced,
        "State": "DISABLED",
        "Description": "words",
        "RoleArn": role,
        "EventBusName": "default",
        "CreatedBy": bus.account,
    }
    assert set(members(bus.events.describe_rule(Name="bare"))) == {
        "Name",
        "Arn",
        "EventPattern",
        "State",
        "EventBusName",
        "CreatedBy",
    }


def test_a_rule_in_a_list_is_as_described_but_for_its_creator(bus: Bus) -> None:
    bus.rule("one", Description="words")
    described = members(bus.events.describe_rule(Name="one"))
    del described["CreatedBy"]
    assert members(bus.events.list_rules()) == {"Rules": [described]}


def test_what_a_second_put_leaves_out_is_cleared_and_the_targets_stay(bus: Bus) -> None:
    bus.rule("again", Description="words", State="DISABLED", RoleArn=f"arn:aws:iam::{bus.account}:role/r")
    bus.events.put_targets(Rule="again", Targets=[{"Id": "log", "Arn": bus.group_arn("g")}])
    bus.rule("again", '{"source":["other"]}')
    described = bus.events.describe_rule(Name="again")
    assert (described["State"], described["EventPattern"]) == ("ENABLED", '{"source":["other"]}')
    assert not {"Description", "RoleArn"} & set(described)
    assert [target["Id"] for target in bus.events.list_targets_by_rule(Rule="again")["Targets"]] == ["log"]


def test_the_default_bus_may_be_named_by_name_or_by_arn(bus: Bus) -> None:
    arn = f"arn:aws:events:{bus.region}:{bus.account}:event-bus/default"
    bus.rule("here", EventBusName=arn)
    assert bus.events.describe_rule(Name="here", EventBusName="default")["Name"] == "here"
    assert bus.events.describe_rule(Name="here", EventBusName=arn)["Name"] == "here"


def test_the_bus_of_another_account_or_region_is_not_taken_for_ours(bus: Bus) -> None:
    for scope in (f"{bus.region}:999999999999", f"eu-west-1:{bus.account}"):
        arn = f"arn:aws:events:{scope}:event-bus/default"
        refused = refusal(bus.events.put_rule, Name="x", EventPattern=PATTERN, EventBusName=arn)
        assert refused == ("ResourceNotFoundException", f"Event bus {arn} does not exist.", 400)


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("describe_rule", {"Name": "ghost"}),
        ("enable_rule", {"Name": "ghost"}),
        ("disable_rule", {"Name": "ghost"}),
        ("list_targets_by_rule", {"Rule": "ghost"}),
        ("remove_targets", {"Rule": "ghost", "Ids": ["a"]}),
        ("put_targets", {"Rule": "ghost", "Targets": [{"Id": "a", "Arn": "arn:aws:logs:ACCOUNT:log-group:g"}]}),
        ("tag_resource", {"ResourceARN": "arn:aws:events:ACCOUNT:rule/ghost", "Tags": [{"Key": "a", "Value": "b"}]}),
        ("untag_resource", {"ResourceARN": "arn:aws:events:ACCOUNT:rule/ghost", "TagKeys": ["a"]}),
        ("list_tags_for_resource", {"ResourceARN": "arn:aws:events:ACCOUNT:rule/ghost"}),
    ],
)
def test_an_unknown_rule_is_not_found(bus: Bus, operation: str, more: dict[str, Any]) -> None:
    request = json.loads(json.dumps(more).replace("ACCOUNT", f"{bus.region}:{bus.account}"))
    refused = refusal(getattr(bus.events, operation), **request)
    assert refused == ("ResourceNotFoundException", "Rule ghost does not exist on EventBus default.", 400)


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("put_rule", {"Name": "r", "EventPattern": PATTERN}),
        ("describe_rule", {"Name": "r"}),
        ("delete_rule", {"Name": "r"}),
        ("enable_rule", {"Name": "r"}),
        ("disable_rule", {"Name": "r"}),
        ("list_rules", {}),
        ("list_targets_by_rule", {"Rule": "r"}),
        ("list_rule_names_by_target", {"TargetArn": "arn:aws:logs:us-west-2:111122223333:log-group:g"}),
        ("remove_targets", {"Rule": "r", "Ids": ["a"]}),
        ("put_targets", {"Rule": "r", "Targets": [{"Id": "a", "Arn": "GROUP"}]}),
    ],
)
def test_an_unknown_bus_is_not_found(bus: Bus, operation: str, more: dict[str, Any]) -> None:
    request = json.loads(json.dumps(more).replace("GROUP", bus.group_arn("g")))
    assert refusal(getattr(bus.events, operation), **request, EventBusName="nowhere") == UNKNOWN_BUS


def test_a_rule_needs_a_pattern_or_a_schedule(bus: Bus) -> None:
    said = "Parameter(s) EventPattern or ScheduleExpression must be specified."
    assert refusal(bus.events.put_rule, Name="empty") == ("ValidationException", said, 400)


@pytest.mark.parametrize("schedule", ["rate(5 minutes)", "cron(0 8 ? * MON-FRI *)"])
def test_a_rule_may_have_a_schedule_and_is_described_with_it(bus: Bus, schedule: str) -> None:
    bus.events.put_rule(Name="tick", ScheduleExpression=schedule)
    described = bus.events.describe_rule(Name="tick")
    assert described["ScheduleExpression"] == schedule
    assert "EventPattern" not in described


@pytest.mark.parametrize("schedule", ["rate(5 minute)", "rate(0 minutes)", "cron(0 8 * * * *)", "every day"])
def test_a_schedule_that_is_none_is_refused(bus: Bus, schedule: str) -> None:
    said = "Parameter ScheduleExpression is not valid."
    refused = refusal(bus.events.put_rule, Name="tick", ScheduleExpression=schedule)
    assert refused == ("ValidationException", said, 400)


def test_bad_names_are_refused_with_the_constraint_they_break(bus: Bus) -> None:
    refused = refusal(bus.events.put_rule, Name="bad name!", EventPattern=PATTERN)
    assert refused == (
        "ValidationException",
        (
            "1 validation error detected: Value 'bad name!' at 'name' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"
        ),
        400,
    )
    refused = refusal(bus.events.put_rule, Name="x" * 65, EventPattern=PATTERN)
    assert refused.message.endswith("Member must have length less than or equal to 64")


@pytest.mark.parametrize(
    "pattern",
    [
        "not json",
        "[]",
        '"text"',
        "{}",
        '{"source": "my.app"}',
        '{"source": []}',
        '{"source": [{"prefiks": "a"}]}',
        '{"detail": {"n": [{"numeric": ["<", "a"]}]}}',
    ],
)
def test_an_invalid_pattern_is_refused_wherever_it_comes_in(bus: Bus, pattern: str) -> None:
    put = refusal(bus.events.put_rule, Name="bad", EventPattern=pattern)
    assert (put.code, put.status) == ("InvalidEventPatternException", 400)
    assert put.message.startswith("Event pattern is not valid. Reason: ")
    assert refusal(bus.events.test_event_pattern, EventPattern=pattern, Event="{}") == put
    assert bus.events.list_rules()["Rules"] == []


def test_a_bus_takes_so_many_rules_and_no_more(small: RunningServer, account: str) -> None:
    bus = Bus(small, account)
    bus.rule("one")
    bus.rule("two")
    assert refusal(bus.events.put_rule, Name="three", EventPattern=PATTERN) == TOO_MANY
    bus.rule("two", Description="an old rule may change")
    bus.events.delete_rule(Name="one")
    bus.rule("three")
    Bus(small, account, "eu-west-1").rule("elsewhere")


def test_a_rule_with_targets_cannot_be_deleted(bus: Bus) -> None:
    bus.rule("kept")
    bus.events.put_targets(Rule="kept", Targets=[{"Id": "log", "Arn": bus.group_arn("g")}])
    said = "Rule can't be deleted since it has targets."
    assert refusal(bus.events.delete_rule, Name="kept") == ("ValidationException", said, 400)
    bus.events.remove_targets(Rule="kept", Ids=["log"])
    assert members(bus.events.delete_rule(Name="kept")) == {}
    assert refusal(bus.events.describe_rule, Name="kept").code == "ResourceNotFoundException"


def test_deleting_a_rule_that_is_not_there_succeeds(bus: Bus) -> None:
    assert members(bus.events.delete_rule(Name="ghost")) == {}


def test_rules_are_listed_by_name_and_by_prefix(bus: Bus) -> None:
    for name in ("b-2", "a-1", "b-1", "B-1"):
        bus.rule(name)
    assert [rule["Name"] for rule in bus.events.list_rules()["Rules"]] == ["B-1", "a-1", "b-1", "b-2"]
    assert [rule["Name"] for rule in bus.events.list_rules(NamePrefix="b-")["Rules"]] == ["b-1", "b-2"]
    assert bus.events.list_rules(NamePrefix="c")["Rules"] == []


def test_a_list_of_rules_goes_on_where_its_token_says(bus: Bus) -> None:
    for number in range(5):
        bus.rule(f"r{number}")
    first = bus.events.list_rules(Limit=2)
    assert [rule["Name"] for rule in first["Rules"]] == ["r0", "r1"]
    bus.rule("r1-come-meanwhile")
    bus.events.delete_rule(Name="r1")
    rest = bus.events.list_rules(NextToken=first["NextToken"])
    assert [rule["Name"] for rule in rest["Rules"]] == ["r1-come-meanwhile", "r2", "r3", "r4"]
    assert "NextToken" not in rest


def test_every_listing_can_be_paged_by_botocore(bus: Bus) -> None:
    names = [f"r{number}" for number in range(5)]
    arn = bus.group_arn("g")
    for name in names:
        bus.rule(name)
        bus.events.put_targets(Rule=name, Targets=[{"Id": "log", "Arn": arn}])
    ids = [{"Id": f"t{number}", "Arn": arn} for number in range(1, 5)]
    bus.events.put_targets(Rule="r0", Targets=ids)

    def paged(operation: str, found: str, **request: Any) -> list[Any]:
        pages = bus.events.get_paginator(operation).paginate(**request, PaginationConfig={"PageSize": 2})
        listed = [page[found] for page in pages]
        assert [len(page) for page in listed] == [2, 2, 1]
        return [item for page in listed for item in page]

    assert [rule["Name"] for rule in paged("list_rules", "Rules")] == names
    assert paged("list_rule_names_by_target", "RuleNames", TargetArn=arn) == names
    assert paged("list_targets_by_rule", "Targets", Rule="r0") == [{"Id": "log", "Arn": arn}, *ids]


def test_a_token_of_another_listing_is_refused(bus: Bus) -> None:
    for name in ("a", "b"):
        bus.rule(name)
    token = bus.events.list_rules(Limit=1)["NextToken"]
    for bad in (token[:-2], "rubbish"):
        assert refusal(bus.events.list_rules, NextToken=bad).code == "ValidationException"
    refused = refusal(bus.events.list_targets_by_rule, Rule="a", NextToken=token)
    assert refused.code == "ValidationException"


# targets


def test_put_targets_answers_that_nothing_failed(bus: Bus) -> None:
    bus.rule("r")
    answer = bus.events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": bus.group_arn("g")}])
    assert members(answer) == {"FailedEntryCount": 0, "FailedEntries": []}
    answer = bus.events.remove_targets(Rule="r", Ids=["log", "never-there"])
    assert members(answer) == {"FailedEntryCount": 0, "FailedEntries": []}
    assert members(bus.events.list_targets_by_rule(Rule="r")) == {"Targets": []}


def test_a_target_is_listed_as_it_was_put(bus: Bus) -> None:
    bus.rule("r")
    target = {
        "Id": "log",
        "Arn": f"{bus.group_arn('/a/b')}:*",
        "RoleArn": f"arn:aws:iam::{bus.account}:role/r",
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
    }
    bus.events.put_targets(Rule="r", Targets=[target])
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == [target]


def test_a_target_put_again_replaces_the_one_of_its_id(bus: Bus) -> None:
    bus.rule("r")
    for group in ("old", "new"):
        bus.events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": bus.group_arn(group)}])
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == [{"Id": "log", "Arn": bus.group_arn("new")}]


def test_a_sixth_target_exceeds_the_limit(bus: Bus) -> None:
    bus.rule("r")
    targets = [{"Id": str(number), "Arn": bus.group_arn("g")} for number in range(6)]
    assert refusal(bus.events.put_targets, Rule="r", Targets=targets) == TOO_MANY
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == []
    bus.events.put_targets(Rule="r", Targets=targets[:5])
    assert refusal(bus.events.put_targets, Rule="r", Targets=targets[5:]) == TOO_MANY
    bus.events.put_targets(Rule="r", Targets=targets[:1])


def test_targets_put_at_once_are_all_kept(bus: Bus) -> None:
    bus.rule("r")

    def put(number: int) -> None:
        bus.events.put_targets(Rule="r", Targets=[{"Id": f"t{number}", "Arn": bus.group_arn("g")}])

    with ThreadPoolExecutor(5) as callers:
        list(callers.map(put, range(5)))
    targets = bus.events.list_targets_by_rule(Rule="r")["Targets"]
    assert [target["Id"] for target in targets] == [f"t{number}" for number in range(5)]


def test_a_bad_target_id_refuses_the_whole_call(bus: Bus) -> None:
    bus.rule("r")
    good, bad = {"Id": "good", "Arn": bus.group_arn("g")}, {"Id": "!@#$@!#$", "Arn": bus.group_arn("g")}
    assert refusal(bus.events.put_targets, Rule="r", Targets=[bad, good]) == (
        "ValidationException",
        (
            "1 validation error detected: Value '!@#$@!#$' at 'targets.1.member.id' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"
        ),
        400,
    )
    long = good | {"Id": "x" * 65}
    said = refusal(bus.events.put_targets, Rule="r", Targets=[good, long]).message
    assert "at 'targets.2.member.id'" in said
    assert said.endswith("Member must have length less than or equal to 64")
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == []


def test_a_target_takes_one_kind_of_input_only(bus: Bus) -> None:
    bus.rule("r")
    target = {"Id": "two", "Arn": bus.group_arn("g"), "Input": "{}", "InputPath": "$.detail"}
    said = "Only one of Input, InputPath, or InputTransformer must be provided for target two."
    assert refusal(bus.events.put_targets, Rule="r", Targets=[target]) == ("ValidationException", said, 400)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ({"Arn": "arn:aws:kinesis:us-west-2:111122223333:stream/s"}, "kinesis"),
        ({"Arn": "arn:aws:lambda:us-west-2:111122223333:function:f"}, "lambda"),
        ({"HttpParameters": {"HeaderParameters": {"a": "b"}}}, "HttpParameters"),
    ],
)
def test_what_a_target_cannot_do_yet_is_refused_by_name(bus: Bus, target: dict[str, Any], named: str) -> None:
    bus.rule("r")
    refused = refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "t-1", "Arn": bus.group_arn("g")} | target])
    assert (refused.code, refused.status) == ("NotImplemented", 501)
    assert re.search(rf"\b{named}\b.* is not implemented|service {named} are not implemented", refused.message)
    assert "t-1" in refused.message


@pytest.mark.parametrize(
    ("shaping", "line"),
    [
        ({"Input": '{"fixed": true}'}, '{"fixed": true}'),
        ({"InputPath": "$.detail.n"}, "12345678901234567890"),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"n": "$.detail.n", "who": "$.source"},
                    "InputTemplate": '{"timestamp": 1767225600000, "message": "<who> said <n>"}',
                }
            },
            "my.app said 12345678901234567890",
        ),
    ],
    ids=["Input", "InputPath", "InputTransformer"],
)
def test_a_log_group_is_sent_what_the_target_asks_for(bus: Bus, shaping: dict[str, Any], line: str) -> None:
    bus.route("/shaped")
    bus.events.put_targets(Rule="rule", Targets=[{"Id": "log", "Arn": bus.group_arn("/shaped"), **shaping}])
    bus.put(Detail='{"n": 12345678901234567890}')
    assert bus.lines("/shaped") == [line]


def test_a_template_that_a_log_group_cannot_take_delivers_nothing_and_harms_nobody(bus: Bus) -> None:
    bus.route("/good")
    bus.logs.create_log_group(logGroupName="/bad")
    bad = {"Id": "2", "Arn": bus.group_arn("/bad"), "InputTransformer": {"InputTemplate": '"no message"'}}
    bus.events.put_targets(Rule="rule", Targets=[bad])
    bus.put()
    assert len(bus.lines("/good")) == 1
    assert bus.logs.describe_log_streams(logGroupName="/bad")["logStreams"] == []


def test_a_target_that_is_no_arn_or_not_here_is_refused(bus: Bus) -> None:
    bus.rule("r")
    stream = f"{bus.group_arn('g')}:log-stream:s"
    for arn in ("log-group", bus.group_arn(""), stream, f"arn:aws:logs:eu-west-1:{bus.account}:log-group:g"):
        refused = refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "a", "Arn": arn}])
        assert refused.code == "ValidationException"
        assert refused.message.startswith(f"Parameter {arn} is not valid. Reason: ")


def test_rules_are_found_by_their_target(bus: Bus) -> None:
    for name, group in (("b", "wanted"), ("a", "wanted"), ("c", "other")):
        bus.rule(name)
        bus.events.put_targets(Rule=name, Targets=[{"Id": "log", "Arn": bus.group_arn(group)}])
    answer = bus.events.list_rule_names_by_target(TargetArn=bus.group_arn("wanted"))
    assert members(answer) == {"RuleNames": ["a", "b"]}
    answer = bus.events.list_rule_names_by_target(TargetArn=bus.group_arn("nobody"))
    assert members(answer) == {"RuleNames": []}


# tags


def test_a_rule_is_tagged_when_it_is_made_and_later(bus: Bus) -> None:
    arn = bus.rule_arn("r")
    bus.rule("r", Tags=[{"Key": "team", "Value": "infra"}])
    bus.rule("r", Tags=[{"Key": "ignored", "Value": "on an update, as on AWS"}])
    answer = bus.events.tag_resource(ResourceARN=arn, Tags=[{"Key": "team", "Value": "ml"}, {"Key": "b", "Value": ""}])
    assert members(answer) == {}
    listed = bus.events.list_tags_for_resource(ResourceARN=arn)
    assert members(listed) == {"Tags": [{"Key": "team", "Value": "ml"}, {"Key": "b", "Value": ""}]}
    assert members(bus.events.untag_resource(ResourceARN=arn, TagKeys=["team", "never-there"])) == {}
    assert bus.events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": ""}]


def test_tags_end_with_their_rule(bus: Bus) -> None:
    bus.rule("r", Tags=[{"Key": "a", "Value": "b"}])
    bus.events.delete_rule(Name="r")
    bus.rule("r")
    assert bus.events.list_tags_for_resource(ResourceARN=bus.rule_arn("r"))["Tags"] == []


def test_only_rules_of_ones_own_can_be_tagged(bus: Bus) -> None:
    bus.rule("r")
    tags = [{"Key": "a", "Value": "b"}]
    foreign = f"arn:aws:events:eu-west-1:{bus.account}:rule/r"
    assert refusal(bus.events.tag_resource, ResourceARN=foreign, Tags=tags).code == "ResourceNotFoundException"
    refused = refusal(bus.events.tag_resource, ResourceARN="no-arn-at-all", Tags=tags)
    assert refused == (
        "ValidationException",
        "Parameter no-arn-at-all is not valid. Reason: Provided Arn is not in correct format.",
        400,
    )


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
