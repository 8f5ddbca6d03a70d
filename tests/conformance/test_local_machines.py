"""What holds for machines on this machine, beside what holds for every provider."""

import asyncio
import json
import math
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.agent.agent_world import FakeServer
from tests.conformance.yards import ONE, TWO, a_yard, launch
from tests.harness import WAIT_S
from tests.processes import wait_gone
from tocsin.machines import local, processes
from tocsin.machines.local import LocalMachines
from tocsin.model.machine import MachineState


async def test_machines_put_to_rest_that_die_later_are_dead(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        await yard.machines.close(detach=False)
        wait_gone(pid)
        assert await yard.next_provider() == {ONE: MachineState.STOPPED}
        await yard.launch()
        yard.kill()
        await yard.until(yard.is_(MachineState.DEAD))  # it was not put to rest this time
        await yard.machines.close(detach=False)
        assert await yard.next_provider() == {ONE: MachineState.DEAD}


async def test_the_agent_of_a_terminated_machine_is_gone(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        wait_gone(pid)


async def test_machines_left_to_themselves_run_on_and_are_taken_over(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pids = [await yard.launch(ONE), await yard.launch(TWO)]
        await yard.machines.close(detach=True)
        assert await yard.next_provider() == {ONE: MachineState.RUNNING, TWO: MachineState.RUNNING}
        await yard.machines.launch(launch())
        os.kill(pids[0], signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.machines.terminate(TWO)
        await yard.until(yard.is_(None, TWO))
        wait_gone(pids[1])
        assert [len(yard.booted[one]) for one in (ONE, TWO)] == [1, 1]


async def test_a_deaf_agent_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "END_GRACE_S", 0.1)

    async with a_yard(tmp_path, "--deaf") as yard:
        pid = await yard.launch()
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        wait_gone(pid)


async def test_deaf_agents_do_not_hold_up_the_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "CLOSE_GRACE_S", 0.3)

    async with a_yard(tmp_path, "--deaf") as yard:
        pids = [await yard.launch(f"i-{number}") for number in range(5)]
        sent: list[int] = []
        send = signal.pidfd_send_signal

        def noting(fd: int, number: int) -> None:
            sent.append(number)
            send(fd, number)

        monkeypatch.setattr(signal, "pidfd_send_signal", noting)
        await yard.machines.close(detach=False)
        for pid in pids:
            wait_gone(pid)
        assert sent == [signal.SIGTERM] * 5 + [signal.SIGKILL] * 5, "one wait for all, not one after the other"


@pytest.mark.parametrize("end", ["terminate", "close", "boot"])
async def test_what_a_machine_left_running_goes_down_with_it(tmp_path: Path, end: str) -> None:
    async with a_yard(tmp_path, "--daemon") as yard:
        pid = await yard.launch()
        daemon = int((yard.root / ONE / "daemon").read_text())
        if end == "terminate":
            await yard.machines.terminate(ONE)
            await yard.until(yard.is_(None))
        elif end == "close":
            await yard.machines.close(detach=False)
        else:
            os.kill(pid, signal.SIGKILL)
            await yard.until(yard.is_(MachineState.DEAD))
            os.kill(daemon, 0)  # a dead agent's daemons live on until the machine boots
            await yard.launch()
        wait_gone(daemon)


async def test_a_rebooted_machine_is_another_process_and_one_reboot_however_often_it_is_asked_for(
    tmp_path: Path,
) -> None:
    async with a_yard(tmp_path, "--daemon") as yard:
        pid = await yard.launch()
        daemon = int((yard.root / ONE / "daemon").read_text())
        await asyncio.gather(*(yard.machines.reboot(ONE) for _ in range(3)))
        assert yard.machines.seen()[ONE] is MachineState.REBOOTING
        await yard.until(lambda: len(yard.booted[ONE]) == 2)
        await yard.until(yard.is_(MachineState.RUNNING))
        assert yard.changed == [ONE]
        wait_gone(pid)
        wait_gone(daemon)
        assert (yard.root / ONE / "token").read_text() == "hush"


async def test_an_agent_gets_no_secrets_but_its_own_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("TOCSIN_SECRET", "hush")

    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        place = yard.root / ONE
        environment = json.loads((place / "environment.json").read_text())
        assert [name for name in environment if name.startswith(("AWS_", "TOCSIN_"))] == ["TOCSIN_NODE_DIR"]
        assert b"hush" not in (Path("/proc") / str(pid) / "cmdline").read_bytes()
        assert (place / "token").read_text() == "hush"
        assert stat.S_IMODE((place / "token").stat().st_mode) == 0o600
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


async def test_an_agent_that_cannot_be_started_leaves_nothing_behind(tmp_path: Path) -> None:
    machines = LocalMachines(tmp_path / "m", str, lambda _: None, ["/no/such/program"])
    await machines.start()
    with pytest.raises(FileNotFoundError):
        await machines.launch(launch())
    assert machines.seen() == {}
    assert os.listdir(tmp_path / "m") == []


async def test_a_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        with pytest.raises(OSError, match="cannot launch"):
            await yard.machines.launch(launch("../escaped"))
        assert yard.machines.seen() == {}


async def test_a_process_number_without_the_lock_is_no_life(tmp_path: Path) -> None:
    """The number in the file is in use again, by this very process."""
    place = tmp_path / "machines" / ONE
    place.mkdir(parents=True)
    (place / "agent.lock").touch()
    (place / "pid").write_text(str(os.getpid()))
    (tmp_path / "machines" / f"{TWO}.gone").mkdir()

    async with a_yard(tmp_path) as yard:
        assert yard.machines.seen() == {ONE: MachineState.DEAD}
        assert not (yard.root / f"{TWO}.gone").exists()


async def test_a_log_grown_large_is_begun_anew_at_the_next_start(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        os.kill(await yard.launch(), signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        log = yard.root / ONE / "agent.log"
        log.write_bytes(bytes(local.LOG_BYTES_MAX + 1))
        await yard.launch()
        assert log.stat().st_size == 0


async def test_no_zombie_stays(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        os.kill(pid, signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        with pytest.raises(ProcessLookupError):
            os.pidfd_open(pid)


async def test_the_agent_started_when_none_is_named_is_the_real_one(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_S), FakeServer() as server:
        machines = LocalMachines(tmp_path, lambda: f"http://127.0.0.1:{server.port}", lambda _: None)
        await machines.start()
        try:
            await machines.launch(launch())
            await server.until(lambda: bool(server.hellos))
            assert (server.hellos[0].instance_id, server.hellos[0].token) == (ONE, "hush")
            # Taken over by another provider while it runs: the real agent leaves what is needed for that.
            await machines.close(detach=True)
            machines = LocalMachines(tmp_path, str, lambda _: None)
            await machines.start()
            assert machines.seen() == {ONE: MachineState.RUNNING}
        finally:
            await machines.close(detach=False)
        wait_gone(server.hellos[0].pid)


async def test_a_mark_of_rest_does_not_outlive_the_rest(tmp_path: Path) -> None:
    """A server that died between its mark and the agent's end finds the agent running, and later dead."""
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        await yard.machines.close(detach=True)
        (yard.root / ONE / "parked").touch()
        assert await yard.next_provider() == {ONE: MachineState.RUNNING}
        os.kill(pid, signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        assert await yard.next_provider() == {ONE: MachineState.DEAD}


def test_a_process_without_an_environment_is_not_taken_for_one_that_is_just_starting() -> None:
    bare = subprocess.Popen(["sleep", "60"], env={})
    try:
        # No environment can be read of either; only the one that starts is worth waiting for.
        assert processes._environment(str(bare.pid), patient_until=math.inf) == b""
        processes.kill_marked("TOCSIN_NODE_DIR", [Path("/no/such")])
        assert bare.poll() is None
    finally:
        bare.kill()
        bare.wait()
