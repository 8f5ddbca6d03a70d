"""Checks of a node: on made-up trees of /proc and /sys."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.agent.trees import run, tree, values
from tests.harness import WAIT_S
from tocsin.agent.checks import mounts, plugins, system
from tocsin.agent.checks.network import Network

# Disks and mounts.


def test_mounts_are_read_once_a_device_with_their_names_unescaped(tmp_path: Path) -> None:
    table = (
        "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n/dev/vda1 /bind ext4 rw 0 0\n"
        "/dev/sdb /my\\040disk xfs ro 0 0\nfs-1:/x /home nfs4 rw,hard 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    )
    found = mounts.mounts(tree(tmp_path, proc__self__mounts=table))
    assert [(one.path, one.kind, one.writable) for one in found] == [
        ("/", "ext4", True),
        ("/my disk", "xfs", False),
        ("/home", "nfs4", True),
    ]


def test_a_disk_says_how_full_it_is_and_a_mount_that_turns_read_only_is_found(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "data").mkdir()
        disks = mounts.Disks(tree(tmp_path, proc__self__mounts="/dev/a /data ext4 rw 0 0\n/dev/b /iso ext4 ro 0 0\n"))
        first = values(await disks.read(0))
        assert 0 <= first["disk.used_percent", "/data"] <= 100
        assert first["mount.readonly", "/data"] == 0
        tree(tmp_path, proc__self__mounts="/dev/a /data ext4 ro 0 0\n/dev/b /iso ext4 ro 0 0\n")
        second = values(await disks.read(1))
        assert second["mount.readonly", "/data"] == 1
        assert ("mount.readonly", "/iso") not in second

    run(story)


def test_a_mount_that_hangs_is_given_up_and_asked_again_only_when_it_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "PROBE_LIMIT_S", 0.05)
    monkeypatch.setattr(mounts, "KILLED_S", WAIT_S)
    stuck = tmp_path / "stat"
    stuck.write_text(f"#!/bin/sh\necho x >> '{tmp_path}/asked'\ntest -e '{tmp_path}/well' || exec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def story() -> None:
        disks = mounts.Disks(tree(tmp_path, proc__self__mounts="fs:/x /home nfs rw 0 0\n"))
        for _ in range(3):
            assert values(await disks.read(0))["mount.hangs", "/home"] == 1
        disks.close()
        await asyncio.sleep(0)
        await asyncio.gather(*disks._hanging.values(), return_exceptions=True)
        monkeypatch.setattr(mounts, "PROBE_LIMIT_S", WAIT_S)
        (tmp_path / "well").touch()
        well = mounts.Disks(tmp_path)
        assert values(await well.read(1))["mount.hangs", "/home"] == 0

    run(story)


# Network.


def port(root: Path, state: str = "4: ACTIVE", **counters: int) -> Path:
    base = "sys__class__infiniband__mlx5_0__ports__1__"
    counted = {f"{base}counters__{name}": str(value) for name, value in counters.items()}
    return tree(root, **{f"{base}state": state, f"{base}link_layer": "InfiniBand"}, **counted)


def test_a_port_that_was_up_and_goes_down_is_found_and_one_that_never_was_is_not(tmp_path: Path) -> None:
    network = Network(port(tmp_path, state="1: DOWN"))
    assert ("ib.down", "mlx5_0/1") not in values(network.read(0))
    port(tmp_path)
    assert values(network.read(1))["ib.down", "mlx5_0/1"] == 0
    port(tmp_path, state="1: DOWN")
    assert values(network.read(2))["ib.down", "mlx5_0/1"] == 1


def test_errors_of_a_port_are_counted(tmp_path: Path) -> None:
    network = Network(port(tmp_path, link_downed=2, local_link_integrity_errors=1, symbol_error=7))
    read = values(network.read(0))
    assert (read["ib.link_errors", "mlx5_0/1"], read["ib.symbol_errors", "mlx5_0/1"]) == (3, 7)


def test_an_efa_device_tells_its_own_counters(tmp_path: Path) -> None:
    base = "sys__class__infiniband__rdmap0s6__ports__1__"
    counters = {"no_completion_cmds": 1, "rx_drops": 2, "retrans_timeout_events": 3}
    tree(tmp_path, **{f"{base}hw_counters__{name}": str(value) for name, value in counters.items()})
    read = values(Network(tmp_path).read(0))
    assert read == {
        ("efa.no_completion_cmds", "rdmap0s6/1"): 1,
        ("efa.errors", "rdmap0s6/1 rx_drops"): 2,
        ("efa.errors", "rdmap0s6/1 retrans_timeout_events"): 3,
    }


def test_interfaces_that_are_no_hardware_are_left_alone_and_the_others_watched(tmp_path: Path) -> None:
    (tmp_path / "sys/class/net/eth0/device").mkdir(parents=True)
    eth = {"flags": "0x1003", "carrier": "1", "carrier_changes": "2"}
    tree(
        tmp_path,
        **{f"sys__class__net__{card}__{name}": text for card in ("eth0", "veth1") for name, text in eth.items()},
    )
    network = Network(tmp_path)
    assert values(network.read(0)) == {("nic.down", "eth0"): 0, ("nic.carrier_changes", "eth0"): 2}
    tree(tmp_path, sys__class__net__eth0__carrier="0")
    assert values(network.read(1))["nic.down", "eth0"] == 1
    tree(tmp_path, sys__class__net__eth0__flags="0x1002")  # somebody took it down on purpose
    assert ("nic.down", "eth0") not in values(network.read(2))


# The system.


Loose = Callable[[bool | None], None]


@pytest.fixture
def loose(monkeypatch: pytest.MonkeyPatch) -> Loose:
    return lambda said: monkeypatch.setattr(system, "clock_is_loose", lambda: said)


def test_the_clock_is_a_fault_only_once_it_was_synchronised(tmp_path: Path, loose: Loose) -> None:
    clock = system.Clock(tmp_path)
    for at_ms, (said, value) in enumerate([(True, 0), (False, 0), (True, 1), (False, 0)]):
        loose(said)
        assert [one.value for one in clock.read(at_ms)] == [value]
    loose(None)
    assert clock.read(9) == []


@pytest.mark.parametrize("keeper", system.TIME_KEEPERS)
def test_a_clock_that_a_daemon_keeps_is_to_be_synchronised_once_the_machine_has_booted(
    tmp_path: Path, loose: Loose, keeper: str
) -> None:
    loose(True)
    clock = system.Clock(tree(tmp_path, proc__uptime="299.0 1.0"))
    (tmp_path / keeper).mkdir(parents=True)
    assert [one.value for one in clock.read(0)] == [0]
    tree(tmp_path, proc__uptime="301.0 1.0")
    [told] = clock.read(1)
    assert (told.value, told.text) == (1, "the clock follows no other, though a daemon should keep it")


@pytest.mark.parametrize(
    ("status", "error_us", "loose"),
    [(0x40, 16_000_000, True), (0x40, 20_000, False), (0x2001, 16_000_000, False), (0x2001, 500, False)],
)
def test_a_clock_whose_error_is_known_is_kept_whatever_its_flag_says(
    monkeypatch: pytest.MonkeyPatch, status: int, error_us: int, loose: bool
) -> None:
    """chrony keeps the clock under STA_UNSYNC where it is not told to set the hardware's clock as well."""

    def adjtimex(place: Any) -> int:
        struct.pack_into("@i4xqqqqi", place._obj, 0, 0, 0, 0, error_us, 0, status)
        return 5

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(adjtimex=adjtimex))
    assert system.clock_is_loose() is loose


