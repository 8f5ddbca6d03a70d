"""Real hosts, here on loopback: agents that join, are claimed, replaced, rebooted, quarantined and released."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.world import group_spec
from tests.doors.asking import tocsin
from tests.harness import WAIT_S, RunningServer, eventually, free_port

SETTINGS = """
[machines]
provider = "hosts"
inventory = "{inventory}"
[fleet]
launch_timeout_s = 120
link_lost_grace_s = 60
reconnect_grace_s = 60
"""
INVENTORY = """
[[host]]
name = "gpu-01"
address = "127.0.0.11"
instance_type = "ml.t3.medium"
labels = { rack = "r1", ultraserver = "us-7", ultraserver_type = "ml.u-p6e-gb200x72" }

[[host]]
name = "gpu-02"
address = "127.0.0.12"
instance_type = "ml.t3.medium"

[[host]]
name = "gpu-03"
address = "127.0.0.13"
instance_type = "ml.t3.medium"
spare = true
"""
HOSTS = ("gpu-01", "gpu-02", "gpu-03")
SCRIPT = '#!/bin/sh\necho ran on $TOCSIN_INSTANCE_ADDRESS\necho once >> "$HOME/ran"\n'


class Room:
    """A server with an inventory, and the hosts' agents, each in a process and a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "inventory.toml").write_text(INVENTORY)
        (folder / "tocsin.toml").write_text(SETTINGS.format(inventory=folder / "inventory.toml"))
        self.agents: dict[str, subprocess.Popen[bytes]] = {}  # the last of each host
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.port = str(free_port())
        self.server = self.served()
        self.source = self.server.bucket("scripts", {"on_create.sh": SCRIPT})
        self.sagemaker = self.server.client("sagemaker")

    def served(self) -> RunningServer:
        return RunningServer(self.folder / "data", "--config", str(self.folder / "tocsin.toml"), "--port", self.port)

    def ask(self, *words: str) -> list[dict[str, Any]]:
        done = tocsin(*words, "--endpoint-url", self.server.endpoint, "--output", "json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def token(self, *options: str) -> str:
        [made] = self.ask("hosts", "token", "create", *options)
        return str(made["token"])

    def place(self, host: str) -> Path:
        return self.folder / host

    def agent(self, host: str, *options: str) -> "subprocess.Popen[bytes]":
        where = ["--server", self.server.endpoint, "--dir", str(self.place(host)), "--host", host]
        with (self.folder / f"{host}.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "agent", *where, *options], stderr=log, start_new_session=True
            )
        self.agents[host] = started
        self._started.append((host, started))
        return started

    def joined(self, *hosts: str, options: tuple[str, ...] = ()) -> None:
        for host in hosts:
            self.agent(host, "--join", self.token("--host", host), *options)
        for host in hosts:
            self.until(host, lambda found: found["linked"], "linked")

    def host(self, name: str) -> dict[str, Any]:
        return next(host for host in self.ask("hosts") if host["name"] == name)

    def until(self, name: str, true: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            host = self.host(name)
            return host if true(host) else None

        host: dict[str, Any] = eventually(found, f"{name} is {what}", WAIT_S)
        return host

    def in_state(self, name: str, state: str) -> dict[str, Any]:
        return self.until(name, lambda host: host["state"] == state, state)

    def create(self, count: int, **more: Any) -> None:
        lifecycle = {"SourceS3Uri": self.source, "OnCreate": "on_create.sh"}
        group = group_spec("workers", count, LifeCycleConfig=lifecycle)
        self.sagemaker.create_cluster(ClusterName="c", InstanceGroups=[group], **more)

    def cluster(self, status: str) -> dict[str, Any]:
        def found() -> Any:
            described = self.sagemaker.describe_cluster(ClusterName="c")
            return described if described["ClusterStatus"] == status else None

        described: dict[str, Any] = eventually(found, f"c is {status}", WAIT_S)
        return described

    def nodes(self, *statuses: str) -> list[dict[str, Any]]:
        """The nodes, once they are in these statuses."""

        def found() -> Any:
            nodes = self.sagemaker.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
            return nodes if sorted(node["InstanceStatus"]["Status"] for node in nodes) == sorted(statuses) else None

        nodes: list[dict[str, Any]] = eventually(found, f"nodes are {statuses}", WAIT_S)
        return nodes

    def kill_instance(self, host: str) -> None:
        instance_id = self.host(host)["instance_id"]
        os.kill(int((self.place(host) / "machines" / instance_id / "pid").read_text()), signal.SIGKILL)

    def close(self) -> None:
        for host, agent in self._started:
            agent.kill()
            agent.wait()
            for pid in (self.place(host) / "machines").glob("*/pid"):
                try:
                    os.kill(int(pid.read_text()), signal.SIGKILL)
                except (ProcessLookupError, OSError, ValueError):
                    continue
        self.server.stop()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def test_hosts_become_instances_are_replaced_by_spares_and_go_back(room: Room) -> None:
    watching = b'{"gpus": false, "daemons": ["sshd"], "inject": true}'
    for name in HOSTS[:2]:
        room.place(name).mkdir()
        (room.place(name) / "watch.json").write_bytes(watching)
    room.joined(*HOSTS)
    room.create(2, NodeRecovery="Automatic")
    room.cluster("InService")
    assert [room.host(name)["state"] for name in HOSTS] == ["claimed", "claimed", "pool"]
    nodes = room.nodes("Running", "Running")
    details = [room.sagemaker.describe_cluster_node(ClusterName="c", NodeId=node["InstanceId"]) for node in nodes]
    addresses = {one["NodeDetails"]["PrivatePrimaryIp"] for one in details}
    assert addresses == {"127.0.0.11", "127.0.0.12"}
    told = [
        {one["InstanceId"]: one.get("UltraServerInfo") for one in many}
        for many in (nodes, [one["NodeDetails"] for one in details])
    ]
    there = {"Id": "us-7", "Type": "ml.u-p6e-gb200x72"}
    claims = {room.host("gpu-01")["instance_id"]: there, room.host("gpu-02")["instance_id"]: None}
    assert told == [claims, claims]
    its = room.place("gpu-01") / "machines" / room.host("gpu-01")["instance_id"]
    assert (its / "home" / "ran").exists()
    assert (its / "watch.json").read_bytes() == watching, "an instance watches what its host says"

    room.kill_instance("gpu-01")
    room.in_state("gpu-03", "claimed")
    sick = room.in_state("gpu-01", "quarantine")
    assert "InstanceTerminated" in sick["why"]
    room.nodes("Running", "Running")
    story = [line["what"] for line in room.ask("story", "c")]
    assert "host gpu-03 claimed" in story
    eventually(lambda: not list((room.place("gpu-01") / "machines").iterdir()), "it is wiped")

    [released] = room.ask("hosts", "release", "gpu-01")
    assert released["state"] == "pool"
    room.sagemaker.delete_cluster(ClusterName="c")
    for name in HOSTS:
        room.in_state(name, "pool")
        assert list((room.place(name) / "machines").iterdir()) == []


def test_a_spare_is_for_replacements_and_no_host_is_no_capacity(room: Room) -> None:
    room.joined("gpu-01", "gpu-03")
    room.create(2)
    failed = room.cluster("Failed")
    assert failed["FailureMessage"] == (
        "We currently do not have sufficient capacity to launch new ml.t3.medium instances. Please try again."
    )
    room.in_state("gpu-01", "pool")


def test_hosts_outlive_the_server_and_their_own_agent(room: Room) -> None:
    room.joined("gpu-01")
    room.create(1)
    room.cluster("InService")
    [node] = room.nodes("Running")
    room.server.kill()
    room.agents["gpu-01"].terminate()
    assert room.agents["gpu-01"].wait(WAIT_S) == 0
    room.server = room.served()
    room.agent("gpu-01")
    room.until("gpu-01", lambda host: host["linked"], "linked")
    assert room.nodes("Running")[0]["InstanceId"] == node["InstanceId"]
    assert room.host("gpu-01")["instance_id"] == node["InstanceId"]


def test_a_host_that_is_away_when_its_instance_ends_is_looked_at_first_and_wiped_when_it_is_back(room: Room) -> None:
    room.joined("gpu-01")
    room.create(1)
    room.cluster("InService")
    room.agents["gpu-01"].kill()
    room.until("gpu-01", lambda host: not host["linked"], "away")
    room.sagemaker.delete_cluster(ClusterName="c")
    away = room.in_state("gpu-01", "quarantine")
    assert "did not answer" in away["why"]
    assert list((room.place("gpu-01") / "machines").iterdir())
    room.agent("gpu-01")
    eventually(lambda: not list((room.place("gpu-01") / "machines").iterdir()), "the directory is wiped", WAIT_S)


def test_a_reboot_runs_the_hosts_command_and_the_instance_comes_back_without_its_script(room: Room) -> None:
    """The command takes everything down, as a reboot does; afterwards the host's agent is started again."""
    marks = room.folder / "rebooted"
    command = room.folder / "reboot.sh"
    command.write_text(f"#!/bin/sh\ntouch {marks}\nkill -9 $(cat {room.place('gpu-01')}/machines/*/pid) $PPID\n")
    command.chmod(0o755)
    room.joined("gpu-01", options=("--reboot-command", str(command)))
    room.create(1)
    room.cluster("InService")
    [node] = room.nodes("Running")
    answer = room.sagemaker.batch_reboot_cluster_nodes(ClusterName="c", NodeIds=[node["InstanceId"]])
    assert answer["Successful"] == [node["InstanceId"]]
    room.agents["gpu-01"].wait(WAIT_S)
    assert marks.exists()
    room.agent("gpu-01", "--reboot-command", str(command))
    [back] = room.nodes("Running")
    assert back["InstanceId"] == node["InstanceId"]
    home = room.place("gpu-01") / "machines" / node["InstanceId"] / "home"
    assert (home / "ran").read_text() == "once\n"


def refused(room: Room, host: str, token: str, *, place: str = "") -> str:
    """What a host is told that wants to join, and may not."""
    where = ["--server", room.server.endpoint, "--dir", str(room.folder / (place or host)), "--host", host]
    command = [sys.executable, "-m", "tocsin", "agent", *where, "--join", token]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ended.returncode == 2
    return ended.stderr


def test_a_token_is_good_once_or_for_many_until_it_is_revoked(room: Room) -> None:
    used = room.token()
    room.agent("gpu-01", "--join", used)
    room.until("gpu-01", lambda host: host["linked"], "linked")
    assert "not known" in refused(room, "gpu-02", used)
    revoked = room.token("--for", "10m")
    room.ask("hosts", "token", "revoke", revoked.partition(".")[0])
    assert "not known" in refused(room, "gpu-02", revoked)
    many = room.token("--many")
    for host in ("gpu-02", "gpu-03"):
        room.agent(host, "--join", many)
        room.until(host, lambda found: found["linked"], "linked")
    assert many.partition(".")[0] in {token["id"] for token in room.ask("hosts", "token", "list")}


def test_a_stolen_token_takes_over_no_host_that_has_joined(room: Room) -> None:
    room.joined("gpu-01")
    assert "has joined already" in refused(room, "gpu-01", room.token(), place="thief")
    credential = room.place("gpu-01") / "host.json"
    assert stat.S_IMODE(credential.stat().st_mode) == 0o600
    secret = json.loads(credential.read_text())["credential"]
    databases = [path.read_bytes() for path in room.server.data_dir.glob("tocsin.db*")]
    assert databases
    assert not any(secret.encode() in database for database in databases)

    room.agents["gpu-01"].terminate()
    room.agents["gpu-01"].wait(WAIT_S)
    room.ask("hosts", "forget", "gpu-01")
    turned_away = room.agent("gpu-01")  # its old credential is good for nothing
    assert turned_away.wait(WAIT_S) == 1
    room.joined("gpu-01")


def test_a_copy_of_a_hosts_credential_does_not_take_its_place(room: Room) -> None:
    room.joined("gpu-01")
    room.create(1)
    before = room.in_state("gpu-01", "claimed")
    copy, log = room.place("copy"), room.folder / "gpu-01.log"
    copy.mkdir()
    (copy / "host.json").write_bytes((room.place("gpu-01") / "host.json").read_bytes())
    second = room.agent("gpu-01", "--dir", str(copy))
    eventually(
        lambda: "gpu-01 is linked already, by another agent" in log.read_text(), "the copy is turned away", WAIT_S
    )
    assert room.host("gpu-01") == before
    second.terminate()
    assert second.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("[[host]]\nname = 'a'\n", "missing required field"),
        ("[[host]]\nname = 'a'\naddress = 'x'\ninstance_type = 't'\n" * 2, "names hosts twice: a"),
        (
            "".join(f"[[host]]\nname = '{name}'\naddress = 'x'\ninstance_type = 't'\n" for name in "ab"),
            "has addresses twice: x",
        ),
        ("nonsense", "Expected '='"),
        (None, "cannot be read"),
    ],
)
def test_an_inventory_that_cannot_be_is_told_at_the_start(tmp_path: Path, inventory: str | None, said: str) -> None:
    if inventory is not None:
        (tmp_path / "inventory.toml").write_text(inventory)
    (tmp_path / "tocsin.toml").write_text(SETTINGS.format(inventory=tmp_path / "inventory.toml"))
    options = ["--config", str(tmp_path / "tocsin.toml"), "--data-dir", str(tmp_path / "d"), "--port", "0"]
    ended = subprocess.run(
        [sys.executable, "-m", "tocsin", "serve", *options], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_without_hosts_there_is_nothing_to_list(server: RunningServer) -> None:
    done = tocsin("hosts", "--endpoint-url", server.endpoint)
    assert (done.returncode, "machines.provider is not hosts" in done.stderr) == (1, True)
