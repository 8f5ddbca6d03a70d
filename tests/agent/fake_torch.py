"""PyTorch without its mathematics: tensors that know their bits by a number. Put in as the module `torch`.

It proves that our code asks for the right things; what a real GPU answers it cannot say.
"""

from types import SimpleNamespace
from typing import Any


class Tensor:
    def __init__(self, bits: int, device: str = "cpu") -> None:
        self.bits, self.device = bits, device

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.bits * other.bits, self.device)

    def copy_(self, origin: "Tensor", *, non_blocking: bool) -> None:
        self.bits = origin.bits


class FakeTorch:
    """`flips` names the product, counted over all GPUs, of which a bit is another one."""

    bfloat16, uint8 = "bfloat16", "uint8"

    def __init__(self, models: list[str], flips: int = 0) -> None:
        self._flips, self._products, self._seed = flips, 0, 0
        self.cuda = SimpleNamespace(
            is_available=lambda: bool(models),
            device_count=lambda: len(models),
            get_device_name=lambda gpu: models[gpu],
            synchronize=lambda gpu: None,
        )

    def manual_seed(self, seed: int) -> None:
        self._seed = seed

    def randn(self, *_: int, device: str, dtype: str) -> Tensor:
        self._seed += 1
        return Tensor(self._seed, device)

    def mm(self, left: Tensor, right: Tensor, *, out: Tensor) -> None:
        self._products += 1
        out.bits = left.bits * right.bits ^ (self._products == self._flips)

    def equal(self, one: Tensor, other: Tensor) -> bool:
        return one.bits == other.bits

    def empty(self, size: int, **_: Any) -> Tensor:
        return Tensor(0)

    def empty_like(self, tensor: Tensor) -> Tensor:
        return Tensor(0, tensor.device)
