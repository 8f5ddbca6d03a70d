"""Checks of a node: on made-up trees of /proc and /sys, on the library's Python twin, and once on this very host."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pynvml
import pytest
from msgspec.structs import replace

from tests.agent.fake_nvml import FakeNvml
from tests.faults.table import CATALOGUE
from tests.harness import WAIT_S
from tocsin.agent.checks import mounts, plugins, system
from tocsin.agent.checks.gpu_library import Nvml, ProfiledGpus
from tocsin.agent.checks.gpus import Gpu, LibraryState, Snapshot, Xid, on_the_bus, readings
from tocsin.agent.checks.network import Network, Port
from tocsin.agent.checks.rounds import Rounds
from tocsin.model.health import Finding, Reading
from tocsin.model.watching import Watching

GPU = {"bus": "00000000:B9:00.0", "temperature": 40, "slowdown": 90}


def values(read: list[Reading]) -> dict[tuple[str, str], float]:
    return {(one.check, one.subject): one.value for one in read}


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await story()

    asyncio.run(main())


def tree(root: Path, **files: str) -> Path:
    """Files by their path, with __ for the slashes."""
    for name, text in files.items():
        place = root / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


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


# GPUs.


# What the library tells of a GPU that is well.
WELL = Gpu(
    bus="0000:b9:00",
    ecc_uncorrected=0,
    ecc_corrected=0,
    remap_failed=False,
    remap_pending=False,
    thermal_slowdown=False,
    power_brake=False,
    hw_slowdown=False,
    power_capped_percent=0,
    clock_percent=100,
    temperature_margin=50,
    nvlinks_down=0,
    pcie_lanes_missing=0,
    pcie_generations_missing=0,
)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    def put_in(*gpus: dict[str, Any], init: int = 0) -> FakeNvml:
        fake = FakeNvml(list(gpus), init)
        monkeypatch.setattr(pynvml, "nvmlLib", fake)
        monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", lambda: None)
        pynvml._nvmlGetFunctionPointer_cache.clear()
        return fake

    return put_in


def test_the_librarys_answers_become_a_snapshot(nvml: Callable[..., FakeNvml]) -> None:
    well = {
        **GPU,
        "uncorrected": 0,
        "corrected": 5,
        "failed": 0,
        "reasons": 0,
        "lanes_max": 16,
        "lanes": 16,
        "generation_max": 5,
        "generation": 5,
        "power_limit": 700_000,
        "power_default": 700_000,
        "clock": 1500,
        "clock_max": 2000,
        "recovery": 0,
    }
    sick = {
        "bus": "00000000:BA:00.0",
        "temperature": 92,
        "slowdown": 90,
        "uncorrected": 3,
        "failed": 1,
        "pending": 1,
        "reasons": pynvml.nvmlClocksEventReasonHwThermalSlowdown | pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
        "lanes_max": 16,
        "lanes": 8,
        "generation_max": 5,
        "generation": 3,
        "links": [1, 0, 1, 0],
        "recovery": pynvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT,
    }
    nvml({**well, "links": [1] * 18}, sick, {"bus": "x", "lost": True}, GPU)
    snapshot = Nvml().sweep()
    assert snapshot.state is LibraryState.READY
    first, second, third, old = snapshot.gpus
    assert first == replace(WELL, ecc_corrected=5, clock_percent=75)
    assert (second.recovery, second.nvlinks_down, second.pcie_lanes_missing) == ("reboot", 2, 8)
    assert second.pcie_generations_missing == 2
    assert (second.remap_failed, second.remap_pending, second.power_brake, second.temperature_margin) == (
        True,
        True,
        True,
        -2,
    )
    assert third == Gpu(bus="gpu-2", lost=True)
    assert old == Gpu(bus="0000:b9:00", temperature_margin=50)


def test_a_gpu_with_less_power_than_it_was_made_for_or_a_slow_clock_says_by_how_much(
    nvml: Callable[..., FakeNvml],
) -> None:
    capped = {**GPU, "power_limit": 350_000, "power_default": 700_000, "clock": 345, "clock_max": 1980}
    nvml({**capped, "reasons": 0}, {**capped, "reasons": pynvml.nvmlClocksEventReasonGpuIdle})
    working, idle = Nvml().sweep().gpus
    assert (working.power_capped_percent, round(working.clock_percent or 0)) == (50, 17)
    assert (idle.power_capped_percent, idle.clock_percent) == (50, None)


def test_a_slowdown_is_told_apart_where_the_gpu_tells_heat_from_power(nvml: Callable[..., FakeNvml]) -> None:
    hardware = pynvml.nvmlClocksEventReasonHwSlowdown
    nvml(
        {**GPU, "reasons": hardware},
        {**GPU, "reasons": hardware | pynvml.nvmlClocksEventReasonHwThermalSlowdown},
        {**GPU, "reasons": hardware | pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown},
    )
    told = [(gpu.hw_slowdown, gpu.thermal_slowdown, gpu.power_brake) for gpu in Nvml().sweep().gpus]
    assert told == [(True, False, False), (False, True, False), (False, False, True)]


@pytest.mark.parametrize(
    ("links", "fabric", "down"),
    [
        ([[0] * 12, [0] * 12], 0, [None, None]),  # cards in slots, without a bridge
        ([[0] * 12, [1] * 12], 0, [12, 0]),
        ([[0] * 12, [1] * 11 + [0]], 0, [12, 1]),
        ([[0] * 18, [0] * 18], pynvml.NVML_GPU_FABRIC_STATE_NOT_STARTED, [18, 18]),
        ([[], []], 0, [None, None]),
    ],
)
def test_links_that_are_all_down_are_missed_only_where_they_lead_somewhere(
    nvml: Callable[..., FakeNvml], links: list[list[int]], fabric: int, down: list[int | None]
) -> None:
    nvml(*({**GPU, "links": one, "fabric": fabric} for one in links))
    assert [gpu.nvlinks_down for gpu in Nvml().sweep().gpus] == down


def test_links_that_were_up_are_missed_when_all_are_down(nvml: Callable[..., FakeNvml]) -> None:
    fake = nvml({**GPU, "links": [1, 0]})
    library = Nvml()
    assert [gpu.nvlinks_down for gpu in library.sweep().gpus] == [1]
    fake.gpus[0]["links"] = [0, 0]
    assert [gpu.nvlinks_down for gpu in library.sweep().gpus] == [2]


def test_the_link_of_a_gpu_at_rest_may_be_slow(nvml: Callable[..., FakeNvml]) -> None:
    slow = {**GPU, "generation_max": 5, "generation": 1}
    nvml({**slow, "reasons": pynvml.nvmlClocksEventReasonGpuIdle}, {**slow, "reasons": 0}, slow)
    assert [gpu.pcie_generations_missing for gpu in Nvml().sweep().gpus] == [None, 4, None]


def test_a_gpu_that_is_lost_keeps_its_address(nvml: Callable[..., FakeNvml]) -> None:
    fake = nvml(dict(GPU))
    library = Nvml()
    library.sweep()
    fake.gpus[0]["lost"] = True
    assert library.sweep().gpus == (Gpu(bus="0000:b9:00", lost=True),)


def test_the_library_lets_go_of_all_gpus_until_it_is_woken(
    nvml: Callable[..., FakeNvml], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = nvml(dict(GPU))
    shut = iter([0])
    monkeypatch.setattr(fake, "nvmlShutdown", lambda: next(shut))
    library = Nvml()
    library.sweep()
    library.rest(())
    assert list(shut) == [], "it was shut down"
    resting = library.sweep()
    assert resting.state is LibraryState.RESTING
    assert readings(resting, 8, 8, 0) == []
    fake.events.put((0, 79))
    assert library.wait() == ()
    library.wake()
    assert library.sweep().state is LibraryState.READY
    assert library.wait() == (Xid(bus="0000:b9:00", code=79),)


def test_a_gpu_that_is_to_be_reset_is_out_of_persistence_mode_until_it_was(nvml: Callable[..., FakeNvml]) -> None:
    """nvidia-smi refuses to reset one that is in it: "In use by another client"."""
    fake = nvml(*({**GPU, "bus": f"00000000:B{number}:00.0", "persistence": number != 9} for number in (8, 9, 7)))
    library = Nvml()
    library.sweep()
    library.rest(("0000:b8:00", "0000:b9:00", "0000:ba:00"))
    assert [gpu["persistence"] for gpu in fake.gpus] == [0, False, True], (
        "the third is not reset, a fourth is not there"
    )
    library.wake()
    library.sweep()
    assert [gpu["persistence"] for gpu in fake.gpus] == [1, False, True], "as it was before"


def test_the_library_tells_of_an_error_when_it_happens(nvml: Callable[..., FakeNvml]) -> None:
    fake = nvml(dict(GPU))
    library = Nvml()
    library.sweep()
    fake.events.put((0, 79))
    assert library.wait() == (Xid(bus="0000:b9:00", code=79),)


@pytest.mark.parametrize(
    ("init", "state"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, LibraryState.MISSING),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, LibraryState.NO_DRIVER),
    ],
)
def test_a_missing_library_and_a_missing_driver_are_told_apart(
    nvml: Callable[..., FakeNvml], init: int, state: LibraryState
) -> None:
    nvml(init=init)
    assert Nvml().sweep() == Snapshot(state=state)


@pytest.mark.parametrize(
    ("state", "count", "expected", "present", "driver_missing", "missing"),
    [
        ("missing", 0, 0, 0, 0, None),  # a node without GPUs
        ("missing", 0, 8, 0, 0, 8),
        ("no-driver", 0, 0, 0, 0, None),
        ("no-driver", 0, 0, 8, 1, None),
        ("no-driver", 0, 8, 0, 1, 0),
        ("ready", 7, 8, 8, 0, 1),
        ("ready", 8, 8, 8, 0, 0),
        ("ready", 8, 0, 8, 0, 0),
        ("ready", 7, 0, 8, 0, 1),
        ("ready", 8, 0, 0, 0, None),
    ],
)
def test_the_four_states_of_the_library_are_told_apart(
    state: str, count: int, expected: int, present: int, driver_missing: int, missing: int | None
) -> None:
    snapshot = Snapshot(state=LibraryState(state), gpus=tuple(Gpu(bus=str(number)) for number in range(count)))
    read = values(readings(snapshot, expected, present, 0))
    assert read["gpu.driver_missing", "gpus"] == driver_missing
    assert read.get(("gpu.missing", "gpus")) == missing


def test_a_lost_gpu_is_told_and_asked_nothing_more() -> None:
    read = values(readings(Snapshot(gpus=(Gpu(bus="b", lost=True, ecc_corrected=1),)), 0, 1, 0))
    assert read == {("gpu.driver_missing", "gpus"): 0, ("gpu.missing", "gpus"): 0, ("gpu.lost", "b"): 1}


def test_every_reading_of_a_gpu_has_a_fault_type() -> None:
    read = {one.check for one in readings(Snapshot(gpus=(WELL,)), 1, 1, 0)}
    assert read == {check for check in CATALOGUE.by_check if check.startswith("gpu.")}


def test_gpus_on_the_bus_are_counted(tmp_path: Path) -> None:
    base = "sys__bus__pci__devices__"
    tree(
        tmp_path,
        **{
            f"{base}a__vendor": "0x10de\n",
            f"{base}a__class": "0x030200\n",
            f"{base}b__vendor": "0x10de\n",
            f"{base}b__class": "0x068000\n",
            f"{base}c__vendor": "0x8086\n",
            f"{base}c__class": "0x030000\n",
        },
    )
    assert on_the_bus(tmp_path) == 1
    assert on_the_bus(tmp_path / "nowhere") == 0
    bound = tmp_path / "sys/bus/pci/devices/a/driver"
    for driver, counted in (("nvidia", 1), ("vfio-pci", 0)):
        (tmp_path / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
        bound.symlink_to(tmp_path / "sys/bus/pci/drivers" / driver)
        assert on_the_bus(tmp_path) == counted
        bound.unlink()
    assert on_the_bus(tmp_path) == 1, "one that was unbound is still there"


# Rounds.


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
