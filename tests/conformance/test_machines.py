"""The Machines port: what holds for every provider, and what holds for machines on this machine."""

import asyncio
import json
import os
import select
import signal
import socket
import stat
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.agent.agent_world import FakeServer
from tocsin.machines import local
from tocsin.machines.local import LocalMachines
from tocsin.model.machine import LaunchOrder, MachineState
from tocsin.ports import Machines

WAIT_S = 10.0
TINY = [sys.executable, "-S", "-E", str(Path(__file__).with_name("tiny_agent.py"))]
ONE, TWO = "i-00000000000000001", "i-00000000000000002"


def launch(instance_id: str = ONE) -> LaunchOrder:
    return LaunchOrder(
        instance_id=instance_id,
        cluster_name="c",
        group="workers",
        instance_type="ml.p5.48xlarge",
        address="127.64.0.1",
        token="hush",
    )


class Yard:
    """Providers over one folder, one after the other, and the news of their agents."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.root = folder / "machines"
        self.changed: list[str] = []
        self.booted: dict[str, list[int]] = defaultdict(list)  # process ids, by instance
        self._news = asyncio.Condition()
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._told.bind(str(folder / "news"))
        self._command = [*TINY, str(folder / "news"), *options]
        asyncio.get_running_loop().add_reader(self._told, self._hear)
        self.machines = self.provider()

    def provider(self, command: list[str] | None = None) -> LocalMachines:
        return LocalMachines(self.root, lambda: "http://127.0.0.1:9", self._changed, command or self._command)

    async def next_provider(self) -> Mapping[str, MachineState]:
        self.machines = self.provider()
        await self.machines.start()
        return self.machines.seen()

    async def launch(self, instance_id: str = ONE) -> int:
        """Launch and wait until the agent lives; returns its process id."""
        before = len(self.booted[instance_id])
        await self.machines.launch(launch(instance_id))
        await self.until(lambda: len(self.booted[instance_id]) > before)
        return self.booted[instance_id][-1]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(true)

    def is_(self, state: MachineState | None, instance_id: str = ONE) -> Callable[[], bool]:
        return lambda: self.machines.seen().get(instance_id) is state

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._told)
        self._told.close()

    def _hear(self) -> None:
        instance_id, pid = self._told.recv(200).decode().split()
        self.booted[instance_id].append(int(pid))
        self._tell()

    def _changed(self, instance_id: str) -> None:
        self.changed.append(instance_id)
        self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        self._telling = asyncio.ensure_future(tell())


@asynccontextmanager
async def a_yard(folder: Path, *options: str) -> AsyncIterator[Yard]:
    place = Yard(folder, *options)
    await place.machines.start()
    try:
        async with asyncio.timeout(2 * WAIT_S):
            yield place
    finally:
        await place.machines.close(detach=False)
        place.close()


def gone(pid: int) -> bool:
    """Wait until a process has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 5)[0])
    finally:
        os.close(fd)


# What holds for every provider.


def test_the_adapter_is_one(tmp_path: Path) -> None:
    machines: Machines = LocalMachines(tmp_path, str, lambda _: None)
    assert machines.seen() == {}


async def test_a_launched_machine_runs_and_launching_it_again_changes_nothing(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        await yard.launch()
        await yard.machines.launch(launch())
        await yard.launch(TWO)
        assert yard.machines.seen() == {ONE: MachineState.RUNNING, TWO: MachineState.RUNNING}
        assert len(yard.booted[ONE]) == 1


async def test_many_who_launch_at_once_start_one_machine(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        await asyncio.gather(*(yard.machines.launch(launch()) for _ in range(10)))
        await yard.until(lambda: bool(yard.booted[ONE]))
        await yard.launch(TWO)
        assert len(yard.booted[ONE]) == 1


async def test_a_machine_that_ends_by_itself_is_dead_and_told_at_once(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        os.kill(await yard.launch(), signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        assert yard.changed == [ONE]


async def test_a_dead_machine_boots_again_with_what_it_stored(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        os.kill(await yard.launch(), signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.launch()
        assert yard.machines.seen()[ONE] is MachineState.RUNNING
        assert (yard.root / ONE / "boots").read_text() == "boot\nboot\n"


async def test_a_terminated_machine_vanishes_with_what_it_stored(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        await asyncio.gather(*(yard.machines.terminate(ONE) for _ in range(3)))
        assert yard.machines.seen()[ONE] is MachineState.ENDING
        with pytest.raises(OSError, match="being terminated"):
            await yard.machines.launch(launch())
        await yard.until(yard.is_(None))
        assert yard.changed == [ONE]
        assert gone(pid)
        assert list(yard.root.iterdir()) == []


async def test_a_dead_machine_can_be_terminated(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        os.kill(await yard.launch(), signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        assert list(yard.root.iterdir()) == []


async def test_terminating_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        await yard.machines.terminate(ONE)
        assert yard.machines.seen() == {}
        assert yard.changed == []


async def test_machines_put_to_rest_are_stopped_and_boot_again(tmp_path: Path) -> None:
    async with a_yard(tmp_path) as yard:
        pid = await yard.launch()
        await yard.machines.close(detach=False)
        assert gone(pid)
        assert await yard.next_provider() == {ONE: MachineState.STOPPED}
        await yard.launch()
        os.kill(yard.booted[ONE][-1], signal.SIGKILL)
        await yard.until(yard.is_(MachineState.DEAD))  # it was not put to rest this time
        await yard.machines.close(detach=False)
        assert await yard.next_provider() == {ONE: MachineState.DEAD}


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
        assert gone(pids[1])
        assert [len(yard.booted[one]) for one in (ONE, TWO)] == [1, 1]


# What holds for machines on this machine.


async def test_a_deaf_agent_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "END_GRACE_S", 0.1)

    async with a_yard(tmp_path, "--deaf") as yard:
        pid = await yard.launch()
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        assert gone(pid)


async def test_deaf_agents_do_not_hold_up_the_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "CLOSE_GRACE_S", 0.3)

    async with a_yard(tmp_path, "--deaf") as yard:
        pids = [await yard.launch(f"i-{number}") for number in range(5)]
        begun = time.monotonic()
        await yard.machines.close(detach=False)
        assert time.monotonic() - begun < 2
        assert all(gone(pid) for pid in pids)


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
        assert gone(daemon)


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
    async with asyncio.timeout(2 * WAIT_S), FakeServer() as server:
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
        assert gone(server.hellos[0].pid)


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
