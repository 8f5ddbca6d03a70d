"""`tocsin noise`, and rules' tags: who asks for less gets less, is told of it, and can see what was held back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.asking import log_lines, refusal, tocsin
from tests.doors.test_cli_show import Shown
from tests.harness import RunningServer, eventually


class Quiet(Shown):
    """A rule `r` into a log group `/g`."""

    def __init__(self, server: RunningServer, account: str) -> None:
        super().__init__(server, account)
        self.events = server.client("events", account)
        server.client("logs", account).create_log_group(logGroupName="/g")
        self.arn: str = self.events.put_rule(Name="r", EventPattern='{"source": ["my.app"]}')["RuleArn"]
        group = f"arn:aws:logs:us-west-2:{account}:log-group:/g"
        self.events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": group}])

    def got(self) -> list[str]:
        found = [json.loads(line) for line in log_lines(self.server, self.account, "/g")]
        return [str(one["detail"].get("n", f"+{one['detail'].get('HeldBack')}")) for one in found]

    def put_numbers(self, *numbers: int) -> None:
        for number in numbers:
            self.put(json.dumps({"n": number, "k": number % 2}))


@pytest.fixture
def quiet(server: RunningServer, account: str) -> Quiet:
    return Quiet(server, account)


def test_a_control_is_set_shown_obeyed_and_cleared(quiet: Quiet) -> None:
    said = quiet.text("noise", "set", "r", "log", "deduplicate=detail.k/1h")
    assert said == "r on default, target log: deduplicate=detail.k/1h  (by setting, held back 0)\n"
    quiet.put_numbers(1, 2, 3, 4)
    eventually(lambda: len(quiet.json("events", "--held")) == 2, "two held back")
    assert quiet.got() == ["1", "2"]
    first, second = quiet.json("events", "--held")
    assert [one["detail"]["n"] for one in (first, second)] == [3, 4]
    [held] = first["tocsin"]["held"]
    assert (held["rule"], held["target"], held["by"]) == (quiet.arn, "log", "deduplicate")
    assert "which is alike" in held["why"]
    assert len(quiet.json("events", "--since", "1h", "--held")) == 2
    assert ["tocsin" in one for one in quiet.json("events")] == [False, False, True, True]
    assert quiet.text("events").count("held back from r, log by deduplicate: within 3600 s of") == 2
    explained = quiet.text("rule", "explain", "r")
    assert "Target log is spared: deduplicate=detail.k/1h" in explained
    assert explained.count("held back from log by deduplicate") == 2
    [told] = quiet.json("noise", "list", "--rule", "r")
    assert told == {
        "bus": "default",
        "rule": "r",
        "target": "log",
        "control": "deduplicate=detail.k/1h",
        "by": "setting",
        "held": 2,
    }
    assert quiet.text("noise", "clear", "r", "log") == "No noise control: every delivery is made.\n"
    quiet.put_numbers(5, 6)
    eventually(lambda: quiet.got() == ["1", "2", "5", "6"], "all again")


def test_a_throttle_ends_in_a_digest(quiet: Quiet) -> None:
    quiet.text("noise", "set", "r", "log", "throttle=1/2s")
    quiet.put(*(json.dumps({"n": number}) for number in range(4)))
    eventually(lambda: quiet.got() == ["0", "+3"], "a digest")


def test_tags_of_the_rule_say_the_same(quiet: Quiet) -> None:
    quiet.events.tag_resource(ResourceARN=quiet.arn, Tags=[{"Key": "tocsin:noise", "Value": "throttle=1/1h"}])
    [told] = quiet.json("noise", "list")
    assert (told["control"], told["by"]) == ("throttle=1/1h", "tag")
    quiet.put_numbers(1, 2)
    eventually(lambda: len(quiet.json("events", "--held")) == 1, "one held back")
    quiet.text("noise", "set", "r", "log", "throttle=2/1h")
    assert [one["control"] for one in quiet.json("noise", "list")] == ["throttle=2/1h"]
    quiet.text("noise", "clear", "r", "log")
    quiet.events.untag_resource(ResourceARN=quiet.arn, TagKeys=["tocsin:noise"])
    assert quiet.json("noise", "list") == []
    eventually(lambda: quiet.got() == ["1", "+1"], "the digest of the control that is gone")


def test_what_is_no_control_is_refused_where_it_is_said(quiet: Quiet) -> None:
    done = tocsin("noise", "set", "r", "log", "mute=1", *quiet.options())
    assert (done.returncode, done.stdout) == (1, "")
    assert "'mute=1' is no noise control. Write on-change=" in done.stderr
    tag = [{"Key": "tocsin:noise:log", "Value": "throttle=0/1h"}]
    refused = refusal(quiet.events.tag_resource, ResourceARN=quiet.arn, Tags=tag)
    assert (refused.code, refused.message) == (
        "ValidationException",
        "throttle lets through 1 to 100000 deliveries, not '0'.",
    )
    for rule, target, why in (("none", "log", "There is no rule none on bus default."), ("r", "x", "It has: log.")):
        done = tocsin("noise", "set", rule, target, "throttle=1/1h", *quiet.options())
        assert done.returncode == 1
        assert why in done.stderr


def test_a_rule_that_is_made_anew_starts_clean(quiet: Quiet) -> None:
    quiet.text("noise", "set", "r", "log", "throttle=1/1h")
    quiet.events.remove_targets(Rule="r", Ids=["log"])
    quiet.events.delete_rule(Name="r")
    again = quiet.events.put_rule(Name="r", EventPattern='{"source": ["my.app"]}')
    group = f"arn:aws:logs:us-west-2:{quiet.account}:log-group:/g"
    quiet.events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": group}])
    assert again["RuleArn"] == quiet.arn
    assert quiet.json("noise", "list") == []


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[list[RunningServer]]:
    servers = [RunningServer(tmp_path / "data")]
    yield servers
    servers[-1].stop()


def test_what_was_held_back_outlives_a_kill(mortal: list[RunningServer]) -> None:
    before = Quiet(mortal[0], "111122223333")
    before.text("noise", "set", "r", "log", "throttle=1/1h")
    before.put_numbers(1, 2, 3)
    eventually(lambda: len(before.json("events", "--held")) == 2, "two held back")
    mortal[0].kill()
    mortal.append(RunningServer(mortal[0].data_dir))
    after = Shown(mortal[1], "111122223333")
    after.put('{"n": 4}')
    eventually(lambda: len(after.json("events", "--held")) == 3, "the window goes on")
    after.text("noise", "clear", "r", "log")
    lines = eventually(
        lambda: found if len(found := log_lines(mortal[1], "111122223333", "/g")) == 2 else None, "the digest"
    )
    assert json.loads(lines[1])["detail"]["HeldBack"] == 3