def test_daemons_that_are_not_there_are_named_and_processes_counted() -> None:
    read = values(system.Processes(("no-such-daemon",)).read(0))
    assert read["daemon.down", "no-such-daemon"] == 1
    assert 0 < read["processes.used_percent", "processes"] <= 100
    assert read["processes.zombies", "processes"] >= 0


def test_open_files_are_held_against_what_there_may_be(tmp_path: Path) -> None:
    root = tree(tmp_path, proc__sys__fs__file__nr="x")
    (tmp_path / "proc/sys/fs/file-nr").write_text("900\t0\t1000\n")
    assert values(system.open_files(root, 0))["files.used_percent", "files"] == 90


# A site's own checks.


@pytest.mark.parametrize(
    ("script", "warning", "critical", "words"),
    [
        ("echo all is well", 0, 0, "check: all is well"),
        ("echo hm; echo more; exit 1", 1, 0, "check: hm"),
        ("echo bad; exit 2", 0, 1, "check: bad"),
        ("echo what; exit 3", 1, 0, "check: what"),
        ("exit 9", 0, 1, "check exited with code 9"),
        ("echo oops >&2; exit 2", 0, 1, "check: oops"),
        ("yes | head -c 200000; exit 0", 0, 0, "check: y"),
        ("exec sleep 60", 0, 1, "check: did not end within 0.3 s"),
    ],
)
def test_a_check_of_the_sites_own_speaks_by_exit_code_and_first_line(
    tmp_path: Path, script: str, warning: int, critical: int, words: str
) -> None:
    check = tmp_path / "check"
    check.write_text(f"#!/bin/sh\n{script}\n")
    check.chmod(0o755)

    async def story() -> None:
        read = await plugins.run(check, 0, time_limit_s=0.3 if "sleep" in script else WAIT_S)
        assert values(read) == {("user.warning", "check"): warning, ("user.critical", "check"): critical}
        assert {one.text for one in read} == {words}

    run(story)


def test_only_executables_are_checks_and_one_that_cannot_start_is_critical(tmp_path: Path) -> None:
    for name, mode in (("b", 0o755), ("a", 0o755), (".hidden", 0o755), ("readme", 0o644)):
        (tmp_path / name).write_text("#!/no/such/interpreter\n")
        (tmp_path / name).chmod(mode)
    assert [one.name for one in plugins.executables(tmp_path)] == ["a", "b"]
    assert plugins.executables(tmp_path / "nowhere") == []

    async def story() -> None:
        assert values(await plugins.run(tmp_path / "a", 0))["user.critical", "a"] == 1

    run(story)
