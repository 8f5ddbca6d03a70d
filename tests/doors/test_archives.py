"""Archives and replays (facts/peers.md §3.2): what is kept comes back, marked, and only where it shall."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.doors.asking import log_lines, members, refusal
from tests.harness import REGION, RunningServer, eventually

PATTERN = json.dumps({"source": ["my.app"]})
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WIDE: dict[str, Any] = {
    "EventStartTime": datetime(2020, 1, 1, tzinfo=UTC),
    "EventEndTime": datetime(2100, 1, 1, tzinfo=UTC),
}
NO_ARCHIVE = ("ResourceNotFoundException", "Archive ghost does not exist.", 400)
NO_REPLAY = ("ResourceNotFoundException", "Replay ghost does not exist.", 400)


class Account:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.events = server.client("events", account)
        self.logs = server.client("logs", account)

    def arn(self, resource: str) -> str:
        return f"arn:aws:events:{REGION}:{self.account}:{resource}"

    def route(self, group: str, bus: str = "default") -> str:
        """A log group, and a rule of its name that delivers to it; its ARN."""
        self.logs.create_log_group(logGroupName=group)
        arn: str = self.events.put_rule(Name=group, EventPattern=PATTERN, EventBusName=bus)["RuleArn"]
        target = {"Id": "log", "Arn": f"arn:aws:logs:{REGION}:{self.account}:log-group:{group}"}
        self.events.put_targets(Rule=group, EventBusName=bus, Targets=[target])
        return arn

    def archive(self, name: str, bus: str = "default", **more: Any) -> Any:
        source = self.arn(f"event-bus/{bus}")
        return members(self.events.create_archive(ArchiveName=name, EventSourceArn=source, **more))

    def put(self, minute: int, bus: str = "default", source: str = "my.app") -> None:
        """An event that tells a time of its own, and whose detail is the minute of it."""
        entry = {"Source": source, "DetailType": "x", "Detail": json.dumps({"n": minute}), "EventBusName": bus}
        self.events.put_events(Entries=[entry | {"Time": THEN + timedelta(minutes=minute)}])

    def holds(self, archive: str, number: int) -> Any:
        """The archive, once it holds so many events."""

        def enough() -> Any:
            found = members(self.events.describe_archive(ArchiveName=archive))
            return found if found["EventCount"] >= number else None

        return eventually(enough, f"{number} events in {archive}")

    def request(self, name: str = "again", archive: str = "a", bus: str = "default", **more: Any) -> dict[str, Any]:
        return {
            "ReplayName": name,
            "EventSourceArn": self.arn(f"archive/{archive}"),
            "Destination": {"Arn": self.arn(f"event-bus/{bus}")},
            **WIDE,
            **more,
        }

    def replayed(self, name: str = "again") -> Any:
        """The replay, once it has ended."""

        def ended() -> Any:
            found = members(self.events.describe_replay(ReplayName=name))
            return found if found["State"] in ("COMPLETED", "CANCELLED", "FAILED") else None

        return eventually(ended, f"replay {name}")

    def lines(self, group: str, number: int) -> list[dict[str, Any]]:
        def enough() -> Any:
            found = log_lines(self.server, self.account, group)
            return found if len(found) >= number else None

        return [json.loads(line) for line in eventually(enough, f"{number} lines in {group}")]


@pytest.fixture
def here(server: RunningServer, account: str) -> Account:
    return Account(server, account)


# archives


def test_an_archive_is_described_as_it_was_made(here: Account) -> None:
    made = here.archive("a", Description="words", EventPattern=PATTERN, RetentionDays=7)
    assert (made["ArchiveArn"], made["State"]) == (here.arn("archive/a"), "ENABLED")
    summary = {
        "ArchiveName": "a",
        "EventSourceArn": here.arn("event-bus/default"),
        "State": "ENABLED",
        "RetentionDays": 7,
        "SizeBytes": 0,
        "EventCount": 0,
        "CreationTime": made["CreationTime"],
    }
    more = {"ArchiveArn": here.arn("archive/a"), "Description": "words", "EventPattern": PATTERN}
    assert members(here.events.describe_archive(ArchiveName="a")) == summary | more
    assert members(here.events.list_archives()) == {"Archives": [summary]}


def test_what_cannot_be_an_archive_is_refused(here: Account) -> None:
    here.archive("a")
    source = here.arn("event-bus/default")
    said = ("ResourceAlreadyExistsException", "Archive a already exists.", 400)
    assert refusal(here.events.create_archive, ArchiveName="a", EventSourceArn=source) == said
    said = ("ResourceNotFoundException", "Event bus ghost does not exist.", 400)
    ghost = here.arn("event-bus/ghost")
    assert refusal(here.events.create_archive, ArchiveName="b", EventSourceArn=ghost) == said
    refused = refusal(here.events.create_archive, ArchiveName="b", EventSourceArn=source, EventPattern='{"a":"b"}')
    assert refused.code == "InvalidEventPatternException"
    for operation in (here.events.describe_archive, here.events.delete_archive):
        assert refusal(operation, ArchiveName="ghost") == NO_ARCHIVE
    assert refusal(here.events.update_archive, ArchiveName="ghost", RetentionDays=1) == NO_ARCHIVE


def test_an_archive_is_updated_by_what_is_given(here: Account) -> None:
    here.archive("a", Description="words", RetentionDays=7)
    said = "At least one of EventPattern, RetentionDays or Description must be provided."
    assert refusal(here.events.update_archive, ArchiveName="a") == ("ValidationException", said, 400)
    answer = members(here.events.update_archive(ArchiveName="a", RetentionDays=0, EventPattern=PATTERN))
    assert (answer["ArchiveArn"], answer["State"]) == (here.arn("archive/a"), "ENABLED")
    described = here.events.describe_archive(ArchiveName="a")
    assert [described[name] for name in ("Description", "RetentionDays", "EventPattern")] == ["words", 0, PATTERN]


def test_archives_are_listed_by_one_filter_at_a_time(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    for name, bus in (("x-1", "default"), ("x-2", "b"), ("y", "b")):
        here.archive(name, bus)

    def names(**asked: Any) -> list[str]:
        return [one["ArchiveName"] for one in here.events.list_archives(**asked)["Archives"]]

    assert names() == ["x-1", "x-2", "y"]
    assert names(NamePrefix="x-") == ["x-1", "x-2"]
    assert names(EventSourceArn=here.arn("event-bus/b")) == ["x-2", "y"]
    assert (names(State="ENABLED"), names(State="CREATING")) == (["x-1", "x-2", "y"], [])
    assert names(NextToken=here.events.list_archives(Limit=2)["NextToken"]) == ["y"]
    refused = refusal(here.events.list_archives, NamePrefix="x", State="ENABLED")
    assert refused.message.startswith("At most one filter is allowed for ListArchives.")


def test_an_archive_counts_what_it_keeps(here: Account) -> None:
    group = here.route("g") and "g"
    here.archive("all")
    here.archive("some", EventPattern=PATTERN)
    here.put(1, source="other")
    here.put(2)
    [line] = log_lines(here.server, here.account, group) or [json.dumps(here.lines(group, 1)[0])]
    everything, some = here.holds("all", 2), here.holds("some", 1)
    assert (everything["EventCount"], some["EventCount"]) == (2, 1)
    assert some["SizeBytes"] == len(json.dumps(json.loads(line), separators=(",", ":")))
    assert everything["SizeBytes"] > some["SizeBytes"]


def test_a_bus_with_an_archive_is_not_deleted_and_a_deleted_archive_begins_anew(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    here.archive("a", "b")
    here.put(1, "b")
    here.put(2)
    assert here.holds("a", 1)["EventCount"] == 1
    said = "EventBus can't be deleted since it has rules."
    assert refusal(here.events.delete_event_bus, Name="b") == ("ValidationException", said, 400)
    assert members(here.events.delete_archive(ArchiveName="a")) == {}
    here.events.delete_event_bus(Name="b")
    here.archive("a")
    assert here.events.describe_archive(ArchiveName="a")["EventCount"] == 0
    here.put(3)
    assert here.holds("a", 1)["EventCount"] == 1


# replays


def test_a_replay_puts_events_back_in_the_order_of_their_times(here: Account) -> None:
    here.route("g")
    here.archive("a")
    for minute in (3, 1, 2):
        here.put(minute)
    here.holds("a", 3)
    first = here.lines("g", 3)
    answer = members(here.events.start_replay(**here.request(Description="words")))
    assert (answer["ReplayArn"], answer["State"]) == (here.arn("replay/again"), "STARTING")
    done = here.replayed()
    lines = here.lines("g", 6)[3:]
    assert [line["detail"]["n"] for line in lines] == [1, 2, 3]
    assert {line["replay-name"] for line in lines} == {"again"}
    assert list(lines[0])[6:9] == ["region", "replay-name", "resources"]
    assert lines[0]["time"] == "2026-01-02T03:05:05Z"
    assert not {line["id"] for line in lines} & {line["id"] for line in first}
    assert here.events.describe_archive(ArchiveName="a")["EventCount"] == 3, "replayed events are not archived again"
    assert done.pop("ReplayEndTime") >= done.pop("ReplayStartTime") == answer["ReplayStartTime"]
    assert done == {
        "ReplayName": "again",
        "ReplayArn": here.arn("replay/again"),
        "Description": "words",
        "State": "COMPLETED",
        "EventSourceArn": here.arn("archive/a"),
        "Destination": {"Arn": here.arn("event-bus/default"), "FilterArns": []},
        "EventLastReplayedTime": THEN + timedelta(minutes=3),
        **WIDE,
    }


def test_a_replay_takes_its_window_and_reaches_its_rules_only(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    wanted = here.route("wanted", "b")
    here.route("left", "b")
    here.archive("a", "b")
    for minute in range(5):
        here.put(minute, "b")
    here.holds("a", 5)
    here.lines("left", 5)
    window: dict[str, Any] = {
        "EventStartTime": THEN + timedelta(minutes=1),
        "EventEndTime": THEN + timedelta(minutes=3),
    }
    destination = {"Arn": here.arn("event-bus/b"), "FilterArns": [wanted]}
    here.events.start_replay(**here.request(bus="b", Destination=destination, **window))
    assert here.replayed()["Destination"] == destination
    assert [line["detail"]["n"] for line in here.lines("wanted", 8)[5:]] == [1, 2, 3]
    here.put(9, "b")
    assert [line["detail"]["n"] for line in here.lines("left", 6)[5:]] == [9]


def test_what_a_replay_s_rules_send_on_to_another_bus_reaches_all_rules_there(here: Account) -> None:
    here.events.create_event_bus(Name="next")
    here.archive("a")
    here.route("there", bus="next")
    on = here.events.put_rule(Name="on", EventPattern=PATTERN)["RuleArn"]
    here.events.put_targets(Rule="on", Targets=[{"Id": "1", "Arn": here.arn("event-bus/next")}])
    here.put(0)
    here.lines("there", 1)
    request = here.request()
    here.events.start_replay(**request | {"Destination": request["Destination"] | {"FilterArns": [on]}})
    assert [line.get("replay-name") for line in here.lines("there", 2)] == [None, "again"]


def test_what_cannot_be_replayed_is_refused(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    here.archive("a")

    def refused(**more: Any) -> tuple[str, str]:
        return refusal(here.events.start_replay, **here.request() | more)[:2]

    invalid = "ValidationException"
    assert refused(EventSourceArn=here.arn("archive/ghost")) == (
        invalid,
        "Parameter EventSourceArn is not valid. Reason: Archive ghost does not exist.",
    )
    assert refused(EventEndTime=WIDE["EventStartTime"]) == (
        invalid,
        "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
    )
    assert refused(Destination={"Arn": here.arn("event-bus/b")}) == (
        invalid,
        "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
    )
    assert refused(Destination={"Arn": here.arn("event-bus/ghost")}) == (
        "ResourceNotFoundException",
        "Event bus ghost does not exist.",
    )
    assert refused(Destination={"Arn": here.arn("rule/r")})[0] == invalid
    here.events.start_replay(**here.request())
    assert refused() == ("ResourceAlreadyExistsException", "Replay again already exists.")
    assert refusal(here.events.describe_replay, ReplayName="ghost") == NO_REPLAY
    assert refusal(here.events.cancel_replay, ReplayName="ghost") == NO_REPLAY


def test_a_replay_is_limited_to_rules_of_its_bus_only(here: Account) -> None:
    here.events.create_event_bus(Name="b")
    here.archive("a")
    there = here.events.put_rule(Name="r", EventPattern=PATTERN, State="DISABLED")["RuleArn"]
    elsewhere = here.events.put_rule(Name="r", EventPattern=PATTERN, EventBusName="b")["RuleArn"]
    for arn in (
        here.arn("rule/ghost"),
        elsewhere,
        there.replace(here.account, "000000000000"),
        here.arn("event-bus/b"),
    ):
        destination = {"Arn": here.arn("event-bus/default"), "FilterArns": [there, arn]}
        assert refusal(here.events.start_replay, **here.request() | {"Destination": destination}) == (
            "ValidationException",
            f"Parameter Destination.FilterArns is not valid. Reason: {arn} is not a rule on EventBus default.",
            400,
        )
    assert refusal(here.events.describe_replay, ReplayName="again").code == "ResourceNotFoundException"
    here.events.start_replay(**here.request() | {"Destination": destination | {"FilterArns": [there]}})
    assert here.replayed()["Destination"]["FilterArns"] == [there]


def test_replays_are_listed_and_one_that_ended_cannot_be_cancelled(here: Account) -> None:
    here.archive("a")
    for name in ("x-1", "x-2", "y"):
        here.events.start_replay(**here.request(name))
        here.replayed(name)

    def names(**asked: Any) -> list[str]:
        return [one["ReplayName"] for one in here.events.list_replays(**asked)["Replays"]]

    assert names() == ["x-1", "x-2", "y"]
    assert names(NamePrefix="x-") == ["x-1", "x-2"]
    assert (names(State="COMPLETED"), names(State="RUNNING")) == (["x-1", "x-2", "y"], [])
    assert names(EventSourceArn=here.arn("archive/a")) == ["x-1", "x-2", "y"]
    assert refusal(here.events.list_replays, NamePrefix="x", State="FAILED").code == "ValidationException"
    said = ("IllegalStatusException", "Replay y is not in a valid state for this operation.", 400)
    assert refusal(here.events.cancel_replay, ReplayName="y") == said


def test_a_long_replay_can_be_cancelled(here: Account) -> None:
    here.archive("a")
    entry = {"Source": "my.app", "DetailType": "x", "Detail": "{}", "Time": THEN}
    for _ in range(300):
        here.events.put_events(Entries=[entry] * 10)
    here.holds("a", 3000)
    here.events.start_replay(**here.request())
    answer = members(here.events.cancel_replay(ReplayName="again"))
    assert answer == {"ReplayArn": here.arn("replay/again"), "State": "CANCELLING"}
    assert here.replayed()["State"] == "CANCELLED"
