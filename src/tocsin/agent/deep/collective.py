"""One process of an all-reduce through PyTorch: its order as JSON on standard input, what it found on standard output.

Started by reduce.py, a process for each GPU (NCCL) or one for a node (gloo). Sums are of whole numbers, so they are
exact, and known beforehand.
"""

import os
import sys
import time
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Struct

VALUES = 16 << 20  # of 4 bytes
RANGE = 1000


class Part(Struct, frozen=True, kw_only=True):
    """`device` is the number of a GPU; -1: the processor."""

    backend: str
    rank: int
    world: int
    device: int
    host: str
    port: int
    interface: str
    seconds: float
    time_limit_s: float


class Found(Struct, frozen=True, kw_only=True):
    """`bus_bytes_s` is the bus bandwidth, as NCCL's own tests count it."""

    wrong: str = ""
    bus_bytes_s: float = 0.0


def main() -> None:
    part = msgspec.json.decode(sys.stdin.buffer.read(), type=Part)
    sys.stdout.buffer.write(msgspec.json.encode(_reduced(part)))


def _reduced(part: Part) -> Found:
    os.environ |= {"GLOO_SOCKET_IFNAME": part.interface, "NCCL_SOCKET_IFNAME": part.interface}
    import torch  # type: ignore[import-not-found,unused-ignore]
    import torch.distributed as dist  # type: ignore[import-not-found,unused-ignore]

    dist.init_process_group(
        part.backend,
        init_method=f"tcp://{part.host}:{part.port}",
        rank=part.rank,
        world_size=part.world,
        timeout=timedelta(seconds=part.time_limit_s),
    )
    device = "cpu" if part.device < 0 else f"cuda:{part.device}"
    base = torch.arange(VALUES, dtype=torch.int32, device=device) % RANGE
    due = base * (part.world * (part.world + 1) // 2)
    rounds, spent, end = 0, 0.0, time.monotonic() + part.seconds
    try:
        while True:
            summed = base * (part.rank + 1)
            spent += _timed(torch, dist, summed, device)
            rounds += 1
            if not torch.equal(summed, due):
                return Found(wrong=f"the sum of round {rounds} is wrong")
            if not _all_go_on(torch, dist, device, time.monotonic() < end):
                break
    finally:
        dist.destroy_process_group()
    moved = rounds * VALUES * base.element_size() * 2 * (part.world - 1) / part.world
    return Found(bus_bytes_s=moved / spent)


def _timed(torch: Any, dist: Any, values: Any, device: str) -> float:
    began = time.monotonic()
    dist.all_reduce(values)
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.monotonic() - began


def _all_go_on(torch: Any, dist: Any, device: str, we_do: bool) -> bool:
    least = torch.tensor([int(we_do)], dtype=torch.int32, device=device)
    dist.all_reduce(least, op=dist.ReduceOp.MIN)
    return bool(least.item())


if __name__ == "__main__":
    main()
