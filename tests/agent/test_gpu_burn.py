"""The GPU tests of a deep check, and the bench that prints them, over a stand-in for PyTorch: no GPU is lent here."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from bench import gpu as bench

from tests.agent.fake_torch import FakeTorch
from tests.harness import WAIT_S
from tocsin.agent.deep import gpus, reduce
from tocsin.core.deep import FLOORS
from tocsin.core.deep.floors import sheet_of
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

H100 = "NVIDIA H100 80GB HBM3"
ORDER = RunDeepCheck(
    work="deep/1",
    kinds=(DeepKind.STRESS,),
    address="127.0.0.1",
    port=1,
    secret="ours",
    seconds=0.0,
    time_limit_s=60.0,
)
Put = Callable[..., None]


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Put:
    """Have PyTorch importable, with these GPUs."""

    def put(*models: str, flips: int = 0) -> None:
        monkeypatch.setattr(gpus, "DEVICES", tmp_path)
        monkeypatch.setitem(sys.modules, "torch", FakeTorch(list(models), flips))
        there = importlib.util.find_spec
        spec: Callable[[str], ModuleSpec | None] = lambda name: (  # noqa: E731
            ModuleSpec("torch", None) if name == "torch" else there(name)
        )
        monkeypatch.setattr(importlib.util, "find_spec", spec)

    return put


def burned() -> list[CheckResult]:
    return [one for one in gpus.burn(ORDER, Path()) if "DCGM" not in one.test]


def test_every_gpu_multiplies_and_copies(torch: Put) -> None:
    torch(H100, H100)
    found = burned()
    assert [one.test for one in found] == [
        f"{test} of GPU {gpu}" for gpu in (0, 1) for test in ("matmul", "memory", "PCIe")
    ]
    assert [one.metric for one in found[:3]] == ["gpu-bf16-tflops", "gpu-hbm-gbs", "gpu-pcie-gbs"]
    assert {(one.outcome, one.model) for one in found} == {("passed", H100)}
    assert all(one.value > 0 for one in found)


def test_a_product_with_other_bits_than_the_first_fails_its_gpu_only(torch: Put) -> None:
    torch(H100, H100, flips=1 + gpus.ROUNDS_BETWEEN_LOOKS)
    outcomes = {one.test: (one.outcome, one.detail) for one in burned()}
    assert outcomes["matmul of GPU 0"] == ("failed", "product 8 has other bits than the first")
    assert outcomes["matmul of GPU 1"] == ("passed", "")


def test_a_driver_without_gpus_is_skipped_with_the_reason(torch: Put) -> None:
    torch()
    assert [(one.outcome, one.detail) for one in burned()] == [("skipped", "torch sees no GPU; cupy is not installed")]


def test_a_library_that_is_broken_is_no_fault_of_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch without a library of CUDA's raises a ValueError as it is imported."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ValueError('libcublasLt.so.*[0-9] not found')")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
    [told] = burned()
    assert told.outcome == "skipped"
    assert told.detail.startswith("torch cannot be imported: libcublasLt.so.*[0-9] not found; cupy ")
    assert reduce._own_best() == (reduce.NOTHING, 0)


def test_the_bench_holds_gpus_against_their_data_sheets(
    torch: Put, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch(H100)
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--seconds", "0"])
    assert bench.main() == 0
    told = capsys.readouterr().out
    assert "GPU 0, NVIDIA H100 80GB HBM3, by TorchGpus" in told
    assert "600.0" in told
    slow = CheckResult(
        kind="InstanceStress", test="memory", outcome="passed", metric="gpu-hbm-gbs", value=1, unit="GB/s", model=H100
    )
    assert not bench.shown(slow)
    assert "LOW" in capsys.readouterr().out


def test_the_bench_says_that_there_is_nothing_to_measure() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu"], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    if gpus.DEVICES.exists():
        pytest.skip("this machine has a GPU")
    assert (done.returncode, done.stdout) == (bench.NOTHING_TO_MEASURE, "")
    assert done.stderr == "Nothing to measure: there is no NVIDIA GPU.\n"


def test_both_kinds_of_numbers_have_floors() -> None:
    for model in FLOORS:
        assert sheet_of(f"NVIDIA {model}", "gpu-fp16-tflops") == sheet_of(f"NVIDIA {model}", "gpu-bf16-tflops")
    assert sheet_of("GeForce", "gpu-bf16-tflops") is None
