"""Checks of GPUs, on the Python twin of the library that tells of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest
from msgspec.structs import replace

from tests.agent.fake_nvml import FakeNvml
from tests.agent.trees import GPU, WELL, tree, values
from tests.faults.table import CATALOGUE
from tocsin.agent.checks.gpu_library import Nvml
from tocsin.agent.checks.gpus import Gpu, LibraryState, Snapshot, Xid, on_the_bus, readings


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
