"""The server falls at any moment of the story, and the story comes out as if it had not.

TOCSIN_CRASH_KILLS (8) says how often it falls, TOCSIN_CRASH_SEED (1) when.
"""

import os
import random
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from tests.auditing import world_in
from tests.harness import WAIT_S, eventually
from tests.scenarios.stage import (
    BUCKET,
    CLUSTER_LOG,
    CONTROLLER,
    JOB_LOG,
    NODE_LOG,
    WORKER,
    Jobs,
    Stage,
    staged,
)
from tocsin.core.audit import World, audit, unrest

KILLS = int(os.environ.get("TOCSIN_CRASH_KILLS", "8"))
SEED = int(os.environ.get("TOCSIN_CRASH_SEED", "1"))
LINES = 12


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


def script(stage: Stage) -> Path:
    """A lifecycle script that leaves a trace outside of its node: who ran it. The file it writes to."""
    runs = stage.data.parent / "runs"
    runs.touch()
    text = (
        f'echo "begun $TOCSIN_INSTANCE_ID" >> {runs}\n'
        f"for number in $(seq {LINES}); do echo line $number; sleep 0.02; done\n"
        f'echo "ended $TOCSIN_INSTANCE_ID" >> {runs}\n'
    )
    stage.server.bucket(BUCKET, {"on_create.sh": text})
    return runs


def rules(stage: Stage) -> None:
    for group in (CLUSTER_LOG, NODE_LOG, JOB_LOG):
        stage.route(group)


def cluster(stage: Stage, name: str, **more: Any) -> list[str]:
    """A controller and a worker, in service; their instance ids."""
    stage.create(name, stage.group(CONTROLLER), stage.group(WORKER), **more)
    stage.until(name, "InService")
    return sorted(stage.nodes(name))


def stopped_world(stage: Stage) -> World:
    """Stop the server in good order, and judge what it leaves."""
    routed(stage)
    assert stage.stop() == 0
    assert stage.agents() == {}
    world = world_in(stage.data)
    assert audit(world) == []
    assert unrest(replace(world, machines=None)) == []
    return world


def routed(stage: Stage) -> None:
    """Wait until the log groups hold every event so far: a marker put now is delivered after all before it."""
    entry = {"Source": "my.jobs", "DetailType": "Marker", "Detail": "{}"}
    put = stage.call(lambda: stage.events.put_events(Entries=[entry]))
    marker = put["Entries"][0]["EventId"]
    eventually(lambda: any(one["id"] == marker for one in stage.told(JOB_LOG)), "a marker is delivered")


def check_jobs(world: World, jobs: Jobs) -> None:
    """Nothing acknowledged was lost. That it was delivered once, and in order, the audit has seen."""
    journaled = Counter(entry.event.id for entry in world.journal)
    assert jobs.accepted
    assert [one for one in jobs.accepted if journaled[one] != 1] == []
    rule = next(rule for rule in world.rules if rule.name == "event-jobs")
    assert world.delivered is not None
    delivered = Counter(orjson.loads(line.message)["id"] for line in world.delivered[rule.arn, "log"])
    assert [one for one in jobs.accepted if delivered[one] != 1] == []


def check_scripts(stage: Stage, runs: Path, names: list[str]) -> None:
    """No script ran twice on an instance, and what it wrote is all there, in order."""
    told = runs.read_text().splitlines()
    assert [line for line, times in Counter(told).items() if times > 1] == []
    ended = {line.split()[1] for line in told if line.startswith("ended")}
    wanted = [f"line {number + 1}" for number in range(LINES)]
    for name in names:
        for instance_id, lines in stage.output(name).items():
            if instance_id in ended:
                assert [line for line in lines if line.startswith("line")] == wanted, instance_id


class Fate:
    """Kills the server so many times, at moments from a seed, and starts it again."""

    def __init__(self, stage: Stage, kills: int) -> None:
        self.left = kills
        self.broken: BaseException | None = None
        self._stage = stage
        self._chance = random.Random(SEED)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            while self.left and not self._over.wait(self._chance.uniform(0.0, 1.2)):
                self._stage.kill()
                self._stage.restart()
                self.left -= 1
        except BaseException as error:
            self.broken = error

    def __enter__(self) -> "Fate":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        assert self.broken is None, self.broken


def one_round(stage: Stage, name: str) -> None:
    """The walkthrough, as a script that tries again plays it."""
    cluster(stage, name, NodeRecovery="Automatic")
    grown = [stage.group(WORKER, 2)]
    stage.update(name, lambda counts: counts.get(WORKER) == 2, InstanceGroups=grown)
    old = min(stage.running(name))
    stage.kill_agent(old)
    eventually(lambda: (old, "Unhealthy") in stage.healths(), f"{old} is found dead")
    eventually(lambda: old not in stage.nodes(name) and len(stage.running(name)) == 3, f"{old} is replaced")
    stage.update(name, lambda counts: WORKER not in counts, InstanceGroupsToDelete=[WORKER])


def test_a_server_that_falls_again_and_again_loses_nothing(stage: Stage) -> None:
    runs = script(stage)
    rules(stage)
    names = ["round-1"]
    with Jobs(stage) as jobs, Fate(stage, KILLS) as fate:
        one_round(stage, names[-1])
        while fate.left and fate.broken is None:
            stage.delete(names[-1])
            names.append(f"round-{len(names) + 1}")
            one_round(stage, names[-1])
    living = stage.nodes(names[-1])
    eventually(lambda: stage.agents().keys() == living.keys(), "exactly the nodes' agents live")
    check_scripts(stage, runs, names)
    routed(stage)
    for name in names:
        assert not {"Failed", "RollingBack"} & set(stage.statuses(name)), stage.statuses(name)
    healths = stage.healths()
    sick = [one for one, health in healths if health == "Unhealthy"]
    assert len(sick) == len(names), healths  # the agents that were killed, and no other
    check_jobs(stopped_world(stage), jobs)


