"""Deep health checks on a node: real tests in a process of their own, real TCP between two nodes of this machine."""

import asyncio
import os
import shutil
import socket
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.harness import WAIT_S, free_port
from tocsin.agent.deep import network, reduce, ring, stress, tools
from tocsin.agent.deep.answering import Answering
from tocsin.agent.deep.checks import DeepChecks
from tocsin.agent.settings import AgentSettings
from tocsin.core.deep import judge
from tocsin.core.faults import HealthPolicy
from tocsin.core.link import Line, Phase, Session, file, hear
from tocsin.model.deep import CheckResult, DeepCheck, DeepKind, Peer
from tocsin.model.link import CheckEnded, Report, RunDeepCheck
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import SHARED

HERE, THERE = "127.0.0.1", "127.0.0.2"
PEER = Peer(instance_id="i-there", address=THERE)


@pytest.fixture
def port() -> int:
    return free_port()


def order(*kinds: str, **changes: Any) -> RunDeepCheck:
    given = RunDeepCheck(
        work="deep/i-here/1",
        kinds=kinds,
        address=HERE,
        port=1,
        secret="ours",
        seconds=0.01,
        time_limit_s=60.0,
    )
    return replace(given, **changes)


class Node:
    """Deep checks that file into a list."""

    def __init__(self, directory: Path) -> None:
        (directory / WATCH_FILE).write_bytes(msgspec.json.encode(SHARED))  # of this machine not all is to be loaded
        settings = AgentSettings(instance_id="i-here", server="http://127.0.0.1:1", directory=directory, token="t")
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.checks = DeepChecks(settings, self.reports.put_nowait)

    async def ended(self, order: RunDeepCheck) -> CheckEnded:
        running = asyncio.create_task(self.checks.run())
        self.checks.take(order)
        try:
            async with asyncio.timeout(WAIT_S):
                report = await self.reports.get()
        finally:
            running.cancel()
            await asyncio.wait([running])
        assert isinstance(report, CheckEnded)
        return report


def check(directory: Path, order: RunDeepCheck) -> CheckEnded:
    async def alone() -> CheckEnded:
        return await Node(directory).ended(order)

    return asyncio.run(alone())


def outcomes(results: tuple[CheckResult, ...] | list[CheckResult]) -> dict[str, str]:
    return {one.test: one.outcome for one in results}


# The host.


def test_processor_memory_and_disk_are_tested_and_what_is_absent_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    ended = check(tmp_path, order(DeepKind.STRESS, dcgm_level=2))
    found = outcomes(ended.results)
    assert {name: found[name] for name in ("cpu", "memory", "disk")} == dict.fromkeys(
        ("cpu", "memory", "disk"), "passed"
    )
    skipped = {one.test: one.detail for one in ended.results if one.outcome == "skipped"}
    assert skipped["DCGM diagnostics"] == "dcgmi is not installed"
    assert all(one.value > 0 for one in ended.results if one.metric)
    assert not list((tmp_path).glob("deep/*"))


def test_a_core_that_comes_to_another_digest_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(stress, "CHAIN_END", "00000000")
    [processor, *_] = stress.stress(order(DeepKind.STRESS), tmp_path)
    assert processor.outcome == "failed"
    assert f"core {min(os.sched_getaffinity(0))} came to the digest" in processor.detail


