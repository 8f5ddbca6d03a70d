"""The agent as a process: its lock, its signals, and what survives kill -9."""

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.agent.agent_world import INSTANCE_ID, ORDER, FakeServer, texts
from tests.harness import WAIT_S, eventually
from tests.processes import wait_gone
from tocsin.model.link import Halt, ScriptEnded, ScriptStarted
from tocsin.model.nodedir import GAUGES_FILE, WATCH_FILE
from tocsin.model.watching import Watching


def _prepare(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "token").write_text("secret\n")


@asynccontextmanager
async def agent(server: FakeServer, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    _prepare(directory)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.agent.main", "--instance-id", INSTANCE_ID),
        *("--server", f"http://127.0.0.1:{server.port}", "--dir", str(directory)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_a_script_survives_nothing_but_its_reports_do(tmp_path: Path) -> None:
    """Killed in mid-script: what was filed arrives, the leftover is ended, the work is done again when ordered."""
    os.mkfifo(tmp_path / "gate")
    script = f"echo $$; read line < {tmp_path}/gate; echo $line; exit 0\n".encode()

    async def main() -> None:
        async with FakeServer({"on_create.sh": script}) as server:
            server.orders = [ORDER]
            async with agent(server, tmp_path / "node") as first:
                await server.until(lambda: len(texts(server.applied)) == 2)
                server.acking = False
                first.kill()
                await first.wait()
            pid = int(texts(server.applied)[1])
            server.acking = True
            async with agent(server, tmp_path / "node"):
                await server.until(lambda: len(texts(server.applied)) == 4)
                wait_gone(pid)
                (tmp_path / "gate").write_text("opened\n")
                await server.until(server.ended)
            assert texts(server.applied)[-2:] == ["opened", "[SageMaker] The lifecycle scripts succeeded."]
            assert sum(isinstance(report, ScriptStarted) for report in server.applied) == 2

    asyncio.run(main())


def test_a_killed_agent_sends_again_what_was_not_acknowledged_and_does_no_work_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer({"on_create.sh": b"echo done\n"}) as server:
            server.orders = [ORDER]
            server.acking = False
            async with agent(server, tmp_path / "node") as first:
                await server.until(lambda: any(isinstance(report, ScriptEnded) for report in server.seen))
                first.kill()
                await first.wait()
            assert server.applied == []
            sent = list(server.seen)
            server.acking = True
            async with agent(server, tmp_path / "node") as second:
                await server.until(server.ended)
                second.terminate()
                assert await second.wait() == 0
            assert server.applied == sent
            assert len({hello.boot for hello in server.hellos}) == 2

    asyncio.run(main())


def test_sigterm_ends_the_script_and_the_agent_in_good_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer({"on_create.sh": b"trap '' TERM\necho $$\nsleep 60 & wait\nwait\n"}) as server:
            server.orders = [ORDER]
            async with agent(server, tmp_path / "node") as process:
                await server.until(lambda: len(texts(server.applied)) == 2)
                process.terminate()
                assert await process.wait() == 0
            wait_gone(int(texts(server.applied)[1]))
            server.orders = []
            async with agent(server, tmp_path / "node"):  # brings what the first had no time to send
                await server.until(lambda: texts(server.applied)[-1].startswith("[Tocsin] the agent was stopped"))
                assert not server.ended()

    asyncio.run(main())


def test_sigterm_does_not_wait_for_a_bundle_that_does_not_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer() as server:
            server.orders = [ORDER]
            server.open.clear()
            async with agent(server, tmp_path / "node") as process:
                await server.until(lambda: bool(server.asked))
                process.terminate()
                assert await process.wait() == 0
            server.open.set()

    asyncio.run(main())


def test_halt_ends_the_agent(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer() as server:
            server.orders = [Halt(reason="no such node")]
            async with agent(server, tmp_path / "node") as process:
                assert process.stderr
                log = await process.stderr.read()
                assert await process.wait() == 0
            assert b"the server ended this node: no such node" in log

    asyncio.run(main())


def test_a_second_agent_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer() as server, agent(server, tmp_path / "node") as first:
            await server.until(lambda: bool(server.hellos))
            async with agent(server, tmp_path / "node") as second:
                assert second.stderr
                words = await second.stderr.read()
                assert await second.wait() == 3
            assert f"another agent (process {first.pid})".encode() in words
            assert (tmp_path / "node/pid").read_text() == str(first.pid)
            assert stat.S_IMODE((tmp_path / "node/spool.jsonl").stat().st_mode) == 0o600
            first.send_signal(signal.SIGINT)
            assert await first.wait() == 0

    asyncio.run(main())


def test_without_a_token_there_is_no_agent(tmp_path: Path) -> None:
    from tocsin.agent.main import main

    assert main(["--instance-id", INSTANCE_ID, "--server", "http://127.0.0.1:1", "--dir", str(tmp_path)]) == 2


MEMORY_MB_MAX = 40  # of an agent with all that it can watch
ROUNDS = 3


def test_an_agent_that_watches_everything_is_light(tmp_path: Path) -> None:
    """Its processor time is bench.health's to tell."""

    async def story() -> None:
        async with FakeServer() as server:
            _prepare(tmp_path)
            (tmp_path / WATCH_FILE).write_bytes(msgspec.json.encode(Watching(interval_s=0.05)))
            async with agent(server, tmp_path) as process:
                await server.until(lambda: bool(server.hellos))
                kept: set[int] = set()

                def rounds() -> bool:
                    """Each round keeps where its gauges are."""
                    with contextlib.suppress(FileNotFoundError):
                        kept.add((tmp_path / GAUGES_FILE).stat().st_mtime_ns)
                    return len(kept) >= ROUNDS

                await asyncio.to_thread(eventually, rounds, "it has looked at everything", every_s=0.01)
                assert _resident_mb(process.pid) < MEMORY_MB_MAX

    asyncio.run(story())


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [resident_kb] = [int(line.split()[1]) for line in lines if line.startswith("VmRSS")]
    return resident_kb / 1024
