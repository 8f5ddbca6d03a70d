"""Rules, their targets and tags over the wire, in AWS's words (facts/peers.md §3.2)."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.doors.asking import configured, members, refusal
from tests.doors.bus import PATTERN, Bus
from tests.harness import RunningServer

UNKNOWN_BUS = ("ResourceNotFoundException", "Event bus nowhere does not exist.", 400)
TOO_MANY = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.", 400)


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