def test_a_disk_that_gives_back_other_bytes_is_found(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    block = b"x" * stress.BLOCK
    scratch.write_bytes(block + block[:-1] + b"y")
    assert stress._differs(scratch, block) == (
        f"the disk gave back other bytes than were written, within {stress.BLOCK} from {stress.BLOCK}"
    )


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("code", "outcome"), [(0, "passed"), (2, "failed")])
def test_programs_that_test_better_are_used_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, outcome: str
) -> None:
    told = '{"jobs": [{"error": 0, "write": {"bw_bytes": 5000000}, "read": {"bw_bytes": 0}}]}'
    program(tmp_path, "stress-ng", f"echo bit flipped >&2; exit {code}")
    program(tmp_path, "fio", f"echo '{told}'; exit {code}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    processor, disk = stress.stress(order(DeepKind.STRESS), tmp_path)
    assert (processor.test, processor.outcome) == ("cpu and memory by stress-ng", outcome)
    assert (disk.test, disk.outcome) == ("disk by fio", outcome)
    assert disk.value == (5.0 if not code else 0.0)
    assert not code or "bit flipped" in processor.detail


@pytest.mark.skipif(
    not (shutil.which("stress-ng") and shutil.which("fio")), reason="stress-ng and fio are not installed"
)
def test_the_real_programs_load_processor_memory_and_disk_and_say_that_they_are_well(tmp_path: Path) -> None:
    ended = check(tmp_path, order(DeepKind.STRESS))
    found = {one.test: one for one in ended.results}
    processor, disk = found["cpu and memory by stress-ng"], found["disk by fio"]
    assert (processor.outcome, disk.outcome) == ("passed", "passed"), ended.results
    assert "successful run completed" in processor.detail
    assert (disk.metric, disk.unit) == ("fio-write-mbs", "MB/s")
    assert disk.value > 0
    assert not list(tmp_path.glob("deep/*"))


@pytest.mark.skipif(not shutil.which("fio"), reason="fio is not installed")
def test_the_real_fio_tells_of_a_disk_that_cannot_be_written() -> None:
    told = tools.fio(0.01, Path("/proc/scratch"), 1 << 20)  # the kernel lets nobody make a file there
    assert told.outcome == "failed"
    assert "No such file or directory" in told.detail


# The way to the peers.


def reach(port: int, between: Callable[[Answering], Awaitable[None]], **changes: Any) -> list[CheckResult]:
    """What a node finds that reaches for another one of this machine."""

    async def both() -> list[CheckResult]:
        answering = Answering()
        await between(answering)
        asked = order(DeepKind.CONNECTIVITY, peers=(PEER,), port=port, **changes)
        try:
            return await asyncio.to_thread(lambda: list(network.connect(asked, Path())))
        finally:
            answering.close()

    return asyncio.run(both())


def test_a_peer_that_answers_is_reached_with_latency_and_bandwidth(port: int) -> None:
    [found] = reach(port, lambda answering: answering.answer(THERE, port, "ours", WAIT_S))
    assert (found.outcome, found.peer) == ("passed", "i-there")
    assert found.detail.startswith("latency ")
    assert found.value > 0


def test_a_peer_answers_nobody_who_does_not_know_the_secret(port: int) -> None:
    [found] = reach(port, lambda answering: answering.answer(THERE, port, "theirs", WAIT_S))
    assert (found.outcome, found.detail) == ("failed", "the peer closed the connection")


def test_a_peer_that_does_not_answer_is_not_reached(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Answering) -> None:
        pass

    monkeypatch.setattr(network, "CONNECT_WITHIN_S", 0.0)
    [found] = reach(port, nothing)
    assert found.outcome == "failed"
    assert "refused" in found.detail


def test_a_node_without_peers_skips_it(port: int) -> None:
    [found] = network.connect(order(DeepKind.CONNECTIVITY), Path())
    assert found.outcome == "skipped"


def test_bytes_that_arrive_as_others_are_found() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(network.HEAD.pack(zlib.crc32(b"others")))
        with pytest.raises(OSError, match="arrived as others than were sent"):
            network._exchange(ours, b"these")


# All of them together.

NODES = tuple(Peer(instance_id=f"i-{number}", address=f"127.0.0.{number}") for number in (1, 2, 3))


def together(port: int, nodes: tuple[Peer, ...] = NODES, **changes: Any) -> list[list[CheckResult]]:
    """What each of the nodes finds in their all-reduce."""

    def of(node: Peer) -> list[CheckResult]:
        given = {"ring": nodes, **changes}
        return list(reduce.all_reduce(order(DeepKind.CONNECTIVITY, address=node.address, port=port, **given), Path()))

    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(of, nodes))


@pytest.mark.parametrize("count", [2, 3])
def test_nodes_that_are_checked_together_come_to_the_right_sum_and_its_bandwidth(port: int, count: int) -> None:
    for found, torch in together(port, NODES[:count]):
        assert (found.test, found.outcome) == (f"all-reduce of {count} nodes over TCP", "passed")
        assert (found.metric, found.unit) == ("allreduce-tcp-mbs", "MB/s")
        assert found.value > 0
        assert torch.outcome in ("skipped", "passed")


def test_who_sums_wrongly_is_named_by_who_gets_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "ANSWER_LIMIT_S", 5.0)
    honest = ring.Ring._swapped

    def swapped(self: ring.Ring, chunk: int) -> int:
        """The second node flips a bit of what it passes on after its first turn."""
        self.turns = getattr(self, "turns", 0) + 1  # type: ignore[attr-defined]
        return honest(self, chunk ^ 1 if self.rank == 1 and self.turns == 2 else chunk)  # type: ignore[attr-defined]

    monkeypatch.setattr(ring.Ring, "_swapped", swapped)
    _, _, [witness, *_] = together(port)
    assert (witness.outcome, witness.culprit) == ("failed", "i-2")
    assert witness.detail == "i-2: its sum of chunk 0 is wrong"


