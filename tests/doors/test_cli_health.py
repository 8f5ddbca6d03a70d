"""`tocsin health`, `fault inject` and `drill` against a server with nodes that are real."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import ask, connect, tocsin
from tests.doors.sickbay import XID, Sickbay
from tests.harness import RunningServer, eventually
from tests.mounting import WHY_NOT


class Ward(Sickbay):
    """A cluster, and the command line pointed at it."""

    def run(self, *arguments: str, code: int = 0) -> str:
        """What the command prints; it ends with that code."""
        where = ("--endpoint-url", self.server.endpoint, "--account", self.account)
        done = tocsin(*arguments, *where)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*arguments, "--output", "json").splitlines()]

    def directory(self, name: str) -> Path:
        """Of the node of that name."""
        found = json.loads(self.run("health", "explain", name, "--output", "json"))
        return self.server.data_dir / "machines" / str(found["instance_id"])

    def post(self, path: str, content: object) -> tuple[int, dict[str, Any]]:
        body = json.dumps(content).encode()
        with connect(self.server) as connection:
            target = f"{path}?account={self.account}&region=us-west-2"
            found = ask(connection, "POST", target, body, Content_Type="application/json")
        return found.status, found.json


@pytest.fixture(scope="module")
def ward(server: RunningServer) -> Iterator[Ward]:
    bay = Ward(server, "555500001111", 2, "None")
    yield bay
    bay.api.delete_cluster(ClusterName="sick")


@pytest.fixture
def mending(server: RunningServer, account: str) -> Iterator[Ward]:
    bay = Ward(server, account, 1, "Automatic")
    yield bay
    bay.api.delete_cluster(ClusterName="sick")


def test_a_node_is_well_sick_explained_and_cleared(ward: Ward) -> None:
    assert ward.run("health") == "Nothing is wrong with any node.\n"
    node = min(ward.nodes)
    ward.kernel_says(node, XID.format(code=79))
    [told] = eventually(lambda: ward.json("health"), "the fault is known")
    assert (told["instance_id"], told["health"], told["fault_type"]) == (node, "Unhealthy", "NvidiaErrorReboot")
    assert told["next"] == "nothing: NodeRecovery is None (else: reboot)"
    assert [(one["fault"], one["part"], one["counts"]) for one in told["faults"]] == [("xid-79", "0000:b9:00", True)]
    text = ward.run("health", "explain", node)
    assert "error xid-79 of 0000:b9:00  kmsg" in text
    assert "it makes the node unhealthy; asks for: reboot; ends when the node was rebooted" in text
    assert "lemon score: 2 of 10 points, since " in text
    assert "driver errors: 1, taken out: 1" in text
    missed = ward.run("health", "clear", node, "--fault", "xid-97", code=1)
    assert "has no fault xid-97. It has: xid-79 of 0000:b9:00." in missed
    cleared = ward.run("health", "clear", node, "--fault", "xid", "--reason", "a test")
    assert "lemon score: 2 of 10 points" in cleared, "what befell the machine is remembered"
    assert "no faults are known" in cleared
    assert "Running  Healthy" in cleared
    assert ward.run("health") == "Nothing is wrong with any node.\n"
    assert "clear xid  (a test)" in ward.run("story", node)


def test_a_node_put_aside_stays_so_until_it_is_cleared(ward: Ward) -> None:
    name = next(iter(ward.nodes))
    text = ward.run("health", "quarantine", name, "--reason", "smells odd")
    assert "Running  Unhealthy  Quarantined" in text
    assert "quarantine: smells odd" in text
    cleared = ward.run("health", "clear", name)
    assert "Running  Healthy" in cleared
    assert "lemon" not in cleared, "nothing is held against it any more"


def test_nodes_have_names_too_and_strangers_are_refused(ward: Ward) -> None:
    assert "sick/workers-1" in ward.run("health", "explain", "workers-1")
    assert "sick/workers-2" in ward.run("health", "explain", "sick/workers-2")
    assert "There is no node workers-9" in ward.run("health", "explain", "workers-9", code=1)
    status, said = ward.post("/_tocsin/v1/health", {"node": "workers-1", "action": "sing"})
    assert (status, "cannot be read" in said["error"]) == (400, True)
    status, said = ward.post("/_tocsin/v1/health", {"node": "workers-1", "action": "clear", "reason": "x" * 201})
    assert (status, "200 characters" in said["error"]) == (400, True)


def test_a_fault_is_put_in_listed_and_taken_out(ward: Ward) -> None:
    [put] = ward.json("fault", "inject", "workers-2", "--reading", "processes.zombies=50", "p", "--for", "1h")
    assert (put["node"], put["what"], put["argument"], put["part"]) == (
        "workers-2",
        "reading",
        "processes.zombies=50",
        "p",
    )
    assert f"{put['id']}  reading processes.zombies=50 p  in sick/workers-2" in ward.run("fault", "list")
    known = eventually(lambda: ward.json("health"), "the fault is known")
    assert [(one["fault"], one["severity"]) for one in known[0]["faults"]] == [("zombies", "warning")]
    ward.run("fault", "take-out", put["id"])
    eventually(lambda: not ward.json("health"), "the fault is over")
    assert put["id"] not in ward.run("fault", "list")
    assert "There is no fault" in ward.run("fault", "take-out", put["id"], code=1)


def test_a_lost_gpu_is_found_through_the_profile_and_comes_back_in_time(ward: Ward) -> None:
    ward.run("fault", "inject", "workers-2", "--gpu-lost", "--for", "3s")
    told = eventually(lambda: ward.json("health"), "the GPU is missed")
    assert [(one["fault"], one["part"]) for one in told[0]["faults"]] == [("gpu-lost", "0000:b9:00")]
    eventually(lambda: not ward.json("health"), "the GPU is back")


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_a_real_disk_is_filled_found_listed_and_taken_out(ward: Ward) -> None:
    [put] = ward.json("fault", "inject", "workers-2", "--for", "1h", "--disk-full")
    assert put["confirmed"] is True
    told = eventually(lambda: ward.json("health"), "the disk is found full")
    place = str(ward.directory("workers-2") / "faults" / put["id"])
    assert [(one["fault"], one["part"], one["severity"]) for one in told[0]["faults"]] == [
        ("disk-full", place, "error")
    ]
    assert f"{put['id']}  disk-full  in sick/workers-2" in ward.run("fault", "list")
    ward.run("fault", "take-out", put["id"])
    eventually(lambda: not ward.json("health"), "the fault is over")
    assert place not in Path("/proc/self/mounts").read_text()


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_a_node_that_is_replaced_takes_its_made_disk_along(mending: Ward) -> None:
    """A read-only file system is a fault that only another machine mends, and that machine has another disk."""
    before = set(mending.nodes)
    steps = mending.json("drill", "workers-1", "--readonly")
    assert [one["step"] for one in steps] == ["put in", "found", "event", "delivered", "healthy"]
    assert steps[-1]["what"].startswith("replaced by i-")
    eventually(lambda: not before & set(mending.nodes), "the old instance is gone")
    [gone] = before
    assert not (mending.server.data_dir / "machines" / gone).exists()
    assert gone not in Path("/proc/self/mounts").read_text()


def test_a_fault_is_listed_no_more_once_its_node_is_gone(mending: Ward) -> None:
    [before] = mending.nodes
    mending.run("fault", "inject", "workers-1", "--xid", "64", "--for", "1h")
    eventually(lambda: before not in mending.nodes and set(mending.nodes.values()) == {"Running"}, "it is replaced")
    assert mending.json("fault", "list") == []


def test_what_a_node_refuses_is_said_and_is_not_listed(ward: Ward) -> None:
    watch = ward.directory("workers-2") / "somewhere"
    watch.mkdir()
    (watch / "work").touch()
    said = ward.run("fault", "inject", "workers-2", "--disk-full", "somewhere", code=1)
    assert re.search("workers-2 does not take it in: .*(is not empty|takes root|not installed)", said)
    assert "somewhere" not in ward.run("fault", "list")


def test_an_agent_that_stands_still_goes_on_when_the_fault_is_taken_out(ward: Ward) -> None:
    pid = (ward.directory("workers-1") / "pid").read_text()
    [put] = ward.json("fault", "inject", "workers-1", "--hang", "--for", "1h")

    def state() -> str:
        return Path("/proc", pid, "stat").read_text().rpartition(") ")[2][0]

    eventually(lambda: state() == "T", "the agent is stopped")
    ward.run("fault", "take-out", put["id"])
    eventually(lambda: state() != "T", "the agent goes on")
    [after] = eventually(lambda: ward.json("fault", "inject", "workers-1", "--xid", "13"), "it answers again")
    assert after["confirmed"] is True
    ward.run("fault", "take-out", after["id"])
    eventually(lambda: ward.json("health"), "its fault is known")
    ward.run("health", "clear", "workers-1")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"what": "xid", "argument": "seventy"}, "An Xid is a number"),
        ({"what": "gpu-lost", "argument": "x"}, "A GPU is told by its number"),
        ({"what": "kmsg", "argument": "a\nb"}, "one line"),
        ({"what": "reading", "argument": "no.such=1"}, "There is no reading no.such"),
        ({"what": "reading", "argument": "gpu.lost=x"}, "A reading is a number"),
        ({"what": "hang", "for_s": 0}, "for_s must be above 0"),
        ({"what": "flood"}, "cannot be read"),
        ({"what": "hang", "node": "workers-9"}, "There is no node"),
    ],
)
def test_what_cannot_be_put_in_is_refused_in_words(ward: Ward, asked: dict[str, Any], words: str) -> None:
    status, said = ward.post("/_tocsin/v1/injections", {"node": "workers-1", **asked})
    assert status in (400, 404)
    assert words in said["error"]


def test_one_fault_at_a_time_is_put_in(ward: Ward) -> None:
    assert "name one fault" in ward.run("fault", "inject", "workers-1", code=2)
    assert "name one fault" in ward.run("fault", "inject", "workers-1", "--hang", "--xid", "79", code=2)


def test_a_drill_times_a_fault_from_the_kernel_log_to_the_healthy_node(mending: Ward) -> None:
    steps = mending.json("drill", "workers-1", "--xid", "79")
    assert [one["step"] for one in steps] == ["put in", "found", "event", "delivered", "healthy"]
    assert steps[-1]["what"] == "the node is healthy again"
    assert all(one["after_s"] >= 0 for one in steps)
    again = mending.json("drill", "workers-1", "--dead")
    assert [one["step"] for one in again] == ["put in", "event", "delivered", "healthy"]
    assert again[-1]["what"].startswith("replaced by i-")


def test_a_drill_ends_where_nothing_is_to_be_done(ward: Ward) -> None:
    steps = ward.json("drill", "workers-1", "--kmsg", "nf_conntrack: table full, dropping packet")
    assert [one["step"] for one in steps] == ["put in", "left"]
    assert steps[-1]["what"] == "conntrack-full: a warning leaves the node healthy"
    ward.run("health", "clear", "workers-1")


def test_a_drill_begins_with_a_healthy_node(ward: Ward) -> None:
    before = ward.json("fault", "list")
    ward.run("health", "quarantine", "workers-1")
    said = ward.run("drill", "workers-1", "--xid", "79", code=1)
    assert "workers-1 is Unhealthy already (Quarantined)" in said
    assert ward.json("fault", "list") == before, "nothing was put in"
    ward.run("health", "clear", "workers-1")


def test_a_drill_ends_where_nobody_misses_an_agent_that_stands_still_for_a_moment(ward: Ward) -> None:
    steps = ward.json("drill", "workers-2", "--hang", "--for", "1s")
    assert [one["step"] for one in steps] == ["put in", "left"]
    assert steps[-1]["what"] == "its agent went on before it was missed"


def test_a_drill_ends_at_a_lemon(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text("[health]\nlemon_points = 2\n")
    server = RunningServer(data, "--config", str(settings))
    try:
        steps = Ward(server, "555500002222", 1, "Automatic").json("drill", "workers-1", "--xid", "79")
    finally:
        server.stop()
    assert [one["step"] for one in steps] == ["put in", "found", "event", "delivered", "left"]
    assert "is left as it is: this machine is a lemon: 2 points" in steps[-1]["what"]
