"""`tocsin status`, `events` and `story`: what a person sees of a running server, and what a script reads of it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import ask, configured, connect, tocsin
from tests.harness import WAIT_S, RunningServer, eventually, free_port

ROLE = "arn:aws:iam::111122223333:role/hyperpod"


class Shown:
    """The command, asked about one account of one server."""

    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.sagemaker = server.client("sagemaker", account)

    def options(self) -> list[str]:
        return ["--endpoint-url", self.server.endpoint, "--account", self.account, "--region", "us-west-2"]

    def text(self, *arguments: str) -> str:
        done = tocsin(*arguments, *self.options())
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text(*arguments, "--output", "json").splitlines()]

    def create(self, name: str, count: int, until: str = "InService", **more: Any) -> str:
        """A cluster of a group `g`; answers its id."""
        group = {
            "InstanceGroupName": "g",
            "InstanceCount": count,
            "InstanceType": "ml.t3.medium",
            "ExecutionRole": ROLE,
            **more,
        }
        arn: str = self.sagemaker.create_cluster(ClusterName=name, InstanceGroups=[group])["ClusterArn"]
        eventually(
            lambda: self.sagemaker.describe_cluster(ClusterName=name)["ClusterStatus"] == until, f"{name} is {until}"
        )
        return arn.split("/")[-1]

    def delete(self, name: str) -> None:
        self.sagemaker.delete_cluster(ClusterName=name)
        eventually(lambda: not self.sagemaker.list_clusters(NameContains=name)["ClusterSummaries"], f"{name} is gone")

    def put(self, *details: str, source: str = "my.app") -> None:
        entries = [{"Source": source, "DetailType": "thing happened", "Detail": detail} for detail in details]
        self.server.client("events", self.account).put_events(Entries=entries)


@pytest.fixture
def shown(server: RunningServer, account: str) -> Shown:
    return Shown(server, account)


@pytest.fixture(scope="module")
def told(server: RunningServer) -> Shown:
    """An account with a history that tests only look at: a cluster gone, one that failed, one that lives."""
    told = Shown(server, "700000000002")
    told.put('{"n": 1, "text": "[bold]not markup[/]"}')
    told.create("gone", 0)
    told.delete("gone")
    script = {"LifeCycleConfig": {"SourceS3Uri": server.bucket("told", {"x.sh": "exit 7"}), "OnCreate": "x.sh"}}
    told.create("broken", 1, "Failed", **script)
    told.create("alive", 1)
    return told


# status


def test_status_shows_clusters_groups_and_nodes(told: Shown) -> None:
    [node] = told.sagemaker.list_cluster_nodes(ClusterName="alive")["ClusterNodeSummaries"]
    lines = told.text("status").splitlines()
    text = "\n".join(lines)
    assert re.search(
        r"^alive  InService  arn:aws:sagemaker:us-west-2:700000000002:cluster/[a-z0-9]{12}$", text, re.MULTILINE
    )
    assert "  g  1/1  ml.t3.medium  InService" in lines
    assert any(line.split() == ["g-1", node["InstanceId"], "Running", "Healthy"] for line in lines)
    assert re.search(r"^broken  Failed ", text, re.MULTILINE)
    assert "gone" not in text


def test_a_long_line_is_whole_where_it_goes_into_a_pipe(told: Shown) -> None:
    [why] = [line for line in told.text("status").splitlines() if "Lifecycle scripts did not run" in line]
    assert why.strip().startswith("Instance i-")
    assert why.endswith("Note that multiple instances may be impacted.")


def test_status_as_json_is_one_object(told: Shown) -> None:
    [answer] = told.json("status")
    assert (answer["account"], answer["region"]) == (told.account, "us-west-2")
    clusters = {one["ClusterName"]: one for one in answer["clusters"]}
    assert set(clusters) == {"alive", "broken"}
    [node] = clusters["alive"]["Nodes"]
    assert (node["Name"], node["Health"], node["InstanceStatus"]["Status"]) == ("g-1", "Healthy", "Running")
    assert answer["bus"]["routed"] > 0


def test_status_of_nothing_says_whose_nothing(shown: Shown) -> None:
    assert shown.text("status") == f"No clusters in account {shown.account}, us-west-2.\n"


def test_status_of_one_cluster_is_of_that_one_by_name_or_id(told: Shown) -> None:
    [alive] = told.json("status", "alive")[0]["clusters"]
    assert told.json("status", alive["ClusterArn"].split("/")[-1])[0]["clusters"] == [alive]
    done = tocsin("status", "nobody", *told.options())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There is no cluster nobody. `tocsin status` lists those there are.\n"


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Shown]:
    """A cluster of 60 simulated nodes, which take no time."""
    running = RunningServer(tmp_path / "data", "--test-mode")
    large = Shown(running, "111122223333")
    large.create("large", 60)
    yield large
    assert running.stop() == 0


def test_of_a_large_cluster_only_those_are_shown_that_are_not_calm(large: Shown) -> None:
    shown = large.text("status").splitlines()
    assert shown[1:] == ["  g  60/60  ml.t3.medium  InService", "    60 more run and are well; --all shows them"]
    assert sum("Running" in line for line in large.text("status", "--all").splitlines()) == 60
    [cluster] = large.json("status")[0]["clusters"]
    assert (len(cluster["Nodes"]), cluster["NodesLeftOut"]) == (60, 0)
    sick = cluster["Nodes"][41]["InstanceId"]
    large.text("health", "quarantine", sick, "--reason", "to be seen")
    *_, node, rest = large.text("status", "large").splitlines()
    assert node.split()[:2] == ["g-42", sick]
    assert rest == "    59 more run and are well; --all shows them"


def test_the_endpoint_may_come_from_a_variable(told: Shown) -> None:
    done = tocsin("status", "--account", told.account, environment={"TOCSIN_ENDPOINT": f"{told.server.endpoint}/"})
    assert "alive" in done.stdout


# events


def test_events_come_in_order_one_a_line(told: Shown) -> None:
    lines = told.text("events").splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ thing happened  my.app ", lines[0])
    assert '"text": "[bold]not markup[/]"' in lines[0]
    told_of = [line.split("  ")[1:3] for line in lines[1:]]
    statuses = ["Creating", "InService", "Deleting"], ["Creating", "RollingBack", "Failed"], ["Creating", "InService"]
    names = "gone", "broken", "alive"
    assert [one[0] for one in told_of] == [f"{n} {s}" for n, some in zip(names, statuses, strict=True) for s in some]
    assert "Lifecycle scripts did not run successfully" in lines[-3]


def test_events_as_json_are_the_envelopes(told: Shown) -> None:
    first, *rest = told.json("events")
    assert list(first) == [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ]
    assert first["detail"] == {"n": 1, "text": "[bold]not markup[/]"}
    assert {event["source"] for event in rest} == {"aws.sagemaker"}


def test_events_can_be_chosen(told: Shown) -> None:
    assert [event["detail"]["n"] for event in told.json("events", "--source", "my.app")] == [1]
    alive = told.json("events", "--cluster", "alive")
    assert [event["detail"]["ClusterStatus"] for event in alive] == ["Creating", "InService"]
    assert len(told.json("events", "--detail-type", "cluster STATE change")) == 8
    assert told.json("events", "--detail-type", "Node Health") == []
    assert told.json("events", "--cluster", "alive", "--source", "my.app") == []


def test_the_last_events_are_the_last_of_those_that_are_wanted(shown: Shown) -> None:
    shown.put('{"ClusterName": "rare"}')
    noise = [f'{{"n": {number}}}' for number in range(10)]
    for _ in range(45):  # more than a slice of the journal, and of other accounts, too
        shown.put(*noise)
    Shown(shown.server, "700000000003").put(*noise)
    assert [event["detail"]["n"] for event in shown.json("events", "--last", "3")] == [7, 8, 9]
    assert len(shown.json("events", "--last", "450")) == 450
    assert len(shown.json("events", "--last", "1000")) == 451
    assert [event["detail"] for event in shown.json("events", "--last", "2", "--cluster", "rare")] == [
        {"ClusterName": "rare"}
    ]
    assert shown.text("events", "--last", "0") == ""


@contextlib.contextmanager
def following(
    shown: Shown, *arguments: str, verb: tuple[str, ...] = ("events",)
) -> Iterator[tuple[list[str], "subprocess.Popen[str]"]]:
    """`tocsin events --follow`, say: its lines so far, and its process, which is killed in the end."""
    command = [sys.executable, "-m", "tocsin", *verb, "--follow", *arguments, *shown.options()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stdout is not None
    stdout = process.stdout
    reading = threading.Thread(target=lambda: lines.extend(iter(stdout.readline, "")))
    reading.start()
    try:
        yield lines, process
    finally:
        process.kill()
        reading.join(WAIT_S)
        process.communicate(timeout=WAIT_S)


def test_events_are_followed_as_they_come(shown: Shown) -> None:
    shown.put('{"n": 0}')
    with following(shown, "--output", "json", "--source", "my.app", "--last", "1") as (lines, process):
        eventually(lambda: len(lines) == 1, "the past event")
        shown.put('{"n": 1}', source="other")
        shown.put('{"n": 2}')
        eventually(lambda: len(lines) == 2, "the next event")
        shown.put('{"n": 3}')
        eventually(lambda: len(lines) == 3, "the one after")
        assert [json.loads(line)["detail"]["n"] for line in lines] == [0, 2, 3]
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_following_waits_with_a_word_for_a_server_that_went_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    port = str(free_port())
    with configured(tmp_path_factory.mktemp("away"), "", "--port", port) as running:
        shown = Shown(running, "111122223333")
        shown.put('{"n": 1}')
        with following(shown, "--output", "json") as (lines, process):
            eventually(lambda: len(lines) == 1, "the past event")
            assert running.stop() == 0
            assert "Traceback" not in running.errors.read_text()
            assert process.stderr is not None
            assert "Waiting for it" in process.stderr.readline()
            back = RunningServer(running.data_dir, "--port", port)
            try:
                Shown(back, "111122223333").put('{"n": 2}')
                eventually(lambda: len(lines) == 2, "what came while the follower waited")
            finally:
                back.stop()
        assert [json.loads(line)["detail"]["n"] for line in lines] == [1, 2]


# story


def test_a_story_is_told_in_order_with_reasons(told: Shown) -> None:
    lines = told.text("story", "broken").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [a-z]+ ", line) for line in lines)
    assert "CreateCluster  (g x1)" in "".join(lines[:2])
    told_in_order = [
        "nothing → Creating",
        "g-1 ordered: ml.t3.medium",
        "g-1: lifecycle script started",
        "g-1: lifecycle script failed",
        "g-1: Pending → Failure",
        "Creating → RollingBack",
        "g-1: Failure → ShuttingDown",
        "g-1 is gone",
        "RollingBack → Failed",
    ]
    places = [next((at for at, line in enumerate(lines) if words in line), -1) for words in told_in_order]
    assert places == sorted(places), "\n".join(lines)
    assert -1 not in places, "\n".join(lines)
    assert places[-1] == len(lines) - 1
    assert "Lifecycle scripts did not run successfully" in lines[-1]


@pytest.mark.parametrize("name", ["gone", "alive"])
def test_the_story_of_a_cluster_is_found_by_name_and_by_id_also_when_it_is_gone(told: Shown, name: str) -> None:
    by_name = told.json("story", name)
    assert {line["cluster"] for line in by_name} == {name}
    assert "CreateCluster" in [line["what"] for line in by_name[:2]]
    assert told.json("story", by_name[0]["cluster_id"]) == by_name


def test_the_story_of_a_name_goes_on_with_its_next_bearer(shown: Shown) -> None:
    first = shown.create("again", 0)
    shown.delete("again")
    second = shown.create("again", 0)
    ids = [line["cluster_id"] for line in shown.json("story", "again")]
    assert ids == sorted(ids, key=[first, second].index)
    assert set(ids) == {first, second}
    assert {line["cluster_id"] for line in shown.json("story", second)} == {second}


def test_the_story_of_a_node_is_its_own(told: Shown) -> None:
    [node] = told.sagemaker.list_cluster_nodes(ClusterName="alive")["ClusterNodeSummaries"]
    lines = told.json("story", node["InstanceId"])
    assert {line["instance_id"] for line in lines} == {node["InstanceId"]}
    assert lines[-1]["what"] == "g-1: Pending → Running"


def test_the_last_lines_of_a_story_are_its_end(told: Shown) -> None:
    whole = told.json("story", "broken")
    assert told.json("story", "broken", "--last", "3") == whole[-3:]
    assert told.json("story", "broken", "--last", "1000") == whole


def test_a_story_is_followed_as_it_goes_on(shown: Shown) -> None:
    shown.create("on", 0)
    before = shown.json("story", "on")
    with following(shown, "--last", "1", "--output", "json", verb=("story", "on")) as (lines, _):
        eventually(lambda: len(lines) == 1, "the last line")
        shown.delete("on")
        eventually(lambda: "Deleting → gone" in json.loads(lines[-1])["what"], "the end of the story")
        assert [json.loads(line) for line in lines] == shown.json("story", "on")[len(before) - 1 :]


def test_a_story_that_nobody_knows_is_said_to_be_unknown(told: Shown) -> None:
    for output in ("text", "json"):
        done = tocsin("story", "nobody", *told.options(), "--output", output)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Nothing is told of nobody. `tocsin status` lists the clusters there are.\n"


def test_stories_are_apart_by_account(told: Shown, shown: Shown) -> None:
    assert tocsin("story", "alive", *shown.options()).returncode == 1


# trouble


@pytest.mark.parametrize("verb", [["status"], ["events"], ["events", "--follow"], ["story", "x"], ["story", "x", "-f"]])
def test_a_server_that_does_not_answer_is_said_not_to(verb: list[str]) -> None:
    done = tocsin(*verb, "--endpoint-url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"tocsin: no Tocsin answers at http://127\.0\.0\.1:1 \(.*refused\)\. Start one with: tocsin serve\n",
        done.stderr,
    )


def test_something_that_is_no_tocsin_is_said_to_be_none(server: RunningServer) -> None:
    done = tocsin("status", "--endpoint-url", "ftp://127.0.0.1")
    assert (done.returncode, done.stderr) == (1, "tocsin: ftp://127.0.0.1 is no http:// address\n")
    done = tocsin("status", "--endpoint-url", f"{server.endpoint}/elsewhere")
    assert done.returncode == 1
    assert "answers 400" in done.stderr


def test_a_reader_that_goes_away_is_no_trouble(told: Shown) -> None:
    command = [sys.executable, "-m", "tocsin", "events", "--output", "json", *told.options()]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=WAIT_S, check=False)
    finally:
        os.close(writing)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "query", ["after=x", "after=-5", "after=99999999999999999999", "wait_s=soon", "limit=0", "last=x", "last=-1"]
)
def test_numbers_that_are_none_are_taken_for_the_usual(server: RunningServer, query: str) -> None:
    with connect(server) as connection:
        for path in ("events", "story"):
            assert ask(connection, "GET", f"/_tocsin/v1/{path}?{query}").status == 200


def test_a_usage_error_is_code_two() -> None:
    wrong: Callable[..., int] = lambda *arguments: tocsin(*arguments).returncode  # noqa: E731
    assert [wrong("story"), wrong("story", "x", "--last", "0"), wrong("events", "--last", "x")] == [2, 2, 2]
    assert wrong("nonsense") == 2


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (("alarm", "list"), "No alarms.\n"),
        (("fault", "list"), "No fault is planned, and none is put in.\n"),
        (("fault", "clear", "--all"), "No fault was planned.\n"),
        (("channels",), "No channels.\n"),
    ],
)
def test_where_there_is_nothing_a_verb_says_so(
    server: RunningServer, account: str, verb: tuple[str, ...], said: str
) -> None:
    where = ("--endpoint-url", server.endpoint, "--account", account)
    assert tocsin(*verb, *where).stdout == said
    assert tocsin(*verb, *where, "--output", "json").stdout == ""