def test_a_neighbour_that_is_not_there_is_named_and_nobody_is_proven_wrong(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "CONNECT_WITHIN_S", 0.0)
    [found] = reduce.all_reduce(order(DeepKind.CONNECTIVITY, ring=NODES, port=port), Path())
    assert (found.outcome, found.peer, found.culprit) == ("failed", "i-2", "")
    assert "refused" in found.detail


def test_a_stranger_does_not_get_into_the_ring(port: int) -> None:
    """Nor a node that is ordered to be in another one."""
    with socket.create_server((HERE, port + 1)) as listening:
        reduced = ring.Ring(order(DeepKind.CONNECTIVITY, ring=NODES[:2], port=port))
        stranger = socket.create_connection((HERE, port + 1))
        other = ring.Ring(order(DeepKind.CONNECTIVITY, ring=NODES, port=port))
        stranger.sendall(other._badge)
        with pytest.raises(TimeoutError):
            reduced._heard(listening, 0.0)
        stranger.close()


@pytest.mark.parametrize(("wrong", "outcome"), [("", "passed"), ("exit code 1: no route", "failed")])
def test_all_use_the_best_that_all_of_them_have_and_its_failure_is_nobodys(
    port: int, monkeypatch: pytest.MonkeyPatch, wrong: str, outcome: str
) -> None:
    """The processes of PyTorch are left out here; run for real they are by hand."""
    has = iter([(reduce.NCCL, 8), (reduce.GLOO, 0)])
    asked: list[tuple[str, int]] = []

    def collective(_: ring.Ring, __: RunDeepCheck, backend: str, each: int) -> tuple[str, float]:
        asked.append((backend, each))
        return wrong, 2e9

    monkeypatch.setattr(reduce, "_own_best", lambda: next(has))
    monkeypatch.setattr(reduce, "_collective", collective)
    (_, first), (_, second) = together(port, NODES[:2])
    assert asked == [("gloo", 1)] * 2
    assert (first.test, first.outcome) == ("all-reduce of 2 nodes by gloo", outcome)
    assert (second.value, second.peer) == ((0.0, "i-1") if wrong else (2.0, ""))
    judged = judge({"i-1": checked_with(first, "i-2"), "i-2": checked_with(second, "i-1")}, {}, HealthPolicy())
    assert all(one.passed for one in judged.values())


def checked_with(result: CheckResult, peer: str) -> DeepCheck:
    reached = CheckResult(kind=DeepKind.CONNECTIVITY, test=f"tcp to {peer}", outcome="passed", peer=peer)
    return DeepCheck(kinds=(DeepKind.CONNECTIVITY,), ended=True, results=(reached, result))


def test_a_node_that_is_checked_alone_reduces_nothing(port: int) -> None:
    [found] = reduce.all_reduce(order(DeepKind.CONNECTIVITY, ring=NODES[:1], port=port), Path())
    assert (found.outcome, found.detail) == (
        "skipped",
        "it takes two nodes of the group that are checked at the same time",
    )


@pytest.mark.parametrize(("address", "found"), [("127.0.0.1", True), ("127.9.8.7", True), ("192.0.2.1", False)])
def test_the_interface_of_an_address_is_found(address: str, found: bool) -> None:
    assert bool(reduce.interface_of(address)) is found


# In the agent.


def test_a_failure_that_was_asked_for_is_told_without_a_test(tmp_path: Path) -> None:
    ended = check(tmp_path, order(DeepKind.STRESS, fault="asked for"))
    assert [(one.outcome, one.detail) for one in ended.results] == [("failed", "asked for")]


def test_tests_that_do_not_end_are_ended_and_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "stress-ng", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    ended = check(tmp_path, order(DeepKind.STRESS, time_limit_s=2.0))
    assert ended.results[-1].outcome == "failed"
    assert ended.results[-1].detail == "the tests did not end within 1 s"


def test_a_check_is_taken_once_and_not_after_it_ended() -> None:
    session, line = Session(), Line(phase=Phase.OPEN)
    first = hear(session, line, order(DeepKind.STRESS))
    assert len(first.orders) == 1
    assert hear(first.session, line, order(DeepKind.STRESS)).orders == ()
    ended = file(first.session, CheckEnded(n=0, work="deep/i-here/1", at_ms=0, results=()))
    assert hear(ended, line, order(DeepKind.STRESS)).orders == ()
