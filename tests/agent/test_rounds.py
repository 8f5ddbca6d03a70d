"""Rounds of checks: what begins and ends a fault, also across restarts; and once all of them, on this very host."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.agent.trees import run
from tests.faults.table import CATALOGUE
from tocsin.agent.checks import system
from tocsin.agent.checks.gpu_library import ProfiledGpus
from tocsin.agent.checks.gpus import Gpu, LibraryState, Snapshot, Xid
from tocsin.agent.checks.network import Port
from tocsin.agent.checks.rounds import Rounds
from tocsin.model.health import Finding
from tocsin.model.watching import Watching


class Ward:
    """Rounds on a node whose GPUs stand in a file, and what they told."""

    def __init__(self, directory: Path, boot: str = "boot-1", **watching: Any) -> None:
        self.directory = directory
        self.told: list[Finding] = []
        settings = Watching(host=False, gpu_profile="gpus.json", **watching)
        self.rounds = Rounds(directory, settings, CATALOGUE, boot, self.told.append, lambda: 0, root=directory)

    def gpus(self, *gpus: Gpu, xids: tuple[Xid, ...] = ()) -> None:
        (self.directory / "gpus.json").write_bytes(msgspec.json.encode(Snapshot(gpus=gpus, xids=xids)))

    async def go(self, times: int = 1, *, slow: bool = False) -> list[str]:
        self.told.clear()
        for _ in range(times):
            await self.rounds.round(slow=slow)
        return [f"{'-' if one.over else '+'}{one.name} {one.subject}" for one in self.told]


def test_a_gpu_that_is_lost_and_found_again_is_a_fault_that_begins_and_ends(tmp_path: Path) -> None:
    async def story() -> None:
        ward = Ward(tmp_path)
        assert await ward.go() == []
        ward.gpus(Gpu(bus="a"), Gpu(bus="b", lost=True))
        assert await ward.go(3) == ["+gpu-lost b"]
        ward.gpus(Gpu(bus="a"), Gpu(bus="b"))
        assert await ward.go(3) == ["-gpu-lost b"]

    run(story)


def test_a_fault_that_began_before_a_restart_ends_after_it_and_not_across_a_boot(tmp_path: Path) -> None:
    async def story() -> None:
        first = Ward(tmp_path)
        first.gpus(Gpu(bus="a", thermal_slowdown=True))
        assert await first.go(3) == ["+gpu-hot a"]
        second = Ward(tmp_path)
        assert await second.go(3) == []
        second.gpus(Gpu(bus="a", thermal_slowdown=False))
        assert await second.go(3) == ["-gpu-hot a"]
        second.gpus(Gpu(bus="a", thermal_slowdown=True))
        await second.go(3)
        rebooted = Ward(tmp_path, boot="boot-2")
        assert await rebooted.go(3) == ["+gpu-hot a"]

    run(story)


def test_readings_that_were_counted_before_an_orderly_end_count_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        first = Ward(tmp_path)
        first.gpus(Gpu(bus="a", clock_percent=10))
        going = asyncio.create_task(first.rounds.run())
        await first.rounds.look()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        kept = msgspec.json.decode((tmp_path / "gauges.json").read_bytes())["gauges"]["gpu-clock-low a"]
        left = CATALOGUE.faults["gpu-clock-low"].times - kept["run"]
        assert left < 6
        assert await Ward(tmp_path).go(left) == ["+gpu-clock-low a"]

    run(story)


def test_what_was_seen_of_daemons_and_ports_is_known_to_the_next_agent_and_not_across_a_boot(tmp_path: Path) -> None:
    async def story() -> None:
        first = Ward(tmp_path)
        first.rounds._processes.seen["slurmd"] = system.Daemon(pid=7, restarts=2)
        first.rounds._network.ports["mlx5_0/1"] = Port(rate=400, down_since_ms=5)
        await first.go(slow=True)
        second = Ward(tmp_path)
        assert second.rounds._processes.seen == {"slurmd": system.Daemon(pid=7, restarts=2)}
        assert second.rounds._network.ports == {"mlx5_0/1": Port(rate=400, down_since_ms=5)}
        assert Ward(tmp_path, boot="boot-2").rounds._processes.seen == {}

    run(story)


def test_an_error_of_a_profile_is_told_once(tmp_path: Path) -> None:
    async def story() -> None:
        ward = Ward(tmp_path)
        ward.gpus(Gpu(bus="a"), xids=(Xid(bus="a", code=79),))
        assert await ward.go(3) == ["+xid-79 a"]
        ward.gpus(Gpu(bus="a"), xids=(Xid(bus="a", code=79), Xid(bus="a", code=48)))
        assert await ward.go(3) == ["+xid-48 a"]

    run(story)


def test_a_check_that_is_taken_away_takes_its_fault_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        ward = Ward(tmp_path, checks="checks")
        check = tmp_path / "checks" / "fan"
        check.parent.mkdir()
        check.write_text("#!/bin/sh\necho stopped\nexit 2\n")
        check.chmod(0o755)
        assert await ward.go(slow=True) == ["+user-check fan"]
        assert ward.told[0].text == "fan: stopped"
        check.unlink()
        assert await ward.go(slow=True) == ["-user-check fan"]

    run(story)


def test_a_check_that_breaks_does_not_stop_the_round(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        ward = Ward(tmp_path)
        ward.rounds = Rounds(
            tmp_path,
            Watching(gpu_profile="gpus.json", checks=""),
            CATALOGUE,
            "boot",
            ward.told.append,
            lambda: 0,
            root=tmp_path,  # there is no table of mounts here
        )
        ward.gpus(Gpu(bus="b", lost=True))
        assert "+gpu-lost b" in await ward.go(slow=True)

    run(story)
    assert "a check failed: read" in caplog.text


def test_a_damaged_state_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "gauges.json").write_text("{")
    ward = Ward(tmp_path)
    assert ward.rounds._kept.gauges == {}


def test_a_node_without_a_profile_has_no_gpus(tmp_path: Path) -> None:
    assert ProfiledGpus(tmp_path / "none").sweep() == Snapshot(state=LibraryState.MISSING)
    (tmp_path / "bad").write_text("{")
    assert ProfiledGpus(tmp_path / "bad").sweep().state is LibraryState.MISSING


def test_all_checks_go_over_a_real_host_without_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        rounds = Rounds(tmp_path, Watching(), CATALOGUE, "boot", lambda finding: None, lambda: 0)
        for _ in range(2):
            await rounds.round(slow=True)
        assert {name.split()[0] for name in rounds._kept.gauges} >= {"disk-full", "zombies", "files-used-up"}

    run(story)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
