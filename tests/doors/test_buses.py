"""Event buses, their permissions and tags over the wire, and rules and events on them (facts/peers.md §3.2)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.doors.asking import configured, log_lines, members, refusal
from tests.harness import REGION, RunningServer, eventually

PATTERN = json.dumps({"source": ["my.app"]})
NO_BUS = ("ResourceNotFoundException", "Event bus nowhere does not exist.", 400)
NO_STATEMENT = ("ResourceNotFoundException", "Statement with the provided id does not exist.", 400)


class Account:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.events = server.client("events", account)
        self.logs = server.client("logs", account)

    def arn(self, bus: str) -> str:
        return f"arn:aws:events:{REGION}:{self.account}:event-bus/{bus}"

    def route(self, bus: str, group: str, rule: str = "rule") -> None:
        self.logs.create_log_group(logGroupName=group)
        self.events.put_rule(Name=rule, EventPattern=PATTERN, EventBusName=bus)
        target = {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{self.account}:log-group:{group}"}
        self.events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])

    def put(self, bus: str) -> str:
        entry = {"Source": "my.app", "DetailType": "x", "Detail": "{}", "EventBusName": bus}
        event_id: str = self.events.put_events(Entries=[entry])["Entries"][0]["EventId"]
        return event_id

    def delivered(self, group: str, number: int) -> list[str]:
        """The ids of the events in the group, once there are so many."""

        def enough() -> list[str] | None:
            found = [json.loads(line)["id"] for line in log_lines(self.server, self.account, group)]
            return found if len(found) >= number else None

        found: list[str] = eventually(enough, f"{number} events in {group}")
        return found

    def policy(self, bus: str = "default") -> Any:
        found = self.events.describe_event_bus(Name=bus).get("Policy")
        return json.loads(found) if found else None


@pytest.fixture
def here(server: RunningServer, account: str) -> Account:
    return Account(server, account)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    toml = "[events]\nbuses_max = 3\nrules_per_bus_max = 1\n"
    with configured(tmp_path_factory.mktemp("small"), toml) as running:
        yield running


# buses


def test_a_bus_is_described_as_it_was_made(here: Account) -> None:
    kept = {
        "Description": "words",
        "KmsKeyIdentifier": "alias/key",
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{here.account}:dead"},
        "LogConfig": {"IncludeDetail": "FULL", "Level": "ERROR"},
    }
    answer = here.events.create_event_bus(Name="b", **kept)
    assert members(answer) == {"EventBusArn": here.arn("b"), **kept}
    for name in ("b", here.arn("b")):
        described = members(here.events.describe_event_bus(Name=name))
        created, modified = described.pop("CreationTime"), described.pop("LastModifiedTime")
        assert created == modified
        assert described == {"Name": "b", "Arn": here.arn("b"), **kept}


def test_the_default_bus_is_there_from_the_beginning(here: Account) -> None:
    expected = {"Name": "default", "Arn": here.arn("default")}
    assert members(here.events.describe_event_bus()) == expected
    assert members(here.events.list_event_buses()) == {"EventBuses": [expected]}
    said = ("ResourceAlreadyExistsException", "Event bus default already exists.", 400)
    assert refusal(here.events.create_event_bus, Name="default") == said
    said = ("ValidationException", "Cannot delete event bus default.", 400)
    assert refusal(here.events.delete_event_bus, Name="default") == said


def test_a_bus_is_made_once(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    said = ("ResourceAlreadyExistsException", "Event bus b already exists.", 400)
    assert refusal(here.events.create_event_bus, Name="b") == said
    said = ("ValidationException", "Event bus name must not contain '/'.", 400)
    assert refusal(here.events.create_event_bus, Name="a/b") == said
    partner = refusal(here.events.create_event_bus, Name="aws.partner/x/y", EventSourceName="aws.partner/x/y")
    assert partner.status == 501


def test_buses_are_listed_by_name_by_prefix_and_in_pages(here: Account) -> None:
    for name in ("z", "a-2", "a-1"):
        here.events.create_event_bus(Name=name)

    def names(**asked: Any) -> list[str]:
        return [bus["Name"] for bus in here.events.list_event_buses(**asked)["EventBuses"]]

    assert names() == ["a-1", "a-2", "default", "z"]
    assert names(NamePrefix="a-") == ["a-1", "a-2"]
    first = here.events.list_event_buses(Limit=3)
    assert names(NextToken=first["NextToken"]) == ["z"]


def test_an_update_changes_what_it_names_and_leaves_the_rest(here: Account) -> None:
    here.events.create_event_bus(Name="b", Description="old", KmsKeyIdentifier="key")
    answer = members(here.events.update_event_bus(Name="b", Description="new"))
    expected = {"Name": "b", "Arn": here.arn("b"), "Description": "new", "KmsKeyIdentifier": "key"}
    assert answer == expected
    assert members(here.events.update_event_bus(Name="b", KmsKeyIdentifier="")).keys() == {"Name", "Arn", "Description"}
    here.events.update_event_bus(Name="default", Description="mine")
    assert here.events.describe_event_bus()["Description"] == "mine"
    assert refusal(here.events.update_event_bus, Name="nowhere", Description="x") == NO_BUS


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("describe_event_bus", {"Name": "nowhere"}),
        ("delete_event_bus", {"Name": "nowhere"}),
        ("remove_permission", {"EventBusName": "nowhere", "StatementId": "s"}),
        (
            "put_permission",
            {"EventBusName": "nowhere", "StatementId": "s", "Action": "events:PutEvents", "Principal": "*"},
        ),
    ],
)
def test_an_unknown_bus_is_not_found(here: Account, operation: str, request_: dict[str, Any]) -> None:
    assert refusal(getattr(here.events, operation), **request_) == NO_BUS


def test_a_bus_with_rules_cannot_be_deleted(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    here.events.put_rule(Name="r", EventPattern=PATTERN, EventBusName="b")
    said = ("ValidationException", "EventBus can't be deleted since it has rules.", 400)
    assert refusal(here.events.delete_event_bus, Name="b") == said
    here.events.delete_rule(Name="r", EventBusName="b")
    assert members(here.events.delete_event_bus(Name="b")) == {}
    assert refusal(here.events.describe_event_bus, Name="b").message == "Event bus b does not exist."


def test_no_rule_ends_up_on_a_bus_that_is_gone(here: Account) -> None:
    for round_ in range(5):
        name = f"b{round_}"
        here.events.create_event_bus(Name=name)

        def put(number: int, bus: str = name) -> None:
            here.events.put_rule(Name=f"r{number}", EventPattern=PATTERN, EventBusName=bus)

        def delete(_: int, bus: str = name) -> None:
            here.events.delete_event_bus(Name=bus)

        with ThreadPoolExecutor(4) as callers:
            done = [callers.submit(call, number) for number, call in enumerate((put, delete, put, delete))]
        errors = [one.exception() for one in done]
        there = name in [bus["Name"] for bus in here.events.list_event_buses()["EventBuses"]]
        if there:
            assert here.events.list_rules(EventBusName=name)["Rules"]
        else:
            assert all(errors[::2])
            here.events.create_event_bus(Name=name)
            assert here.events.list_rules(EventBusName=name)["Rules"] == []


def test_there_are_so_many_buses_and_rules_on_each_and_no_more(small: RunningServer, account: str) -> None:
    here = Account(small, account)
    for name in ("one", "two"):
        here.events.create_event_bus(Name=name)
    said = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.", 400)
    assert refusal(here.events.create_event_bus, Name="three") == said
    for name in ("one", "two", "default"):
        here.events.put_rule(Name="r", EventPattern=PATTERN, EventBusName=name)
        assert refusal(here.events.put_rule, Name="s", EventPattern=PATTERN, EventBusName=name) == said


# rules and events


def test_rules_of_the_same_name_live_on_two_buses(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    on_default = here.events.put_rule(Name="r", EventPattern=PATTERN)["RuleArn"]
    on_b = here.events.put_rule(Name="r", EventPattern='{"source":["b"]}', EventBusName=here.arn("b"))["RuleArn"]
    assert on_default.endswith(":rule/r")
    assert on_b.endswith(":rule/b/r")
    described = here.events.describe_rule(Name="r", EventBusName="b")
    assert (described["EventPattern"], described["EventBusName"]) == ('{"source":["b"]}', "b")
    here.events.delete_rule(Name="r", EventBusName="b")
    assert here.events.describe_rule(Name="r")["EventPattern"] == PATTERN
    said = ("ResourceNotFoundException", "Rule r does not exist on EventBus b.", 400)
    assert refusal(here.events.describe_rule, Name="r", EventBusName="b") == said


def test_a_schedule_is_for_the_default_bus_only(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    said = ("ValidationException", "ScheduleExpression is supported only on the default event bus.", 400)
    refused = refusal(here.events.put_rule, Name="r", ScheduleExpression="rate(1 minute)", EventBusName="b")
    assert refused == said


def test_an_event_stays_on_its_bus(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    here.route("b", "on-b")
    here.route("default", "on-default")
    by_name, by_arn, on_default = here.put("b"), here.put(here.arn("b")), here.put("default")
    assert here.delivered("on-default", 1) == [on_default]
    assert here.delivered("on-b", 2) == [by_name, by_arn]


def test_a_bus_made_anew_has_nothing_of_the_old_one(here: Account) -> None:
    here.events.create_event_bus(Name="b", Description="old", Tags=[{"Key": "old", "Value": ""}])
    here.events.delete_event_bus(Name="b")
    lost = here.put("b")
    here.events.create_event_bus(Name="b")
    assert here.events.list_tags_for_resource(ResourceARN=here.arn("b"))["Tags"] == []
    here.route("b", "g")
    kept = here.put("b")
    assert here.delivered("g", 1) == [kept] != [lost]


# permissions


def test_statements_come_and_go_by_their_id(here: Account) -> None:
    put: dict[str, Any] = {"Action": "events:PutEvents", "EventBusName": "b"}
    here.events.create_event_bus(Name="b")
    here.events.put_permission(StatementId="one", Principal="*", **put)
    condition = {"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"}
    here.events.put_permission(StatementId="two", Principal="111122223333", Condition=condition, **put)
    first = {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "events:PutEvents",
        "Resource": here.arn("b"),
    }
    second = first | {
        "Sid": "two",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
    }
    assert here.policy("b") == {"Version": "2012-10-17", "Statement": [first, second]}
    here.events.put_permission(StatementId="one", Principal="444455556666", **put)
    assert [one["Sid"] for one in here.policy("b")["Statement"]] == ["two", "one"]
    here.events.remove_permission(StatementId="two", EventBusName="b")
    assert [one["Sid"] for one in here.policy("b")["Statement"]] == ["one"]
    assert refusal(here.events.remove_permission, StatementId="two", EventBusName="b") == NO_STATEMENT
    here.events.remove_permission(StatementId="one", EventBusName="b")
    assert here.policy("b") is None
    assert refusal(here.events.remove_permission, StatementId="one", EventBusName="b") == NO_STATEMENT


def test_a_policy_is_put_and_removed_whole(here: Account) -> None:
    policy = {"Version": "2012-10-17", "Statement": {"Sid": "s", "Effect": "Allow", "Principal": "*"}}
    here.events.put_permission(Policy=json.dumps(policy))
    assert here.policy() == policy
    assert here.events.list_event_buses()["EventBuses"][0]["Policy"] == json.dumps(policy)
    here.events.put_permission(StatementId="t", Action="events:PutEvents", Principal="*")
    assert [one["Sid"] for one in here.policy()["Statement"]] == ["s", "t"]
    here.events.remove_permission(RemoveAllPermissions=True)
    assert here.policy() is None


def test_what_is_no_permission_is_refused(here: Account) -> None:
    statement = {"StatementId": "s", "Action": "events:PutEvents", "Principal": "*"}
    for bad in ({}, {"StatementId": "s"}, {"Policy": "{"}, {"Policy": "[]"}, {"Policy": '{"Statement": "x"}'}):
        assert refusal(here.events.put_permission, **bad).code == "ValidationException"
    assert refusal(here.events.put_permission, **statement | {"Action": "events:PutRule"}).message == (
        "Provided value in parameter 'action' is not supported."
    )
    long = json.dumps({"Statement": [{"Sid": "x" * 10_240}]})
    assert refusal(here.events.put_permission, Policy=long).code == "PolicyLengthExceededException"
    assert refusal(here.events.remove_permission).code == "ValidationException"


# tags


def test_buses_are_tagged(here: Account) -> None:
    here.events.create_event_bus(Name="b", Tags=[{"Key": "team", "Value": "infra"}])
    for name, begun in (("b", [{"Key": "team", "Value": "infra"}]), ("default", [])):
        arn = here.arn(name)
        here.events.tag_resource(ResourceARN=arn, Tags=[{"Key": "env", "Value": "prod"}])
        assert here.events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [*begun, {"Key": "env", "Value": "prod"}]
        here.events.untag_resource(ResourceARN=arn, TagKeys=["env"])
        assert here.events.list_tags_for_resource(ResourceARN=arn)["Tags"] == begun
    assert refusal(here.events.list_tags_for_resource, ResourceARN=here.arn("nowhere")) == NO_BUS


def test_a_resource_takes_fifty_tags(here: Account) -> None:
    tags = [{"Key": str(number), "Value": ""} for number in range(51)]
    assert refusal(here.events.create_event_bus, Name="b", Tags=tags).code == "LimitExceededException"
    here.events.create_event_bus(Name="b", Tags=tags[:50])
    refused = refusal(here.events.tag_resource, ResourceARN=here.arn("b"), Tags=tags[50:])
    assert refused.code == "LimitExceededException"
