"""The GPU tests of a deep check through the real PyTorch, on the processor: all of their code but the three calls that
are a GPU's. And an all-reduce by gloo between nodes. Skipped where PyTorch is not installed.
"""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from tests.agent.test_deep_checks import order
from tests.harness import WAIT_S, free_port
from tocsin.agent.deep import gpu_libraries, gpus
from tocsin.agent.deep.gpu_libraries import TorchGpus
from tocsin.model.deep import CheckResult, DeepKind, Peer

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")

SIDE, COPY_BYTES = 256, 1 << 20
THREE = tuple(Peer(instance_id=f"i-{number}", address=f"127.0.0.{number}") for number in (1, 2, 3))


class OnProcessor(TorchGpus):
    """As if the processor were two GPUs."""

    def count(self) -> int:
        return 2

    def name(self, gpu: int) -> str:
        return f"processor {gpu}"

    def _device(self, gpu: int) -> str:
        return "cpu"

    def _pinned(self) -> Any:
        return self._torch.empty(COPY_BYTES, dtype=self._torch.uint8)

    def _wait(self, gpu: int) -> None:
        return


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gpu_libraries, gpus):
        monkeypatch.setattr(module, "SIDE", SIDE)
        monkeypatch.setattr(module, "COPY_BYTES", COPY_BYTES)


def test_a_real_product_comes_to_the_same_bits_and_real_copies_take_their_time() -> None:
    work = OnProcessor()
    for gpu in range(work.count()):
        found = list(gpus.burn_one(work, gpu, 0.1))
        assert [(one.outcome, one.detail, one.model) for one in found] == [("passed", "", f"processor {gpu}")] * 3
        assert all(one.value > 0 for one in found), found


def test_a_flipped_bit_is_found_in_a_real_product() -> None:
    work = OnProcessor()
    product = work.product(0)
    product.again(1)
    assert product.same()
    assert product.again.__closure__ is not None
    once = next(cell.cell_contents for cell in product.again.__closure__ if callable(cell.cell_contents))
    once().view(-1)[7].add_(1)
    assert not product.same()


def test_what_is_copied_arrives() -> None:
    import torch  # type: ignore[import-not-found,unused-ignore]

    copies = OnProcessor().copies(0)
    there, other = (_named(copies.within, name) for name in ("there", "other"))
    pinned = _named(copies.to, "pinned")
    pinned.fill_(7)
    copies.to(1)
    copies.within(1)
    pinned.zero_()
    copies.back(1)
    assert all(torch.equal(one, torch.full_like(one, 7)) for one in (there, other, pinned))


def _named(work: Any, name: str) -> Any:
    """A tensor that a work closes over."""
    inner = next(cell.cell_contents for cell in work.__closure__ if callable(cell.cell_contents))
    return dict(zip(inner.__code__.co_freevars, inner.__closure__, strict=True))[name].cell_contents


def test_nodes_sum_up_by_gloo_and_every_sum_is_right() -> None:
    """Each node a process of its own, as they are."""
    port = free_port()
    script = (
        "import sys, msgspec; from pathlib import Path; from tocsin.agent.deep import reduce;"
        "from tocsin.model.link import RunDeepCheck;"
        "order = msgspec.json.decode(sys.argv[1], type=RunDeepCheck);"
        "sys.stdout.buffer.write(msgspec.json.encode(list(reduce.all_reduce(order, Path()))))"
    )

    def of(node: Peer) -> list[CheckResult]:
        given = order(DeepKind.CONNECTIVITY, address=node.address, port=port, ring=THREE, seconds=0.1)
        argv = [sys.executable, "-c", script, msgspec.json.encode(given).decode()]
        done = subprocess.run(argv, capture_output=True, timeout=WAIT_S, check=False, env=os.environ)
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout, type=list[CheckResult])

    with ThreadPoolExecutor(len(THREE)) as together:
        for found in together.map(of, THREE):
            assert [(one.test, one.outcome) for one in found] == [
                ("all-reduce of 3 nodes over TCP", "passed"),
                ("all-reduce of 3 nodes by gloo", "passed"),
            ], found
            assert found[1].value > 0
