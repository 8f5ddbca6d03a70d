"""What multiplies and copies on GPUs: PyTorch, or CuPy where there is no PyTorch. gpus.py measures; this knows them.

Each works for a number of rounds and comes back when the GPU is done.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

SIDE = 8192  # of the matrices: large enough to be bound by arithmetic alone
COPY_BYTES = 1 << 30

WHY_CHARS_MAX = 120
T = TypeVar("T")
Work = Callable[[int], None]


class Product(Struct, frozen=True):
    """`again` multiplies the same matrices, `same`: to the same bits as the first time."""

    again: Work
    same: Callable[[], bool]


class Copies(Struct, frozen=True):
    """Of COPY_BYTES: within the GPU's memory, and over PCIe to it and back."""

    within: Work
    to: Work
    back: Work


class GpuWork(Protocol):
    """`metric` names how fast it multiplies, by the type of its numbers."""

    metric: str

    def count(self) -> int: ...

    def name(self, gpu: int) -> str: ...

    def product(self, gpu: int) -> Product: ...

    def copies(self, gpu: int) -> Copies: ...


class TorchGpus:
    metric = "gpu-bf16-tflops"

    def __init__(self) -> None:
        import torch  # type: ignore[import-not-found,unused-ignore]

        self._torch: Any = torch

    def count(self) -> int:
        cuda = self._torch.cuda
        return int(cuda.device_count()) if cuda.is_available() else 0

    def name(self, gpu: int) -> str:
        return str(self._torch.cuda.get_device_name(gpu))

    def product(self, gpu: int) -> Product:
        torch, device = self._torch, self._device(gpu)
        torch.manual_seed(0)
        left, right = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
        first = left @ right
        product = torch.empty_like(first)
        again = self._repeated(gpu, lambda: torch.mm(left, right, out=product))
        return Product(again, lambda: bool(torch.equal(product, first)))

    def copies(self, gpu: int) -> Copies:
        torch = self._torch
        there = torch.empty(COPY_BYTES, dtype=torch.uint8, device=self._device(gpu))
        other = torch.empty_like(there)
        pinned = self._pinned()
        return Copies(
            self._repeated(gpu, lambda: other.copy_(there, non_blocking=True)),
            self._repeated(gpu, lambda: there.copy_(pinned, non_blocking=True)),
            self._repeated(gpu, lambda: pinned.copy_(there, non_blocking=True)),
        )

    def _repeated(self, gpu: int, once: Callable[[], object]) -> Work:
        def work(rounds: int) -> None:
            for _ in range(rounds):
                once()
            self._wait(gpu)

        return work

    # All that is a GPU's; the rest runs on a processor as well.

    def _device(self, gpu: int) -> str:
        return f"cuda:{gpu}"

    def _pinned(self) -> Any:
        return self._torch.empty(COPY_BYTES, dtype=self._torch.uint8, pin_memory=True)

    def _wait(self, gpu: int) -> None:
        self._torch.cuda.synchronize(gpu)


class CupyGpus:
    metric = "gpu-fp16-tflops"

    def __init__(self) -> None:
        import cupy  # type: ignore[import-not-found,unused-ignore]
        import cupyx  # type: ignore[import-not-found,unused-ignore]

        self._cupy: Any = cupy
        # Both are loaded when they are first used; where one is missing, it is now that it shall be known.
        self._needed = (cupy.cuda.nvrtc.getVersion(), cupy.cuda.cublas)
        self._pinned: Any = cupyx.empty_pinned

    def count(self) -> int:
        runtime = self._cupy.cuda.runtime
        try:
            return int(runtime.getDeviceCount())
        except runtime.CUDARuntimeError:
            return 0

    def name(self, gpu: int) -> str:
        named: bytes = self._cupy.cuda.runtime.getDeviceProperties(gpu)["name"]
        return named.decode()

    def product(self, gpu: int) -> Product:
        cupy = self._cupy
        with cupy.cuda.Device(gpu):
            cupy.random.seed(0)
            numbers = [cupy.random.standard_normal((SIDE, SIDE), dtype=cupy.float32) for _ in range(2)]
            left, right = (one.astype(cupy.float16) for one in numbers)
            first = cupy.matmul(left, right)
            product = cupy.empty_like(first)

        def same() -> bool:
            with cupy.cuda.Device(gpu):
                return bool(cupy.array_equal(product, first))

        return Product(self._repeated(gpu, lambda: cupy.matmul(left, right, out=product)), same)

    def copies(self, gpu: int) -> Copies:
        cupy = self._cupy
        with cupy.cuda.Device(gpu):
            there = cupy.empty(COPY_BYTES, dtype=cupy.uint8)
            other = cupy.empty_like(there)
        pinned = self._pinned(COPY_BYTES, dtype=cupy.uint8)
        return Copies(
            self._repeated(gpu, lambda: cupy.copyto(other, there)),
            self._repeated(gpu, lambda: there.set(pinned)),
            self._repeated(gpu, lambda: there.get(out=pinned)),
        )

    def _repeated(self, gpu: int, once: Callable[[], object]) -> Work:
        def work(rounds: int) -> None:
            with self._cupy.cuda.Device(gpu) as device:
                for _ in range(rounds):
                    once()
                device.synchronize()

        return work


LIBRARIES: dict[str, Callable[[], GpuWork]] = {"torch": TorchGpus, "cupy": CupyGpus}


def gpu_work() -> tuple[GpuWork | None, str]:
    """The first that sees a GPU; else None, and why there is none."""
    why = []
    for name, made in LIBRARIES.items():
        work, missing = loaded(name, made)
        if work is not None and work.count():
            return work, ""
        why.append(missing or f"{name} sees no GPU")
    return None, "; ".join(why)


def loaded(name: str, made: Callable[[], T]) -> tuple[T | None, str]:
    """What a library makes; None, and why it makes nothing. A broken installation is no fault of the hardware."""
    if importlib.util.find_spec(name) is None:
        return None, f"{name} is not installed"
    try:
        return made(), ""
    except Exception as error:  # whatever it is: PyTorch without a library of CUDA's raises ValueError
        return None, f"{name} cannot be imported: {str(error)[:WHY_CHARS_MAX]}"
