"""A server that falls between ordering a machine and its agent's first breath leaves nothing that counts as dead."""

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import WAIT_S
from tocsin.machines.local import LocalMachines
from tocsin.model.machine import LaunchOrder, MachineState
from tocsin.model.nodedir import DIRECTORY_VARIABLE, LOCK_FILE, PARKED_FILE, PID_FILE

INSTANCE = "i-00000000000000001"


def seen_by_the_next_server(root: Path) -> MachineState:
    async def look() -> MachineState:
        machines = LocalMachines(root, str, lambda _: None)
        await machines.start()
        try:
            return machines.seen()[INSTANCE]
        finally:
            await machines.close(detach=True)

    return asyncio.run(look())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / INSTANCE).mkdir()
    return tmp_path / INSTANCE


def test_a_place_without_an_agent_boots_again(place: Path) -> None:
    assert seen_by_the_next_server(place.parent) is MachineState.STOPPED


def test_an_agent_that_has_not_said_that_it_lives_makes_way_for_the_next_boot(place: Path) -> None:
    command = [sys.executable, "-S", "-E", "-c", "import signal; print(flush=True); signal.pause()"]
    environment = {**os.environ, DIRECTORY_VARIABLE: str(place)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], WAIT_S)[0]
            assert seen_by_the_next_server(place.parent) is MachineState.STOPPED
            assert process.wait(WAIT_S) < 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("left", "state"),
    [
        ([LOCK_FILE], MachineState.STOPPED),  # it died between its lock and its number
        ([LOCK_FILE, PID_FILE], MachineState.DEAD),
        ([LOCK_FILE, PID_FILE, PARKED_FILE], MachineState.STOPPED),
    ],
)
def test_what_an_agent_left_tells_how_it_ended(place: Path, left: list[str], state: MachineState) -> None:
    for name in left:
        (place / name).write_text("999999999" if name == PID_FILE else "")
    assert seen_by_the_next_server(place.parent) is state


def test_a_boot_begins_without_the_number_of_the_last_one(tmp_path: Path) -> None:
    """Else a boot that is cut short would look like an agent that lived and died."""

    async def boot() -> bool:
        machines = LocalMachines(tmp_path, str, lambda _: None, ["/bin/false"])
        (tmp_path / INSTANCE).mkdir()
        (tmp_path / INSTANCE / PID_FILE).write_text("1")
        (tmp_path / INSTANCE / PARKED_FILE).touch()
        await machines.start()
        assert machines.seen() == {INSTANCE: MachineState.STOPPED}
        order = LaunchOrder(
            instance_id=INSTANCE, cluster_name="c", group="g", instance_type="t", address="127.64.0.1", token="hush"
        )
        try:
            await machines.launch(order)
            return (tmp_path / INSTANCE / PID_FILE).exists()
        finally:
            await machines.close(detach=False)

    assert not asyncio.run(boot())
