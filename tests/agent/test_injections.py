"""Faults put into a node: through its sources, for their time, and only where that is allowed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from tests.faults.table import CATALOGUE
from tests.harness import WAIT_S, eventually
from tests.mounting import WHY_NOT
from tocsin.agent import conditions
from tocsin.agent.checks.gpus import Gpu, Snapshot
from tocsin.agent.checks.rounds import Rounds
from tocsin.agent.conditions import made
from tocsin.agent.injections import INJECTED_MAX, SHUT, STOPPED, Injections
from tocsin.model.health import Finding
from tocsin.model.injection import Injectable
from tocsin.model.link import Inject, Placed, Report, TakeOut
from tocsin.model.watching import SHARED, Watching

real = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


class Node:
    """A node that shares its host, with its checks, and what it answered and found."""

    def __init__(self, directory: Path, watching: Watching = SHARED) -> None:
        self.directory = directory
        self.answers: list[Placed] = []
        self.told: list[Finding] = []
        self.injections = Injections(directory, watching, self._file)
        put_in = (self.injections.readings, self.injections.made)
        self.rounds = Rounds(
            directory, watching, CATALOGUE, "boot", self.told.append, lambda: 0, root=directory, put_in=put_in
        )

        async def look() -> None:
            await self.rounds.round(slow=False)

        self.injections.look = look

    def _file(self, report: Report) -> None:
        assert isinstance(report, Placed)
        self.answers.append(report)

    async def put(self, what: Injectable, argument: str = "", *, part: str = "", work: str = "a") -> Placed:
        self.injections.take(Inject(work=work, what=what, argument=argument, part=part, for_s=60))
        await self.injections.settled()
        return self.answers[-1]

    async def found(self, rounds: int = 3) -> list[tuple[str, str, bool]]:
        """What is told within so many rounds of checks."""
        self.told.clear()
        for _ in range(rounds):
            await self.rounds.round(slow=False)
        return [(one.name, one.subject, one.over) for one in self.told]


class WholeHost(Node):
    """The same of a node whose checks look at this very machine, as far as it made it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        put_in = (self.injections.readings, self.injections.made)
        self.rounds = Rounds(directory, SHARED, CATALOGUE, "boot", self.told.append, lambda: 0, put_in=put_in)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await story()

    asyncio.run(main())


def gpus(directory: Path) -> list[bool]:
    """Which of the profile's GPUs are lost."""
    snapshot = msgspec.json.decode((directory / "gpus.json").read_bytes(), type=Snapshot)
    return [gpu.lost for gpu in snapshot.gpus]


def test_a_line_is_written_as_the_kernel_writes_it_behind_the_last(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "kmsg").write_text("6,41,1,-;something\n")
        node = Node(tmp_path)
        await node.put("xid", "79")
        await node.put("xid", "79")  # the same order, heard twice
        assert [one.outcome for one in node.answers] == ["in"]
        lines = (tmp_path / "kmsg").read_text().splitlines()
        assert len(lines) == 2
        assert lines[1].startswith("3,42,")
        assert ";NVRM: Xid (PCI:0000:b9:00): 79, " in lines[1]

    run(story)


def test_a_node_that_does_not_allow_it_takes_nothing_in_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        answer = await Node(tmp_path, Watching(kmsg="kmsg")).put("dead")
        assert (answer.outcome, answer.detail) == ("refused", SHUT)

    run(story)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_lost_until_it_is_taken_out(tmp_path: Path) -> None:
    async def story() -> None:
        node = Node(tmp_path)
        await node.put("gpu-lost", "2")
        assert gpus(tmp_path) == [False, False, True] + [False] * 5
        node.injections.take_out(TakeOut(work="a"))
        assert not any(gpus(tmp_path))

    run(story)


def test_real_gpus_are_not_lost_on_request(tmp_path: Path) -> None:
    async def story() -> None:
        answer = await Node(tmp_path, Watching(inject=True, kmsg="")).put("gpu-lost", "0")
        assert (answer.outcome, "GPUs are real" in answer.detail) == ("refused", True)

    run(story)


def test_what_an_agent_put_in_the_next_one_takes_out_in_time(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "gpus.json").write_bytes(msgspec.json.encode(Snapshot(gpus=(Gpu(bus="a"),))))
        first = Node(tmp_path)
        first.injections.take(Inject(work="a", what="gpu-lost", argument="0", for_s=0.05))
        await first.injections.settled()
        assert gpus(tmp_path) == [True]
        again = asyncio.create_task(Node(tmp_path).injections.run())
        await asyncio.to_thread(eventually, lambda: gpus(tmp_path) == [False], "it is taken out")
        again.cancel()

    run(story)


