"""`tocsin health`, `fault inject` and `drill` against a server with nodes that are real."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doors.asking import ask, connect, tocsin
from tests.doors.sickbay import XID, Sickbay
from tests.harness import RunningServer, eventually


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
    cleared = ward.run("health", "clear", node, "--fault", "xid", "--reason", "a test")
    assert "no faults are known" in cleared
    assert "Running  Healthy" in cleared
    assert ward.run("health") == "Nothing is wrong with any node.\n"
    assert "clear xid  (a test)" in ward.run("story", node)


def test_a_node_put_aside_stays_so_until_it_is_cleared(ward: Ward) -> None:
    name = next(iter(ward.nodes))
    text = ward.run("health", "quarantine", name, "--reason", "smells odd")
    assert "Running  Unhealthy  Quarantined" in text
    assert "quarantine: smells odd" in text
    assert "Running  Healthy" in ward.run("health", "clear", name)


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
