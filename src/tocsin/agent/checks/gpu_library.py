"""Asking for GPUs: NVIDIA's library (NVML) by nvidia-ml-py, or a profile in a file that stands for it."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from ctypes import byref
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from tocsin.agent.checks.gpus import Gpu, LibraryState, Snapshot, Xid

log = logging.getLogger(__name__)
T = TypeVar("T")
WAIT_MS = 1000


class Nvml:
    """The library itself. Imported when it is first asked: most nodes of a test have none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._events: Any = None
        self._buses: dict[int, str] = {}
        self._resting = False
        self._linked = False  # a link of a GPU was up
        self._kept_up: tuple[str, ...] = ()  # GPUs whose persistence mode is to be on again
        # One for each thread that asks: a wait for errors must not hold up the rounds.
        self._sweeping, self._waiting = threading.Lock(), threading.Lock()

    def rest(self, gpus: tuple[str, ...]) -> None:
        """A GPU in persistence mode is held by the driver itself, or its daemon, and cannot be reset."""
        self._resting = True
        with self._sweeping, self._waiting:
            self._kept_up = tuple(gpu for gpu in gpus if self._turn(gpu, on=False))
            self.close()

    def wake(self) -> None:
        self._resting = False

    def sweep(self) -> Snapshot:
        with self._sweeping:
            return Snapshot(state=LibraryState.RESTING) if self._resting else self._swept()

    def _swept(self) -> Snapshot:
        import pynvml

        if self._nvml is None:
            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError as error:
                missing = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
                return Snapshot(state=LibraryState.MISSING if missing else LibraryState.NO_DRIVER)
            self._nvml = pynvml
            for gpu in self._kept_up:
                self._turn(gpu, on=True)
            self._kept_up = ()
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError:  # the driver was unloaded under us: begin anew
            self.close()
            return Snapshot(state=LibraryState.NO_DRIVER)
        gpus = tuple(self._gpu(index) for index in range(count))
        if any(gpu.nvlinks_down for gpu in gpus) and not self._connected(count):
            gpus = tuple(replace(gpu, nvlinks_down=None) for gpu in gpus)
        return Snapshot(gpus=gpus)

    def wait(self) -> tuple[Xid, ...]:
        with self._waiting:
            nvml = self._nvml
            if nvml is not None and not self._resting:
                return self._told(nvml)
        time.sleep(WAIT_MS / 1000)
        return ()

    def _told(self, nvml: Any) -> tuple[Xid, ...]:
        try:
            if self._events is None:
                self._events = self._registered()
            told = nvml.nvmlEventSetWait_v2(self._events, WAIT_MS)
            bus = _bus(nvml.nvmlDeviceGetPciInfo(told.device).busId)
        except nvml.NVMLError as error:
            if error.value not in (nvml.NVML_ERROR_TIMEOUT, nvml.NVML_ERROR_GPU_IS_LOST):
                time.sleep(WAIT_MS / 1000)
            return ()
        return (Xid(bus=bus, code=int(told.eventData)),)

    def close(self) -> None:
        if self._nvml is not None:
            nvml, self._nvml, self._events = self._nvml, None, None
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return

    def _turn(self, gpu: str, *, on: bool) -> bool:
        """Have a GPU in persistence mode, or not; whether that is a change."""
        nvml = self._nvml
        if nvml is None:
            return False
        try:
            handle = nvml.nvmlDeviceGetHandleByPciBusId(gpu)
            if bool(nvml.nvmlDeviceGetPersistenceMode(handle)) is on:
                return False
            nvml.nvmlDeviceSetPersistenceMode(handle, int(on))
        except nvml.NVMLError as error:
            log.warning("persistence mode of %s could not be turned %s: %s", gpu, "on" if on else "off", error)
            return False
        return True

    def _connected(self, count: int) -> bool:
        """Whether links of this node's GPUs lead anywhere. Cards without a bridge have links too, all of them down."""
        nvml = self._nvml
        for index in range(0 if self._linked else count):
            with contextlib.suppress(nvml.NVMLError):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                self._linked = self._linked or any(_links_up(nvml, handle)) or _in_fabric(nvml, handle)
        return self._linked

    def _registered(self) -> Any:
        nvml = self._nvml
        events = nvml.nvmlEventSetCreate()
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            except nvml.NVMLError:
                continue
        return events

    def _gpu(self, index: int) -> Gpu:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            bus = self._buses[index] = _bus(nvml.nvmlDeviceGetPciInfo(handle).busId)
            return _asked(nvml, handle, bus)
        except nvml.NVMLError:
            return Gpu(bus=self._buses.get(index, f"gpu-{index}"), lost=True)