def test_a_reading_stands_for_the_real_one_and_its_fault_ends_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        node = Node(tmp_path)
        await node.put("reading", "disk.used_percent=99", part="/")
        assert await node.found() == [("disk-full", "/", False)]
        node.injections.take_out(TakeOut(work="a"))
        assert await node.found(1) == [("disk-full", "/", True)]

    run(story)


def test_a_reading_stands_for_the_real_one_where_the_host_is_watched_too(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/mounts").write_text(f"/dev/a {tmp_path} ext4 rw 0 0\n")
        node = Node(tmp_path, Watching(inject=True, kmsg="", gpus=False))
        await node.put("reading", "disk.used_percent=99", part=str(tmp_path))
        assert await node.found() == [("disk-full", str(tmp_path), False)]

    run(story)


def test_a_real_kernel_log_is_written_to_as_by_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is not believed: facility 1 is the kernel's answer to whoever writes there."""
    written: list[str] = []
    monkeypatch.setattr(Path, "is_char_device", lambda self: True)
    monkeypatch.setattr(Path, "write_text", lambda self, text: written.append(text))

    async def story() -> None:
        await Node(tmp_path).put("kmsg", "something is wrong")

    run(story)
    assert written == ["<3>something is wrong"]


def test_a_node_takes_so_many_in_and_refuses_more(tmp_path: Path) -> None:
    async def story() -> None:
        node = Node(tmp_path)
        for number in range(INJECTED_MAX + 1):
            await node.put("reading", "gpu.hot=1", work=str(number))
        assert [one.outcome for one in node.answers] == ["in"] * INJECTED_MAX + ["refused"]

    run(story)


# What is real.


@real
def test_a_disk_is_full_for_the_checks_as_they_are_and_for_whoever_writes_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        node = WholeHost(tmp_path)
        assert (await node.put("disk-full")).outcome == "in"
        place = tmp_path / "faults" / "a"
        with pytest.raises(OSError, match="No space left"):
            (place / "more").write_bytes(bytes(4096))
        assert await node.found() == [("disk-full", str(place), False)]
        node.injections.take_out(TakeOut(work="a"))
        assert await node.found(1) == [("disk-full", str(place), True)]
        assert not made(tmp_path).devices
        assert not (tmp_path / "faults").exists()

    run(story)


@real
def test_a_disk_turns_read_only_once_it_was_seen_writable(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "scratch").mkdir()
        node = WholeHost(tmp_path)
        assert (await node.put("readonly", "scratch")).outcome == "in"
        with pytest.raises(OSError, match="Read-only file system"):
            (tmp_path / "scratch" / "more").touch()
        place = str((tmp_path / "scratch").resolve())
        assert await node.found(1) == [("readonly-mount", place, False)]
        node.injections.take_out(TakeOut(work="a"))
        assert await node.found(1) == [("readonly-mount", place, True)]
        (tmp_path / "scratch" / "more").touch()

    run(story)


@real
def test_an_interface_loses_its_carrier_and_is_gone_when_it_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        name = f"t{os.getpid()}"
        node = WholeHost(tmp_path)
        assert (await node.put("nic-down", name)).outcome == "in"
        assert made(tmp_path).interfaces == {name}
        assert await node.found(2) == [("nic-down", name, False)]
        second = await node.put("nic-down", name, work="b")
        assert (second.outcome, "interface of this node already" in second.detail) == ("refused", True)
        assert made(tmp_path).interfaces == {name}
        node.injections.take_out(TakeOut(work="a"))
        assert await node.found(1) == [("nic-down", name, True)]
        assert name not in os.listdir("/sys/class/net")

    run(story)


@real
def test_what_a_killed_agent_left_is_undone_by_the_next_and_told(tmp_path: Path) -> None:
    async def story() -> None:
        killed = WholeHost(tmp_path)
        for work, what in (("a", "disk-full"), ("b", "nic-down")):
            assert (await killed.put(what, work=work)).outcome == "in"  # type: ignore[arg-type]
        left = made(tmp_path)
        assert (len(left.devices), len(left.interfaces)) == (1, 1)
        (tmp_path / "injected.json").write_text("[]")  # and what it knew of them is lost
        Node(tmp_path).injections.start()
        assert made(tmp_path) == conditions.Made()

    run(story)


@real
def test_an_agent_that_ends_leaves_nothing_made(tmp_path: Path) -> None:
    async def story() -> None:
        node = WholeHost(tmp_path)
        running = asyncio.create_task(node.injections.run())
        await node.put("disk-full")
        running.cancel()
        await asyncio.wait([running])
        assert [(one.outcome, one.detail) for one in node.answers] == [("in", ""), ("out", STOPPED)]
        assert made(tmp_path) == conditions.Made()

    run(story)


@real
def test_an_agent_that_ends_while_a_fault_is_being_made_waits_for_no_check(tmp_path: Path) -> None:
    async def story() -> None:
        node, waiting = WholeHost(tmp_path), asyncio.Event()

        async def never() -> None:
            waiting.set()
            await asyncio.Event().wait()

        node.injections.look = never
        running = asyncio.create_task(node.injections.run())
        node.injections.take(Inject(work="a", what="readonly", for_s=60))
        await waiting.wait()
        running.cancel()
        await asyncio.wait([running])
        assert [one.outcome for one in node.answers] == ["out"]
        assert made(tmp_path) == conditions.Made()

    run(story)


@real
def test_a_machine_provider_lets_go_of_what_an_agent_left(tmp_path: Path) -> None:
    async def story() -> None:
        await WholeHost(tmp_path).put("disk-full")

    run(story)
    assert made(tmp_path).devices
    subprocess.run([sys.executable, "-m", "tocsin.agent.conditions", str(tmp_path)], check=True, timeout=WAIT_S)
    assert made(tmp_path) == conditions.Made()


@real
@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("/", "shares its host"),
        ("nowhere", "is no directory"),
        ("full", "is not empty"),
        ("../elsewhere", "shares its host"),
    ],
)
def test_a_disk_hides_nothing_that_is_there(tmp_path: Path, where: str, words: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "work").touch()

    async def story() -> None:
        answer = await Node(tmp_path).put("disk-full", where)
        assert answer.outcome == "refused"
        assert words in answer.detail

    run(story)
    assert made(tmp_path) == conditions.Made()


