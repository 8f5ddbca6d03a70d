"""InstanceConnectivity: the all-reduce of a check: our own over TCP, then by NCCL or gloo where every node has them.

ring.py links the nodes and lets them agree on what all of them can do; collective.py is a process of PyTorch's.
"""

import ipaddress
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil

from tocsin.agent.deep.collective import Found, Part
from tocsin.agent.deep.gpu_libraries import loaded
from tocsin.agent.deep.ring import Ring, WrongSum
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

NOTHING, GLOO, NCCL = 0, 1, 2
BACKENDS = {GLOO: "gloo", NCCL: "nccl"}
JOIN_LIMIT_S = 120.0  # for all processes to find each other; NCCL takes its time
TAIL_CHARS = 300


def all_reduce(order: RunDeepCheck, _: Path) -> Iterator[CheckResult]:
    test = f"all-reduce of {len(order.ring)} nodes over TCP"
    if len(order.ring) < 2:
        why = "it takes two nodes of the group that are checked at the same time"
        yield _result("all-reduce", "skipped", why)
        return
    ring, best = Ring(order), _own_best()  # before the others wait for us: importing torch takes its time
    try:
        with ring.closed():
            yield _summed(ring, test, order.seconds)
            yield _by_torch(ring, order, *best)
    except WrongSum as error:
        wrong = f"{error.culprit.instance_id}: {error}"
        yield _result(test, "failed", wrong, culprit=error.culprit.instance_id)
    except OSError as error:
        why = f"between {ring.left.instance_id} and {ring.right.instance_id}: {error}"
        yield _result(test, "failed", why, peer=ring.right.instance_id)


def _result(test: str, outcome: str, detail: str = "", *, peer: str = "", culprit: str = "") -> CheckResult:
    kind = DeepKind.CONNECTIVITY
    return CheckResult(kind=kind, test=test, outcome=outcome, detail=detail, peer=peer, culprit=culprit)


def _summed(ring: Ring, test: str, seconds: float) -> CheckResult:
    """Again and again, until the first has done it for so long."""
    end, moved = time.monotonic() + seconds, 0
    while True:
        moved += ring.reduce()
        if not ring.agree(int(time.monotonic() < end)):
            break
    return CheckResult(
        kind=DeepKind.CONNECTIVITY,
        test=test,
        outcome="passed",
        detail="every sum is right; bus bandwidth",
        metric="allreduce-tcp-mbs",
        value=moved / 1e6 / max(ring.spent_s, 1e-9),
        unit="MB/s",
    )


def _by_torch(ring: Ring, order: RunDeepCheck, best: int, gpus: int) -> CheckResult:
    """By the best that all of them have. What fails has a peer: all see it, and nobody sees whose fault it is."""
    agreed, each = ring.agree(best), ring.agree(gpus)
    if agreed == NOTHING:
        return _result("all-reduce by PyTorch", "skipped", "not every node can import torch")
    backend = BACKENDS[agreed]
    parts = each if agreed == NCCL else 1
    test = f"all-reduce of {ring.size * parts} {'GPUs' if agreed == NCCL else 'nodes'} by {backend}"
    wrong, speed = _collective(ring, order, backend, parts)
    if wrong:
        return _result(test, "failed", wrong, peer=ring.right.instance_id)
    metric = "gpu-allreduce-nccl-gbs" if agreed == NCCL else "allreduce-gloo-gbs"
    return CheckResult(
        kind=DeepKind.CONNECTIVITY,
        test=test,
        outcome="passed",
        detail="every sum is right; bus bandwidth",
        metric=metric,
        value=speed / 1e9,
        unit="GB/s",
    )


def _own_best() -> tuple[int, int]:
    """What we can do, and on how many GPUs."""
    return loaded("torch", _best_of_torch)[0] or (NOTHING, 0)


def _best_of_torch() -> tuple[int, int]:
    import torch  # type: ignore[import-not-found,unused-ignore]
    import torch.distributed as dist  # type: ignore[import-not-found,unused-ignore]

    if torch.cuda.is_available() and dist.is_nccl_available():
        return NCCL, torch.cuda.device_count()
    return (GLOO if dist.is_available() and dist.is_gloo_available() else NOTHING), 0


def _collective(ring: Ring, order: RunDeepCheck, backend: str, each: int) -> tuple[str, float]:
    """What is wrong, and the slowest process's bytes a second."""
    started = [
        _started(
            Part(
                backend=backend,
                rank=ring.rank * each + number,
                world=ring.size * each,
                device=number if backend == "nccl" else -1,
                host=order.ring[0].address,
                port=order.port + 2,
                interface=interface_of(order.address),
                seconds=order.seconds,
                time_limit_s=JOIN_LIMIT_S,
            )
        )
        for number in range(each)
    ]
    limit_s = order.seconds + 2 * JOIN_LIMIT_S
    with ThreadPoolExecutor(len(started)) as reading:  # all at once: who is not read stands still, and the others wait
        found = list(reading.map(lambda process: _ended(process, limit_s), started))
    wrong = "; ".join(dict.fromkeys(one.wrong for one in found if one.wrong))
    return wrong, min(one.bus_bytes_s for one in found)


def _started(part: Part) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    argv = [sys.executable, "-m", "tocsin.agent.deep.collective"]
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None, "it has a pipe"
    process.stdin.write(msgspec.json.encode(part))
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    return process


def _ended(process: "subprocess.Popen[bytes]", limit_s: float) -> Found:
    try:
        output, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Found(wrong=f"it did not end within {limit_s:g} s")
    try:
        return msgspec.json.decode(output, type=Found)
    except msgspec.MsgspecError:
        tail = " ".join(errors.decode(errors="replace").split())[-TAIL_CHARS:]
        return Found(wrong=f"exit code {process.returncode}: {tail}")


def interface_of(address: str) -> str:
    """The network interface that has the address. All of 127/8 is the loopback's, whatever it is called."""
    loopback = ipaddress.ip_address(address).is_loopback
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address or (loopback and one.address == "127.0.0.1") for one in addresses):
            return str(name)
    return ""