def _asked(nvml: Any, handle: Any, bus: str) -> Gpu:
    """Everything of one GPU. What it does not support is None; that it is lost is raised."""

    def ask(question: Callable[[], T]) -> T | None:
        try:
            return question()
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
                raise
            return None

    reasons = ask(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    remapped = ask(lambda: nvml.nvmlDeviceGetRemappedRows(handle))
    hot = nvml.nvmlClocksEventReasonHwThermalSlowdown | nvml.nvmlClocksEventReasonSwThermalSlowdown
    working = reasons is not None and not reasons & nvml.nvmlClocksEventReasonGpuIdle
    return Gpu(
        bus=bus,
        recovery=_recovery(
            nvml, ask(lambda: nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION]))
        ),
        ecc_uncorrected=ask(lambda: int(_ecc(nvml, handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED))),
        ecc_corrected=ask(lambda: int(_ecc(nvml, handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED))),
        remap_failed=None if remapped is None else bool(remapped[3]),
        remap_pending=None if remapped is None else bool(remapped[2]),
        thermal_slowdown=None if reasons is None else bool(reasons & hot),
        power_brake=None if reasons is None else bool(reasons & nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown),
        hw_slowdown=None if reasons is None else _unexplained(nvml, reasons),
        power_capped_percent=ask(lambda: _power_capped_percent(nvml, handle)),
        clock_percent=ask(lambda: _clock_percent(nvml, handle)) if working else None,
        temperature_margin=ask(lambda: float(_margin(nvml, handle))),
        nvlinks_down=ask(lambda: _links_up(nvml, handle).count(False)),
        pcie_lanes_missing=ask(
            lambda: int(nvml.nvmlDeviceGetMaxPcieLinkWidth(handle) - nvml.nvmlDeviceGetCurrPcieLinkWidth(handle))
        ),
        pcie_generations_missing=ask(lambda: _generations_missing(nvml, handle)) if working else None,
    )


def _ecc(nvml: Any, handle: Any, kind: int) -> int:
    """Since the driver was loaded: a counter that begins anew with a boot."""
    count: int = nvml.nvmlDeviceGetTotalEccErrors(handle, kind, nvml.NVML_VOLATILE_ECC)
    return count


def _margin(nvml: Any, handle: Any) -> int:
    limit = nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
    margin: int = limit - nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    return margin


def _unexplained(nvml: Any, reasons: int) -> bool:
    """Newer GPUs say which of the two it is; older ones have one bit for both."""
    why = nvml.nvmlClocksEventReasonHwThermalSlowdown | nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
    return bool(reasons & nvml.nvmlClocksEventReasonHwSlowdown) and not reasons & why


def _power_capped_percent(nvml: Any, handle: Any) -> float:
    made_for: int = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    return max(0.0, 100 * (1 - nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / made_for)) if made_for else 0.0


def _clock_percent(nvml: Any, handle: Any) -> float:
    highest: int = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
    return 100 * nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) / highest if highest else 100.0


def _generations_missing(nvml: Any, handle: Any) -> int:
    """Below what the GPU and its slot can do together."""
    best: int = nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)
    return best - int(nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle))


def _links_up(nvml: Any, handle: Any) -> list[bool]:
    """Of each link that the GPU has. The first question says whether it has any."""
    up = [bool(nvml.nvmlDeviceGetNvLinkState(handle, 0))]
    for link in range(1, nvml.NVML_NVLINK_MAX_LINKS):
        try:
            up.append(bool(nvml.nvmlDeviceGetNvLinkState(handle, link)))
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
                raise
            break
    return up


def _in_fabric(nvml: Any, handle: Any) -> bool:
    """Whether the GPU is to be part of a fabric (NVSwitch), whether or not it is."""
    about = nvml.c_nvmlGpuFabricInfo_t()
    nvml.nvmlDeviceGetGpuFabricInfo(handle, byref(about))
    return bool(about.state != nvml.NVML_GPU_FABRIC_STATE_NOT_SUPPORTED)


def _recovery(nvml: Any, values: Any) -> str:
    if not values or values[0].nvmlReturn != 0:
        return ""
    wanted = int(values[0].value.uiVal)
    if wanted in (nvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT, nvml.NVML_GPU_RECOVERY_ACTION_SYSTEM_REBOOT):
        return "reboot"
    resets = (
        nvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET,
        nvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET,
        nvml.NVML_GPU_RECOVERY_ACTION_BUS_RESET,
    )
    return "reset" if wanted in resets else ""


def _bus(bus_id: str | bytes) -> str:
    """The address as the kernel's log writes it: 0000:b9:00, of 00000000:B9:00.0."""
    text = bus_id.decode() if isinstance(bus_id, bytes) else bus_id
    return text.lower().removesuffix(".0")[-10:]


class ProfiledGpus:
    """GPUs that a file tells of: a Snapshot as JSON, read anew at each question. No file: a node without GPUs.

    Its Xids stand in the snapshot: a file has no event for us to wait for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def rest(self, gpus: tuple[str, ...]) -> None:
        """A file is held by nobody."""

    def wake(self) -> None:
        return

    def sweep(self) -> Snapshot:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Snapshot)
        except (OSError, msgspec.MsgspecError):
            return Snapshot(state=LibraryState.MISSING)

    def wait(self) -> tuple[Xid, ...]:
        time.sleep(WAIT_MS / 1000)
        return ()

    def close(self) -> None:
        return
