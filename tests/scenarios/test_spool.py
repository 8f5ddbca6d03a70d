"""A node's agent and the server fall at any moment, apart and together: every finding arrives exactly once.

TOCSIN_SPOOL_KILLS (6) says how often something falls, TOCSIN_SPOOL_SEED (1) what and when.
"""

import json
import os
import random
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.harness import WAIT_S, eventually
from tests.scenarios.stage import WORKER, Stage, staged
from tocsin.model.nodedir import DIRECTORY_VARIABLE, WATCH_FILE
from tocsin.model.watching import Watching

KILLS = int(os.environ.get("TOCSIN_SPOOL_KILLS", "6"))
SEED = int(os.environ.get("TOCSIN_SPOOL_SEED", "1"))
# Below what an agent tells apart at a time: beyond, it drops and says so.
FINDINGS_MAX = 200
WATCHING = Watching(kmsg="kmsg", host=False, gpus=False)
VICTIMS = ("agent", "server", "both")
# An Xid of the application, so that nothing is done about it; a GPU of its own for each, so that none is a repeat.
LINE = "NVRM: Xid (PCI:0000:{high:02x}:{low:02x}): 13, pid=1, name=python3, finding {number} of the test"


class Machine:
    """A node's machine in our hands: its kernel's log outlives its agent, as on a machine of its own."""

    def __init__(self, stage: Stage, instance_id: str) -> None:
        self._stage, self.instance_id = stage, instance_id
        self.place: Path = stage.data / "machines" / instance_id
        self.written = 0
        self._agent: subprocess.Popen[bytes] | None = None

    def take_over(self, watching: Watching = WATCHING) -> None:
        """End the provider's agent, and go on with one that starts again on the same boot."""
        self._stage.kill_agent(self.instance_id)
        eventually(lambda: self.instance_id not in self._stage.agents(), "the provider's agent is gone")
        (self.place / "kmsg").unlink(missing_ok=True)
        (self.place / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tocsin", "agent", "--instance-id", self.instance_id]
        where = ["--server", self._stage.server.endpoint, "--dir", str(self.place)]
        environment = {**os.environ, DIRECTORY_VARIABLE: str(self.place)}
        with (self.place / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen([*command, *where], env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9, and gone."""
        if self._agent:
            self._agent.kill()
            self._agent.wait(WAIT_S)

    def find(self) -> None:
        """The kernel logs one more error."""
        self.written += 1
        text = LINE.format(high=self.written >> 8, low=self.written & 255, number=self.written)
        with (self.place / "kmsg").open("a") as log:
            log.write(f"3,{self.written},1,-;{text}\n")

    def arrived(self) -> Counter[int]:
        """How often each finding stands in the health agent's stream."""
        prefix = "/aws/sagemaker/Clusters/spooled/"
        groups = self._stage.call(lambda: self._stage.logs.describe_log_groups(logGroupNamePrefix=prefix))["logGroups"]
        lines = [line for group in groups for line in self._stage._lines(group["logGroupName"])]
        told = [json.loads(one["message"]) for one in lines if "HealthMonitoringAgent" in one["logStreamName"]]
        texts = (re.search(r"finding (\d+) of the test", str(one)) for one in told)
        return Counter(int(found[1]) for found in texts if found)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


@pytest.fixture
def machine(stage: Stage) -> Iterator[Machine]:
    stage.create("spooled", stage.group(WORKER), NodeRecovery="None")
    stage.until("spooled", "InService")
    one = Machine(stage, next(iter(stage.nodes("spooled"))))
    one.take_over()
    yield one
    one.kill()


def fall(stage: Stage, machine: Machine, victim: str) -> None:
    """Both may be down at once; whoever fell comes back."""
    if victim != "server":
        machine.kill()
    if victim != "agent":
        stage.kill()
        stage.restart()
    if victim != "server":
        machine.start()


def test_every_finding_arrives_exactly_once_whoever_falls(stage: Stage, machine: Machine) -> None:
    chance, pause = random.Random(SEED), threading.Event()
    fallen: Counter[str] = Counter()
    for _ in range(KILLS):
        victim, delay_s = chance.choice(VICTIMS), chance.uniform(0, 0.6)
        falling = threading.Timer(delay_s, fall, (stage, machine, victim))
        falling.start()
        while falling.is_alive() and machine.written < FINDINGS_MAX:
            machine.find()
            pause.wait(chance.uniform(0, 0.1))
        falling.join(WAIT_S)
        fallen[victim] += 1
    machine.find()  # what is sent again comes before it
    eventually(lambda: machine.arrived()[machine.written], "the last finding arrives")
    assert machine.arrived() == dict.fromkeys(range(1, machine.written + 1), 1), fallen
