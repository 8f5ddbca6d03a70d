"""Faults that are real outlive nobody: an agent is killed over a full disk, and the next one undoes it and says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import tocsin
from tests.harness import eventually
from tests.mounting import WHY_NOT
from tests.scenarios.stage import ACCOUNT, WORKER, Stage, staged
from tests.scenarios.test_spool import Machine
from tocsin.model.watching import Watching


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


def run(stage: Stage, *arguments: str) -> list[dict[str, Any]] | None:
    """What it prints; None when it refuses."""
    done = tocsin(*arguments, "--endpoint-url", stage.server.endpoint, "--account", ACCOUNT, "--output", "json")
    return None if done.returncode else [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_what_a_killed_agent_left_made_is_undone_by_the_next_and_leaves_the_list(stage: Stage) -> None:
    stage.create("put-in", stage.group(WORKER), NodeRecovery="None")
    stage.until("put-in", "InService")
    machine = Machine(stage, next(iter(stage.nodes("put-in"))))
    machine.take_over(Watching(kmsg="", host=False, gpus=False, inject=True))
    try:
        for fault in ("--disk-full", "--nic-down"):
            inject = ("fault", "inject", machine.instance_id, "--for", "1h", fault)
            [put] = eventually(lambda inject=inject: run(stage, *inject), "the agent takes it in")  # type: ignore[misc]
            assert put["confirmed"] is True
        assert len(run(stage, "fault", "list") or ()) == 2
        assert str(machine.place) in Path("/proc/self/mounts").read_text()
        machine.kill()
        machine.start()
        eventually(lambda: run(stage, "fault", "list") == [], "the next agent has said that they are out")
        assert str(machine.place) not in Path("/proc/self/mounts").read_text()
        assert not (machine.place / "faults").exists()
    finally:
        machine.kill()
