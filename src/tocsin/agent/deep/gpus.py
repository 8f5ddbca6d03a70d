"""InstanceStress of GPUs, through torch: matrices multiplied over and over to the same bits, memory and PCIe bandwidth.

What is not there is skipped, with the reason: it never counts as passed.
"""

import importlib.util
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tocsin.agent.deep import tools
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

SIDE = 8192  # of the matrices: large enough to be bound by arithmetic alone
COPY_BYTES = 1 << 30
ROUNDS_BETWEEN_LOOKS = 8
DEVICES = Path("/dev/nvidiactl")


def burn(order: RunDeepCheck, _: Path) -> Iterator[CheckResult]:
    missing = _missing()
    if missing:
        yield _skipped("GPU burn", missing)
    else:
        yield from _burn(order.seconds)
    if not order.dcgm_level:
        yield _skipped("DCGM diagnostics", "the settings ask for none")
    elif not shutil.which("dcgmi"):
        yield _skipped("DCGM diagnostics", "dcgmi is not installed")
    else:
        yield tools.dcgm(order.dcgm_level, order.time_limit_s)


def _missing() -> str:
    if not DEVICES.exists():
        return "there is no NVIDIA GPU"
    if importlib.util.find_spec("torch") is None:
        return "torch cannot be imported"
    import torch  # type: ignore[import-not-found,unused-ignore]

    return "" if torch.cuda.is_available() else "torch sees no GPU"


def _skipped(test: str, why: str) -> CheckResult:
    return CheckResult(kind=DeepKind.STRESS, test=test, outcome="skipped", detail=why)


def _burn(seconds: float) -> Iterator[CheckResult]:
    import torch

    for number in range(torch.cuda.device_count()):
        device, model = f"cuda:{number}", torch.cuda.get_device_name(number)
        wrong, speed = _multiply(torch, device, seconds)
        yield _result(f"matmul of GPU {number}", model, "gpu-bf16-tflops", "TFLOP/s", speed, wrong)
        yield from _copies(torch, number, model, seconds / 4)


def _copies(torch: Any, number: int, model: str, seconds: float) -> Iterator[CheckResult]:
    there = torch.empty(COPY_BYTES, dtype=torch.uint8, device=f"cuda:{number}")
    other = torch.empty_like(there)
    speed = 2 * _copied(torch, seconds, other, there)
    yield _result(f"memory of GPU {number}", model, "gpu-hbm-gbs", "GB/s", speed)
    pinned = torch.empty(COPY_BYTES, dtype=torch.uint8, pin_memory=True)
    slower = min(_copied(torch, seconds, there, pinned), _copied(torch, seconds, pinned, there))
    yield _result(f"PCIe of GPU {number}", model, "gpu-pcie-gbs", "GB/s", slower)


def _result(test: str, model: str, metric: str, unit: str, value: float, wrong: str = "") -> CheckResult:
    return CheckResult(
        kind=DeepKind.STRESS,
        test=test,
        outcome="failed" if wrong else "passed",
        detail=wrong,
        metric=metric,
        value=value,
        unit=unit,
        model=model,
    )


def _multiply(torch: Any, device: str, seconds: float) -> tuple[str, float]:
    """What is wrong, and TFLOP/s. The same product must come to the same bits each time."""
    torch.manual_seed(0)
    left, right = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    first = left @ right
    product = torch.empty_like(first)
    torch.cuda.synchronize(device)
    spent, rounds, end = 0.0, 0, time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        began = time.monotonic()
        for _ in range(ROUNDS_BETWEEN_LOOKS):
            torch.mm(left, right, out=product)
        torch.cuda.synchronize(device)
        spent += time.monotonic() - began
        rounds += ROUNDS_BETWEEN_LOOKS
        if not torch.equal(product, first):
            return f"product {rounds} has other bits than the first", 0.0
    return "", 2 * SIDE**3 * rounds / spent / 1e12


def _copied(torch: Any, seconds: float, to: Any, origin: Any) -> float:
    """GB a second."""
    to.copy_(origin, non_blocking=True)
    torch.cuda.synchronize()
    began, rounds = time.monotonic(), 0
    while not rounds or time.monotonic() < began + seconds:
        for _ in range(ROUNDS_BETWEEN_LOOKS):
            to.copy_(origin, non_blocking=True)
        torch.cuda.synchronize()
        rounds += ROUNDS_BETWEEN_LOOKS
    return COPY_BYTES * rounds / 1e9 / (time.monotonic() - began)
