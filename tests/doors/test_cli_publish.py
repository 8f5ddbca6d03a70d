"""`tocsin events publish`: events from a file, through PutEvents."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import log_lines, tocsin
from tests.doors.test_cli_show import Shown
from tests.harness import RunningServer, eventually


@pytest.fixture
def shown(server: RunningServer, account: str) -> Shown:
    return Shown(server, account)


SAMPLES = sorted((Path(__file__).parents[1] / "core" / "golden").glob("*.json"))


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"source": "my.app", "detail-type": "thing happened", "detail": {"n": number}, **more}


@pytest.mark.parametrize(
    "text",
    [json.dumps(event(1)), json.dumps([event(1)]), f"{json.dumps(event(1))}\n\n{json.dumps(event(1))}\n"],
    ids=["one", "a list", "lines"],
)
def test_a_file_holds_one_event_a_list_or_one_a_line(shown: Shown, tmp_path: Path, text: str) -> None:
    (tmp_path / "events.json").write_text(text)
    ids = tocsin("events", "publish", str(tmp_path / "events.json"), *shown.options()).stdout.split()
    found = shown.json("events")
    assert [one["id"] for one in found] == ids
    assert {one["detail"]["n"] for one in found} == {1}


def test_more_events_than_one_call_takes_keep_their_order_and_envelopes_their_time(
    shown: Shown, tmp_path: Path
) -> None:
    given = [event(n, time="2026-01-02T03:04:05Z", resources=["arn:aws:s3:::b"], id="theirs") for n in range(25)]
    (tmp_path / "events.json").write_text(json.dumps(given))
    assert tocsin("events", "publish", str(tmp_path / "events.json"), *shown.options()).returncode == 0
    found = shown.json("events", "--last", "100")
    assert [one["detail"]["n"] for one in found] == list(range(25))
    assert {(one["time"], *one["resources"]) for one in found} == {("2026-01-02T03:04:05Z", "arn:aws:s3:::b")}
    assert "theirs" not in {one["id"] for one in found}


def test_a_refused_event_is_named_and_the_others_are_taken(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text(json.dumps([event(1), event(2, source="aws.sagemaker")]))
    done = tocsin("events", "publish", str(tmp_path / "events.json"), *shown.options())
    assert (done.returncode, len(done.stdout.split())) == (1, 1)
    assert done.stderr == "tocsin: event 2: NotAuthorizedForSourceException: Not authorized for the source.\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "that is no JSON: Expecting value"),
        ("[]", "there are no events in it"),
        ("[1]", "event 1 is no JSON object"),
        ('{"source": "a"}', "event 1 has no detail-type, detail"),
        (json.dumps([event(1), event(2, detail="{}")]), "the detail of event 2 is no JSON object"),
        ("{}\n{", "line 2 is no JSON: "),
    ],
)
def test_what_holds_no_events_is_code_two_and_nothing_is_sent(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "events.json").write_text(text)
    done = tocsin("events", "publish", str(tmp_path / "events.json"), "--endpoint-url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"tocsin: {said}" in done.stderr


def test_a_file_that_is_not_there_and_a_server_that_is_not_there(tmp_path: Path) -> None:
    assert tocsin("events", "publish", str(tmp_path / "none.json")).returncode == 2
    (tmp_path / "one.json").write_text(json.dumps(event(1)))
    done = tocsin("events", "publish", str(tmp_path / "one.json"), "--endpoint-url", "nonsense")
    assert (done.returncode, done.stderr) == (1, "tocsin: Invalid endpoint: nonsense\n")


def test_an_option_before_the_verb_is_not_lost_silently(tmp_path: Path) -> None:
    done = tocsin("events", "--endpoint-url", "http://127.0.0.1:1", "publish", str(tmp_path / "one.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--endpoint-url belongs behind publish" in done.stderr


# in the place of a service


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_service_s_event_reaches_the_target_as_its_file_has_it(shown: Shown, path: Path) -> None:
    logs, events = (shown.server.client(service, shown.account) for service in ("logs", "events"))
    logs.create_log_group(logGroupName="/g")
    events.put_rule(Name="r", EventPattern='{"source": ["aws.sagemaker"]}')
    arn = f"arn:aws:logs:us-west-2:{shown.account}:log-group:/g"
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
    given = json.loads(path.read_text())
    done = tocsin("events", "publish", "--as-service", str(path), *shown.options())
    [event_id] = done.stdout.split()
    [line] = eventually(lambda: log_lines(shown.server, shown.account, "/g"), "a delivery")
    assert json.loads(line) == given | {"id": event_id}
    assert list(json.loads(line)) == list(given)
    [found] = shown.json("events", "--source", "aws.sagemaker")
    assert found == given | {"id": event_id, "tocsin": {"by_hand": True}}
    assert "made by hand" in shown.text("events")


def test_what_a_file_does_not_say_is_said_for_it_and_the_bus_is_chosen(shown: Shown, tmp_path: Path) -> None:
    shown.server.client("events", shown.account).create_event_bus(Name="other")
    (tmp_path / "one.json").write_text(json.dumps([event(1, source="aws.x"), event(2, source="my.app")]))
    done = tocsin("events", "publish", "--as-service", str(tmp_path / "one.json"), "--bus", "other", *shown.options())
    found = shown.json("events", "--bus", "other")
    assert [one["id"] for one in found] == done.stdout.split()
    assert {(one["account"], one["region"], one["version"]) for one in found} == {(shown.account, "us-west-2", "0")}
    assert all(one["time"] for one in found)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"source": 7}, "Expected `str`, got `int` - at `$.events[1].source`"),
        ({"source": ""}, "Event 2: source is empty."),
        ({"time": "yesterday"}, "Event 2: its time 'yesterday' is none that ISO 8601 knows."),
        ({"resources": "x"}, "Expected `array`, got `str` - at `$.events[1].resources`"),
        ({"detail": {"text": "x" * (1 << 20)}}, "Event 2: it is larger than 1048576 bytes."),
    ],
    ids=["type", "empty", "time", "resources", "size"],
)
def test_of_events_of_which_one_is_wrong_none_is_taken(
    shown: Shown, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    (tmp_path / "two.json").write_text(json.dumps([event(1), event(2, **wrong)]))
    done = tocsin("events", "publish", "--as-service", str(tmp_path / "two.json"), *shown.options())
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert shown.json("events") == []


def test_a_bus_that_is_not_there_takes_nothing(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(event(1)))
    done = tocsin("events", "publish", "--as-service", str(tmp_path / "one.json"), "--bus", "none", *shown.options())
    assert (done.returncode, done.stdout) == (1, "")
    assert f"There is no event bus none in account {shown.account}, us-west-2." in done.stderr
