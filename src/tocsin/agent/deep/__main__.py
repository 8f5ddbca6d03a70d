"""The tests of one deep health check, one after the other: an order in a file in, a line of JSON for each result out.

Started by checks.py, which keeps its time limit.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tocsin.agent.deep import gpus, network, reduce, stress
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.link import RunDeepCheck

_encode = msgspec.json.Encoder().encode


def _training(_: RunDeepCheck, __: Path) -> Iterator[CheckResult]:
    why = "a PyTorchJob needs Kubernetes, which does not run here"
    yield CheckResult(kind=DeepKind.TRAINING, test="training job", outcome="skipped", detail=why)


KINDS: dict[str, tuple[Callable[[RunDeepCheck, Path], Iterator[CheckResult]], ...]] = {
    DeepKind.STRESS: (stress.stress, gpus.burn),
    DeepKind.CONNECTIVITY: (network.connect, reduce.all_reduce),
    DeepKind.TRAINING: (_training,),
}


def main(order_file: Path) -> None:
    order = msgspec.json.decode(order_file.read_bytes(), type=RunDeepCheck)
    for kind in sorted(order.kinds, key=lambda one: one != DeepKind.CONNECTIVITY):  # all nodes begin at once with that
        for test in KINDS[kind]:
            for result in _whole(kind, test, order, order_file.parent):
                sys.stdout.buffer.write(_encode(result) + b"\n")
                sys.stdout.buffer.flush()


def _whole(
    kind: str, test: Callable[[RunDeepCheck, Path], Iterator[CheckResult]], order: RunDeepCheck, folder: Path
) -> Iterator[CheckResult]:
    """A test that breaks off has failed: whatever it was, it was not well."""
    try:
        yield from test(order, folder)
    except Exception as error:
        name = test.__name__
        yield CheckResult(kind=kind, test=name, outcome="failed", detail=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
