"""GPUs: what the driver's library says of each, as readings. gpu_library.py asks it; this file knows what it means.

Four states of the library are told apart (facts/health.md §6.3): none (a node without GPUs: silent), a driver that is
not loaded, one that answers, and GPUs that do not answer any more.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tocsin.model.health import Reading

NVIDIA = "0x10de"
DRIVER = "nvidia"
GPU_CLASSES = ("0x0300", "0x0302")  # PCI class of display and 3D controllers


class LibraryState(StrEnum):
    MISSING = "missing"
    NO_DRIVER = "no-driver"
    READY = "ready"
    RESTING = "resting"  # it is not asked: a GPU is being reset


class Gpu(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One GPU, as far as its driver says: None for what it does not say. `bus` is its PCI address."""

    bus: str
    lost: bool = False
    recovery: str = ""  # what the driver asks for: reset, reboot
    ecc_uncorrected: int | None = None
    ecc_corrected: int | None = None
    remap_failed: bool | None = None
    remap_pending: bool | None = None
    thermal_slowdown: bool | None = None
    power_brake: bool | None = None
    hw_slowdown: bool | None = None  # by the hardware, which says neither heat nor power
    power_capped_percent: float | None = None  # how far its limit is below the one it was made with
    clock_percent: float | None = None  # of its highest clock, of a GPU that works
    temperature_margin: float | None = None  # degrees below the temperature at which it slows down
    nvlinks_down: int | None = None
    pcie_lanes_missing: int | None = None
    pcie_generations_missing: int | None = None  # of a GPU that works: at rest links are slow to save power


class Xid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error that the library tells of as it happens."""

    bus: str
    code: int


class Snapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the library said at one moment. `xids` are told of once each, in their order."""

    state: LibraryState = LibraryState.READY
    gpus: tuple[Gpu, ...] = ()
    xids: tuple[Xid, ...] = ()


class GpuLibrary(Protocol):
    """The driver's library, or what stands for it."""

    def sweep(self) -> Snapshot:
        """Ask for everything. May take its time: called in a thread."""

    def wait(self) -> tuple[Xid, ...]:
        """Block for at most a second for errors as they happen. Called in a thread of its own, once it is READY."""

    def rest(self, gpus: tuple[str, ...]) -> None:
        """Let go of all GPUs, and ask no more until `wake`. Blocks until nothing is asked any more. Of these the driver
        itself is to let go until then."""

    def wake(self) -> None: ...

    def close(self) -> None: ...


def readings(snapshot: Snapshot, expected: int, present: int, at_ms: int) -> list[Reading]:
    """What a snapshot amounts to. `expected` GPUs are promised by the instance type, `present` are on the PCI bus."""
    if snapshot.state is LibraryState.RESTING:
        return []
    if snapshot.state is not LibraryState.READY:
        missing = snapshot.state is LibraryState.NO_DRIVER and bool(expected or present)
        told = [_whole("gpu.driver_missing", int(missing), f"{present} GPUs are there and no driver is loaded", at_ms)]
        lacking = expected if snapshot.state is LibraryState.MISSING else 0
        return told + _counted(expected, 0, lacking, "the NVIDIA library is not installed", at_ms)
    answering = sum(not gpu.lost for gpu in snapshot.gpus)
    told = [_whole("gpu.driver_missing", 0, "the driver is loaded", at_ms)]
    lacking = max(0, max(expected, present) - len(snapshot.gpus))
    told += _counted(expected, present, lacking, f"{answering} GPUs answer", at_ms)
    return told + [reading for gpu in snapshot.gpus for reading in _of(gpu, at_ms)]


def _counted(expected: int, present: int, lacking: int, found: str, at_ms: int) -> list[Reading]:
    if not max(expected, present):
        return []
    more = f"{present} are on the bus" if present > expected else f"the instance type promises {expected}"
    return [_whole("gpu.missing", lacking, f"{found}, and {more}", at_ms)]


def _whole(check: str, value: int, words: str, at_ms: int) -> Reading:
    return Reading(check=check, subject="gpus", value=value, at_ms=at_ms, text=words)


def _of(gpu: Gpu, at_ms: int) -> Iterable[Reading]:
    def told(check: str, value: float, words: str) -> Reading:
        return Reading(check=f"gpu.{check}", subject=gpu.bus, value=value, at_ms=at_ms, text=f"GPU {gpu.bus} {words}")

    yield told("lost", int(gpu.lost), "does not answer any more" if gpu.lost else "answers")
    if gpu.lost:
        return
    yield told("recovery_reset", int(gpu.recovery == "reset"), "asks for a reset")
    yield told("recovery_reboot", int(gpu.recovery == "reboot"), "asks for a reboot of its node")
    for check, words in _WORDS.items():
        value = getattr(gpu, check)
        if value is not None:
            yield told(check, float(value), words.format(value))


_WORDS = {
    "ecc_uncorrected": "had {0} memory errors that could not be corrected",
    "ecc_corrected": "had {0} memory errors that were corrected",
    "remap_failed": "could not map a bad row of its memory out",
    "remap_pending": "maps a bad row of its memory out at its next reset",
    "thermal_slowdown": "is slowed down because it is too hot",
    "power_brake": "is slowed down because the power supply asks for it",
    "hw_slowdown": "slows itself down",
    "power_capped_percent": "may draw {0:.0f} % less power than it was made for",
    "clock_percent": "runs at {0:.0f} % of its highest clock",
    "temperature_margin": "is {0:g} degrees below the temperature at which it slows down",
    "nvlinks_down": "has {0} NVLinks that are down",
    "pcie_lanes_missing": "has {0} PCIe lanes less than it can have",
    "pcie_generations_missing": "runs its PCIe link {0} generations below what it can",
}


def on_the_bus(root: Path) -> int:
    """How many NVIDIA GPUs the PCI bus shows, with NVIDIA's driver or none: one that was unbound is still there.

    Those of other drivers (vfio, for a virtual machine) are somebody else's.
    """
    found = 0
    try:
        devices = list((root / "sys/bus/pci/devices").iterdir())
    except OSError:
        return 0
    for device in devices:
        try:
            vendor, kind = (device / "vendor").read_text().strip(), (device / "class").read_text().strip()
        except OSError:
            continue
        driver = (device / "driver").resolve().name if (device / "driver").exists() else DRIVER
        found += vendor == NVIDIA and kind.startswith(GPU_CLASSES) and driver == DRIVER
    return found
