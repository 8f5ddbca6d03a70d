"""Ports that flap, slow down or vanish; disks and memory that count their errors; daemons; crashes of earlier boots."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_checks import port
from tests.agent.trees import tree, values
from tests.faults.table import CATALOGUE
from tests.harness import WAIT_S, eventually
from tocsin.agent.checks.disks import EVERY_MS, Smart, told
from tocsin.agent.checks.network import FLAP_DOWN_MS, Network, Promised
from tocsin.agent.checks.system import Processes, memory_errors
from tocsin.agent.sources.pstore import crashes
from tocsin.core.faults import diagnose

IB = ("ib.returns", "mlx5_0/1")


# Ports.


def test_a_port_that_comes_back_after_a_while_has_flapped_once(tmp_path: Path) -> None:
    network = Network(port(tmp_path))
    assert values(network.read(0))[IB] == 0
    port(tmp_path, state="1: DOWN")
    network.read(1000)
    port(tmp_path)
    assert values(network.read(2000))[IB] == 0  # it was only negotiating
    port(tmp_path, state="1: DOWN")
    network.read(3000)
    port(tmp_path)
    assert values(network.read(3000 + FLAP_DOWN_MS))[IB] == 1


def test_a_port_that_runs_slower_than_it_did_is_slow_and_one_that_always_did_is_not(tmp_path: Path) -> None:
    rate = "sys__class__infiniband__mlx5_0__ports__1__rate"
    network = Network(tree(port(tmp_path), **{rate: "200 Gb/sec (4X HDR)"}))
    assert values(network.read(0))["ib.slow", "mlx5_0/1"] == 0
    tree(tmp_path, **{rate: "400 Gb/sec (4X NDR)"})
    assert values(network.read(1))["ib.slow", "mlx5_0/1"] == 0
    tree(tmp_path, **{rate: "200 Gb/sec (4X HDR)"})
    assert values(network.read(2))["ib.slow", "mlx5_0/1"] == 1


def test_a_port_whose_device_vanishes_is_missed_and_found_again(tmp_path: Path) -> None:
    network = Network(port(tmp_path))
    assert values(network.read(0))["ib.gone", "mlx5_0/1"] == 0
    shutil.rmtree(tmp_path / "sys/class/infiniband/mlx5_0")
    assert values(network.read(1))["ib.gone", "mlx5_0/1"] == 1
    port(tmp_path)
    assert values(network.read(2))["ib.gone", "mlx5_0/1"] == 0


def test_a_port_that_never_was_up_is_not_missed(tmp_path: Path) -> None:
    network = Network(port(tmp_path, state="1: DOWN"))
    network.read(0)
    shutil.rmtree(tmp_path / "sys/class/infiniband/mlx5_0")
    assert network.read(1) == []


def test_ports_that_a_node_should_have_are_missed_whether_down_slow_or_never_there(tmp_path: Path) -> None:
    rate = "sys__class__infiniband__mlx5_0__ports__1__rate"
    network = Network(tree(port(tmp_path), **{rate: "400 Gb/sec (4X NDR)"}), Promised(ports=2, gbps=400))
    [told] = [one for one in network.read(0) if one.check == "ib.missing"]
    assert (told.value, told.text) == (1, "1 ports are up at 400 Gb/s, and 2 should be")
    tree(tmp_path, **{rate: "200 Gb/sec (4X HDR)"})
    assert values(network.read(1))["ib.missing", "ports"] == 2
    tree(tmp_path, **{rate: "400 Gb/sec (4X NDR)", "sys__class__infiniband__mlx5_0__ports__1__state": "1: DOWN"})
    assert values(network.read(2))["ib.missing", "ports"] == 2
    assert ("ib.missing", "ports") not in values(Network(port(tmp_path)).read(3))


def test_counters_of_a_port_are_read_wherever_its_driver_has_them(tmp_path: Path) -> None:
    hardware = "sys__class__infiniband__mlx5_0__ports__1__hw_counters__"
    counted = {f"{hardware}{name}": "5" for name in ("rnr_nak_retry_err", "local_ack_timeout_err", "roce_slow_restart")}
    tree(port(tmp_path, link_error_recovery=1, port_rcv_errors=2, port_xmit_discards=3), **counted)
    read = values(Network(tmp_path).read(0))
    checks = ("recoveries", "receive_errors", "discards", "ack_timeouts", "slow_restarts", "link_errors")
    assert [read[f"ib.{check}", "mlx5_0/1"] for check in checks] == [1, 2, 3, 5, 5, 5]


# Memory and disks.


def test_memory_controllers_are_read_and_none_is_no_reading(tmp_path: Path) -> None:
    assert memory_errors(tmp_path, 0) == []
    base = "sys__devices__system__edac__mc__mc0__"
    read = values(memory_errors(tree(tmp_path, **{f"{base}ce_count": "7\n", f"{base}ue_count": "1\n"}), 0))
    assert read == {("edac.corrected", "mc0"): 7, ("edac.uncorrected", "mc0"): 1}


NVME = "nvme_smart_health_information_log"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            {
                "smart_status": {"passed": True},
                NVME: {"critical_warning": 0, "media_errors": 0, "percentage_used": 3},
            },
            {"failed": 0, "critical": 0, "hot": 0, "media_errors": 0, "worn_percent": 3},
        ),
        ({NVME: {"critical_warning": 2}}, {"critical": 0, "hot": 1}),
        ({NVME: {"critical_warning": 5}}, {"critical": 5, "hot": 0}),
        (
            {
                "smart_status": {"passed": False},
                "ata_smart_attributes": {
                    "table": [{"id": 5, "raw": {"value": 9}}, {"id": 197, "raw": {"value": 2}}, {"id": 198, "raw": {}}]
                },
            },
            {"failed": 1, "media_errors": 2},
        ),
        ({"smartctl": {"exit_status": 1}}, {}),
    ],
)
def test_what_a_disk_says_of_itself_is_read(answer: dict[str, Any], found: dict[str, int]) -> None:
    read = told("nvme0n1", json.dumps(answer).encode(), 0)
    assert {one.check.removeprefix("smart."): one.value for one in read} == found


@pytest.mark.parametrize("answer", [b"", b"[]", b"smartctl: not found"])
def test_a_disk_that_says_nothing_has_no_reading(answer: bytes) -> None:
    assert told("sda", answer, 0) == []


def test_disks_are_asked_seldom_by_the_program_and_only_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for disk in ("sda", "sda1", "loop0", "nvme0n1"):
        (tmp_path / "sys/block" / disk).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    disks = Smart(tmp_path)
    assert not disks.due(EVERY_MS)
    program = tmp_path / "smartctl"
    program.write_text('#!/bin/sh\necho \'{"smart_status": {"passed": false}, "asked": "\'$4\'"}\'\nexit 8\n')
    program.chmod(0o755)
    assert disks.due(EVERY_MS)
    read = values(asyncio.run(disks.read(EVERY_MS)))
    assert read == {("smart.failed", "nvme0n1"): 1, ("smart.failed", "sda"): 1}
    assert not disks.due(2 * EVERY_MS - 1)
    assert disks.due(2 * EVERY_MS)


# Daemons.


def test_a_daemon_that_is_started_anew_is_counted_and_a_machine_that_boots_is_given_time(tmp_path: Path) -> None:
    name = f"d{os.getpid()}"
    daemon = tmp_path / name
    shutil.copy("/bin/sleep", daemon)

    def started() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([str(daemon), "60"])
        eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text().strip() == name, "it runs")
        return process

    processes = Processes([name], tree(tmp_path, proc__uptime="300.5 1\n"))
    for restarts in (0, 1):
        running = started()
        assert values(processes.read(0))["daemon.restarts", name] == restarts
        running.kill()
        running.wait(WAIT_S)
        read = values(processes.read(1))
        assert (read["daemon.down", name], read["daemon.restarts", name]) == (1, restarts)
    running = started()
    later = Processes([name], tmp_path)  # another agent, which knows what the one before it saw
    later.seen = processes.seen
    assert values(later.read(2))["daemon.restarts", name] == 2
    running.kill()
    running.wait(WAIT_S)
    early = Processes([name], tree(tmp_path, proc__uptime="299.5 1\n"))
    assert ("daemon.down", name) not in values(early.read(2))


# Crashes.

PARTS = (
    "Panic#1 Part2\n<4>[  100.0] CPU: 3 PID: 1\n",
    "Panic#1 Part1\n<0>[  100.1] Kernel panic - not syncing: Fatal exception in interrupt\n<0>[  100.2] ---[ end\n",
)


def crashed(folder: Path, at_s: int, *parts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(parts):
        record = folder / f"dmesg-efi-{at_s}{number}"
        record.write_text(text)
        os.utime(record, (at_s, at_s))


def test_a_crash_is_one_line_however_many_parts_it_has_wherever_they_are(tmp_path: Path) -> None:
    crashed(tmp_path / "pstore", 1000, *PARTS)
    crashed(tmp_path / "kept/1700000000/001", 900, "Oops#1 Part1\n<1>[ 9.1] BUG: kernel NULL pointer dereference\n")
    crashed(tmp_path / "pstore", 1100, "console of something else\n")
    folders = (tmp_path / "pstore", tmp_path / "kept", tmp_path / "none")
    first, second = crashes(folders, "")
    assert first.text == "crash record: Oops: BUG: kernel NULL pointer dereference"
    assert second.text == "crash record: Panic: Kernel panic - not syncing: Fatal exception in interrupt"
    found = diagnose(second, CATALOGUE)
    assert found is not None
    assert (found.name, found.subject, found.at_ms // 1000) == ("kernel-crash", "Panic", 1000)
    assert crashes(folders, first.place) == [second]
    assert crashes(folders, second.place) == []