@pytest.mark.parametrize("moment", ["place", "process"])
def test_a_server_that_falls_while_a_machine_boots_boots_it_again(stage: Stage, moment: str) -> None:
    """The directory is there and no agent yet; or its agent, which has not said yet that it lives."""
    runs = script(stage)
    rules(stage)
    stage.create("early", stage.group(CONTROLLER, 2))
    machines = stage.data / "machines"
    begun = (lambda: any(machines.iterdir())) if moment == "place" else stage.agents
    eventually(begun, "a machine is being started", every_s=0.001)
    stage.kill()
    stage.restart()
    stage.until("early", "InService")
    routed(stage)
    assert stage.statuses("early") == ["Creating", "InService"]
    assert stage.healths() == []
    check_scripts(stage, runs, ["early"])
    assert stage.agents().keys() == stage.nodes("early").keys()
    stopped_world(stage)


def test_a_stop_in_good_order_is_no_event_at_all(stage: Stage) -> None:
    runs = script(stage)
    rules(stage)
    nodes = cluster(stage, "sleeps")
    assert stage.stop() == 0
    assert stage.agents() == {}
    stage.restart()
    eventually(lambda: sorted(stage.agents()) == nodes, "the same instances boot again")
    _settled_for_a_while(stage, "sleeps")
    assert sorted(stage.running("sleeps")) == nodes
    check_scripts(stage, runs, ["sleeps"])
    routed(stage)
    assert stage.statuses("sleeps") == ["Creating", "InService", *["Updating", "InService"] * 2]
    assert stage.healths() == []
    stopped_world(stage)


def _settled_for_a_while(stage: Stage, name: str) -> None:
    """Every agent is linked: an update that needs all of them goes through."""
    stage.update(name, lambda counts: counts.get("extra") == 1, InstanceGroups=[stage.group("extra")])
    stage.update(name, lambda counts: "extra" not in counts, InstanceGroupsToDelete=["extra"])


def test_detached_agents_run_on_and_are_taken_over(stage: Stage) -> None:
    script(stage)
    rules(stage)
    nodes = cluster(stage, "detached")
    assert stage.stop() == 0  # not yet: these are booted again by a server that will let them go
    stage.restart("--detach-agents")
    eventually(lambda: sorted(stage.agents()) == nodes, "the instances boot again")
    before = stage.agents()
    assert stage.stop() == 0
    assert stage.agents() == before
    stage.restart()
    eventually(lambda: sorted(stage.running("detached")) == nodes, "all run")
    assert stage.agents() == before
    routed(stage)
    assert stage.healths() == []
    stopped_world(stage)


def test_an_agent_that_dies_while_the_server_is_down_is_found_dead_and_replaced(stage: Stage) -> None:
    rules(stage)
    old, _ = nodes = cluster(stage, "bereft", NodeRecovery="Automatic")
    stage.kill()
    stage.kill_agent(old)
    eventually(lambda: old not in stage.agents(), "the agent is dead")
    stage.restart()
    eventually(lambda: len(stage.healths()) == 2, "it is found dead and replaced")
    (sick, unhealthy), (new, healthy) = stage.healths()
    assert (sick, unhealthy, healthy) == (old, "Unhealthy", "Healthy")
    assert new not in nodes
    eventually(lambda: old not in stage.nodes("bereft"), "the dead one is gone")
    assert sorted(stage.agents()) == sorted({new, nodes[1]})
    stopped_world(stage)


def test_ctrl_c_takes_the_agents_along(stage: Stage) -> None:
    cluster(stage, "interrupted")
    assert stage.stop(signal.SIGINT) == 0
    assert stage.agents() == {}


DISK_MIB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_clearly_and_passes_without_loss(small_disk: Path) -> None:
    with staged(small_disk) as stage:
        rules(stage)
        cluster(stage, "roomy")
        with Jobs(stage) as jobs:
            eventually(lambda: jobs.accepted, "events go in")
            _fill(small_disk / "filler")
            refusal = eventually(lambda: _refusal(stage), "the disk is full")
            assert re.search("ServiceUnavailable", refusal.response["Error"]["Code"])
            assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert re.search("cannot be written now.*(full|disk)", refusal.response["Error"]["Message"])
            assert stage.status("roomy") == "InService"  # reads go on
            (small_disk / "filler").unlink()
            before = len(jobs.accepted)
            eventually(lambda: len(jobs.accepted) > before, "events go in again")
        stage.create("later", stage.group(CONTROLLER))
        stage.until("later", "InService")
        routed(stage)
        assert stage.statuses("roomy") == ["Creating", "InService"]
        assert stage.healths() == []
        check_jobs(stopped_world(stage), jobs)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue


def _refusal(stage: Stage) -> ClientError | None:
    """What a client hears whose event finds no room: the write-ahead log takes some first."""
    entry = {"Source": "my.jobs", "DetailType": "Ballast", "Detail": '{"x": "' + "x" * 200_000 + '"}'}
    try:
        stage.events.put_events(Entries=[entry])
    except ClientError as error:
        return error
    return None
