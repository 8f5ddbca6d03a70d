"""Faults put into a node: through its sources, for their time, and only where that is allowed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.table import CATALOGUE
from tests.harness import WAIT_S
from tocsin.agent.checks.gpus import Gpu, Snapshot
from tocsin.agent.checks.rounds import Rounds
from tocsin.agent.injections import Injections
from tocsin.model.health import Finding
from tocsin.model.link import Inject, TakeOut
from tocsin.model.watching import SHARED, Watching


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
        injections = Injections(tmp_path, SHARED, CATALOGUE)
        injections.take(Inject(work="a", what="xid", argument="79", for_s=60))
        injections.take(Inject(work="a", what="xid", argument="79", for_s=60))
        lines = (tmp_path / "kmsg").read_text().splitlines()
        assert len(lines) == 2
        assert lines[1].startswith("3,42,")
        assert ";NVRM: Xid (PCI:0000:b9:00): 79, " in lines[1]

    run(story)


def test_a_node_that_does_not_allow_it_takes_nothing_in(tmp_path: Path) -> None:
    async def story() -> None:
        Injections(tmp_path, Watching(kmsg="kmsg"), CATALOGUE).take(Inject(work="a", what="dead", for_s=60))

    run(story)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_lost_until_it_is_taken_out(tmp_path: Path) -> None:
    async def story() -> None:
        injections = Injections(tmp_path, SHARED, CATALOGUE)
        injections.take(Inject(work="a", what="gpu-lost", argument="2", for_s=60))
        assert gpus(tmp_path) == [False, False, True] + [False] * 5
        injections.take_out(TakeOut(work="a"))
        assert not any(gpus(tmp_path))

    run(story)


def test_what_an_agent_put_in_the_next_one_takes_out_in_time(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "gpus.json").write_bytes(msgspec.json.encode(Snapshot(gpus=(Gpu(bus="a"),))))
        Injections(tmp_path, SHARED, CATALOGUE).take(Inject(work="a", what="gpu-lost", argument="0", for_s=0.05))
        assert gpus(tmp_path) == [True]
        again = asyncio.create_task(Injections(tmp_path, SHARED, CATALOGUE).run())
        while gpus(tmp_path) != [False]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        again.cancel()

    run(story)


def test_a_reading_stands_for_the_real_one_and_its_fault_ends_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        injections = Injections(tmp_path, SHARED, CATALOGUE)
        told: list[Finding] = []
        rounds = Rounds(
            tmp_path, SHARED, CATALOGUE, "boot", told.append, lambda: 0, root=tmp_path, injected=injections.readings
        )
        injections.take(Inject(work="a", what="reading", argument="disk.used_percent=99", part="/", for_s=60))
        for _ in range(3):
            await rounds.round(slow=False)
        assert [(one.name, one.subject, one.over) for one in told] == [("disk-full", "/", False)]
        injections.take_out(TakeOut(work="a"))
        await rounds.round(slow=False)
        assert [(one.name, one.over) for one in told[1:]] == [("disk-full", True)]

    run(story)


def test_a_real_kernel_log_is_written_to_as_by_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is not believed: facility 1 is the kernel's answer to whoever writes there."""
    written: list[str] = []
    monkeypatch.setattr(Path, "is_char_device", lambda self: True)
    monkeypatch.setattr(Path, "write_text", lambda self, text: written.append(text))

    async def story() -> None:
        watching = Watching(kmsg="/dev/kmsg", inject=True)
        Injections(tmp_path, watching, CATALOGUE).take(Inject(work="a", what="kmsg", argument="hello", for_s=60))
        assert written == ["<3>hello"]

    run(story)
