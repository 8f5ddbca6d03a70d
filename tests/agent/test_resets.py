"""Resets of GPUs on a node: a real agent, and a command on PATH that stands in for nvidia-smi."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.agent.agent_world import INSTANCE_ID, FakeServer
from tests.harness import WAIT_S
from tocsin.model.link import GpuResetEnded, RunGpuReset
from tocsin.model.nodedir import RESET_FILE, WATCH_FILE
from tocsin.model.watching import SHARED, Watching

ORDER = RunGpuReset(work="gpu-reset/1", gpus=("0000:b9:00", "0000:ba:00.0"), time_limit_s=20.0)
WATCHING = Watching(kmsg="", host=False, gpu_profile="gpus.json", interval_s=0.05)


def stand_in(folder: Path, script: str) -> None:
    """An nvidia-smi that says how it was called."""
    path = folder / "bin" / "nvidia-smi"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/asked"\n{script}\n')
    path.chmod(0o755)


@asynccontextmanager
async def agent(server: FakeServer, folder: Path, watching: Watching) -> AsyncIterator[None]:
    directory = folder / "node"
    directory.mkdir(exist_ok=True)
    (directory / "token").write_text("secret\n")
    (directory / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.agent.main", "--instance-id", INSTANCE_ID),
        *("--server", f"http://127.0.0.1:{server.port}", "--dir", str(directory)),
        env={**os.environ, "PATH": f"{folder}/bin{os.pathsep}/usr/bin{os.pathsep}/bin"},
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield
    finally:
        process.terminate()
        await process.wait()


def outcome(folder: Path, watching: Watching = WATCHING, order: RunGpuReset = ORDER) -> tuple[bool, str]:
    """Whether the agent said that it can reset GPUs, and why it could not after all."""

    async def main() -> tuple[bool, str]:
        async with FakeServer() as server:
            server.orders = [order]
            async with agent(server, folder, watching):
                await server.until(lambda: any(isinstance(one, GpuResetEnded) for one in server.applied))
            [ended] = [one for one in server.applied if isinstance(one, GpuResetEnded)]
            assert ended.work == order.work
            return server.hellos[0].gpu_reset, ended.failed

    return asyncio.run(main())


def test_each_gpu_is_reset_by_its_address(tmp_path: Path) -> None:
    stand_in(tmp_path, "exit 0")
    assert outcome(tmp_path) == (True, "")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["--gpu-reset -i 0000:b9:00.0", "--gpu-reset -i 0000:ba:00.0"]
    assert not (tmp_path / "node" / RESET_FILE).exists()


def test_a_gpu_that_is_in_use_is_told_in_the_commands_words_and_the_next_is_left(tmp_path: Path) -> None:
    stand_in(tmp_path, "echo 'GPU 00000000:B9:00.0 is currently in use by another process.'; exit 19")
    able, failed = outcome(tmp_path)
    assert able
    assert failed == (
        "0000:b9:00: nvidia-smi ended with code 19: GPU 00000000:B9:00.0 is currently in use by another process."
    )
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    stand_in(tmp_path, "exec sleep 60")
    order = RunGpuReset(work="gpu-reset/2", gpus=("0000:b9:00",), time_limit_s=0.1)
    assert outcome(tmp_path, order=order)[1] == "0000:b9:00: nvidia-smi did not end within 0.1 s"


@pytest.mark.parametrize("watching", [SHARED, WATCHING], ids=["a node that shares its host", "without nvidia-smi"])
def test_a_node_that_cannot_says_so_and_runs_nothing(tmp_path: Path, watching: Watching) -> None:
    if watching is SHARED:
        stand_in(tmp_path, "exit 0")
    assert outcome(tmp_path, watching) == (False, "this node has no command that resets a GPU")
    assert not (tmp_path / "asked").exists()


def test_a_reset_is_done_once_however_often_it_is_ordered(tmp_path: Path) -> None:
    stand_in(tmp_path, "exit 0")

    async def main() -> None:
        async with FakeServer() as server:
            server.orders = [ORDER, ORDER]
            async with agent(server, tmp_path, WATCHING):
                await server.until(lambda: any(isinstance(one, GpuResetEnded) for one in server.applied))
                server.cut()
                await server.until(lambda: len(server.hellos) == 2)
                later = RunGpuReset(work="gpu-reset/later", gpus=("0000:bb:00",), time_limit_s=20.0)
                await server.send(later)
                await server.until(lambda: any(one.work == later.work for one in server.applied))

    asyncio.run(main())
    assert len((tmp_path / "asked").read_text().splitlines()) == 3
