"""InstanceStress of GPUs: matrices multiplied over and over to the same bits, bandwidth of memory and PCIe.

What is not there is skipped, with the reason: it never counts as passed.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tocsin.agent.deep import dcgm
from tocsin.agent.deep.gpu_libraries import COPY_BYTES, SIDE, GpuWork, Product, Work, gpu_work
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

ROUNDS_BETWEEN_LOOKS = 8
DEVICES = Path("/dev/nvidiactl")


def burn(order: RunDeepCheck, _: Path) -> Iterator[CheckResult]:
    work, missing = found()
    if work is None:
        yield _skipped("GPU burn", missing)
    else:
        for gpu in range(work.count()):
            yield from burn_one(work, gpu, order.seconds)
    if not order.dcgm_level:
        yield _skipped("DCGM diagnostics", "the settings ask for none")
    elif not shutil.which("dcgmi"):
        yield _skipped("DCGM diagnostics", "dcgmi is not installed")
    else:
        yield dcgm.diagnose(order.dcgm_level, order.time_limit_s)


def found() -> tuple[GpuWork | None, str]:
    """What works on the GPUs here; None, and why there is nothing."""
    if not DEVICES.exists():
        return None, "there is no NVIDIA GPU"
    return gpu_work()


def burn_one(work: GpuWork, gpu: int, seconds: float) -> Iterator[CheckResult]:
    model = work.name(gpu)
    wrong, speed = _multiplied(work.product(gpu), seconds)
    yield _result(f"matmul of GPU {gpu}", model, work.metric, "TFLOP/s", speed, wrong)
    copies = work.copies(gpu)
    # Each byte is read and written.
    yield _result(f"memory of GPU {gpu}", model, "gpu-hbm-gbs", "GB/s", 2 * _copied(copies.within, seconds / 4))
    slower = min(_copied(copies.to, seconds / 4), _copied(copies.back, seconds / 4))
    yield _result(f"PCIe of GPU {gpu}", model, "gpu-pcie-gbs", "GB/s", slower)


def _skipped(test: str, why: str) -> CheckResult:
    return CheckResult(kind=DeepKind.STRESS, test=test, outcome="skipped", detail=why)


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


def _multiplied(product: Product, seconds: float) -> tuple[str, float]:
    """What is wrong, and TFLOP/s. The same product must come to the same bits each time."""
    product.again(1)
    spent, rounds, end = 0.0, 0, time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        began = time.monotonic()
        product.again(ROUNDS_BETWEEN_LOOKS)
        spent += time.monotonic() - began
        rounds += ROUNDS_BETWEEN_LOOKS
        if not product.same():
            return f"product {rounds} has other bits than the first", 0.0
    return "", 2 * SIDE**3 * rounds / spent / 1e12


def _copied(work: Work, seconds: float) -> float:
    """GB a second."""
    work(1)
    began, rounds = time.monotonic(), 0
    while not rounds or time.monotonic() < began + seconds:
        work(ROUNDS_BETWEEN_LOOKS)
        rounds += ROUNDS_BETWEEN_LOOKS
    return COPY_BYTES * rounds / 1e9 / (time.monotonic() - began)