@pytest.mark.parametrize("what", ["disk-full", "readonly", "nic-down"])
def test_without_root_or_tools_it_is_refused_by_naming_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Injectable
) -> None:
    async def story() -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert "it takes root" in (await Node(tmp_path).put(what)).detail
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(conditions, "_path", lambda: str(tmp_path))
        answer = await Node(tmp_path).put(what, work="b")
        missing = "ip (package iproute2)" if what == "nic-down" else "mkfs.ext4 (package e2fsprogs)"
        assert (answer.outcome, missing in answer.detail) == ("refused", True)

    run(story)


# An agent that stands still.


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: state(process) == "T", "it is stopped")
    yield process
    process.kill()
    process.wait()


def state(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]


def waker(process: subprocess.Popen[bytes], for_s: str, server: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tocsin.agent.waking", str(process.pid), for_s, server, "i-1", "a"]
    started = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert started.stdin is not None
    with started.stdin as pipe:
        pipe.write(b"secret")
    return started


def test_a_stopped_process_goes_on_in_time_though_no_server_answers(sleeper: subprocess.Popen[bytes]) -> None:
    assert waker(sleeper, "0.1", "http://127.0.0.1:9").wait(WAIT_S) == 0
    eventually(lambda: state(sleeper) == "S", "it goes on")


def test_a_stopped_process_goes_on_when_the_server_knows_the_fault_no_more(sleeper: subprocess.Popen[bytes]) -> None:
    asked: list[tuple[str, str | None]] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(200 if len(asked) == 1 else 404)
            self.end_headers()

        def log_message(self, *told: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert waker(sleeper, "3600", f"http://127.0.0.1:{server.server_port}").wait(WAIT_S) == 0
        server.shutdown()
    eventually(lambda: state(sleeper) == "S", "it goes on")
    assert asked == [("/_tocsin/node/faults/a", "Bearer secret")] * 2


def test_who_wakes_a_process_ends_with_it(sleeper: subprocess.Popen[bytes]) -> None:
    started = waker(sleeper, "3600", "")
    sleeper.kill()
    sleeper.wait()
    assert started.wait(WAIT_S) in (0, 1)  # 1: it was gone before it could be looked at
