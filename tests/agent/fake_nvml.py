"""NVIDIA's library in Python: nvidia-ml-py calls these as it calls the real one, with its own marshalling.

Put in as `pynvml.nvmlLib`. A question that a GPU's numbers do not answer is NOT_SUPPORTED, as on old cards.
"""

import ctypes
import queue
from typing import Any

import pynvml

FIRST = 0x1000


class FakeNvml:
    def __init__(self, gpus: list[dict[str, Any]], init: int = 0) -> None:
        self.gpus, self.init = gpus, init
        self.events: queue.Queue[tuple[int, int]] = queue.Queue()

    def nvmlInitWithFlags(self, flags: Any) -> int:
        return self.init

    def nvmlShutdown(self) -> int:
        return 0

    def nvmlErrorString(self, result: Any) -> bytes:
        return b"an error"

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.gpus)
        return self.init

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        number = getattr(index, "value", index)
        if self.gpus[number].get("lost"):
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        _point(handle, number)
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, bus: Any, handle: Any) -> int:
        wanted = bus.value.decode().lower()
        for number, gpu in enumerate(self.gpus):
            if not gpu.get("lost") and gpu["bus"].lower().endswith(f"{wanted}.0"):
                _point(handle, number)
                return 0
        return int(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetPersistenceMode(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "persistence", place)

    def nvmlDeviceSetPersistenceMode(self, handle: Any, mode: Any) -> int:
        self._gpu(handle)["persistence"] = getattr(mode, "value", mode)
        return 0

    def _gpu(self, handle: Any) -> dict[str, Any]:
        return self.gpus[ctypes.cast(handle, ctypes.c_void_p).value - FIRST]  # type: ignore[operator]

    def _tell(self, handle: Any, name: str, place: Any) -> int:
        gpu = self._gpu(handle)
        if gpu.get("lost"):
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        if name not in gpu:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        place._obj.value = gpu[name]
        return 0

    def nvmlDeviceGetPciInfo_v3(self, handle: Any, info: Any) -> int:
        info._obj.busId = self._gpu(handle)["bus"].encode()
        return 0

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, place: Any) -> int:
        return self._tell(handle, "temperature", place)

    def nvmlDeviceGetTemperatureThreshold(self, handle: Any, kind: Any, place: Any) -> int:
        return self._tell(handle, "slowdown", place)

    def nvmlDeviceGetTotalEccErrors(self, handle: Any, kind: Any, counter: Any, place: Any) -> int:
        uncorrected = getattr(kind, "value", kind) == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        return self._tell(handle, "uncorrected" if uncorrected else "corrected", place)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "reasons", place)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "power_limit", place)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "power_default", place)

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, place: Any) -> int:
        return self._tell(handle, "clock", place)

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: Any, place: Any) -> int:
        return self._tell(handle, "clock_max", place)

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "lanes_max", place)

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "lanes", place)

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "generation_max", place)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Any, place: Any) -> int:
        return self._tell(handle, "generation", place)

    def nvmlDeviceGetRemappedRows(self, handle: Any, corr: Any, unc: Any, pending: Any, failed: Any) -> int:
        corr._obj.value = unc._obj.value = 0
        pending._obj.value = self._gpu(handle).get("pending", 0)
        return self._tell(handle, "failed", failed)

    def nvmlDeviceGetNvLinkState(self, handle: Any, link: Any, active: Any) -> int:
        links = self._gpu(handle).get("links", [])
        number = getattr(link, "value", link)
        if number >= len(links):
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED if not links else pynvml.NVML_ERROR_INVALID_ARGUMENT)
        active._obj.value = links[number]
        return 0

    def nvmlDeviceGetGpuFabricInfo(self, handle: Any, info: Any) -> int:
        info._obj.state = self._gpu(handle).get("fabric", pynvml.NVML_GPU_FABRIC_STATE_NOT_SUPPORTED)
        return 0

    def nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> int:
        value = values._obj[0]
        wanted = self._gpu(handle).get("recovery")
        value.nvmlReturn = 0 if wanted is not None else pynvml.NVML_ERROR_NOT_SUPPORTED
        value.value.uiVal = wanted or 0
        return 0

    def nvmlEventSetCreate(self, place: Any) -> int:
        _point(place, 0)
        return 0

    def nvmlDeviceRegisterEvents(self, handle: Any, kinds: Any, events: Any) -> int:
        return 0

    def nvmlEventSetWait_v2(self, events: Any, place: Any, ms: Any) -> int:
        try:
            number, xid = self.events.get(timeout=getattr(ms, "value", ms) / 1000)
        except queue.Empty:
            return int(pynvml.NVML_ERROR_TIMEOUT)
        _point(ctypes.byref(place._obj), number)
        place._obj.eventType, place._obj.eventData = pynvml.nvmlEventTypeXidCriticalError, xid
        return 0


def _point(place: Any, number: int) -> None:
    """Make a handle of a number."""
    ctypes.cast(ctypes.byref(place._obj), ctypes.POINTER(ctypes.c_void_p))[0] = FIRST + number
