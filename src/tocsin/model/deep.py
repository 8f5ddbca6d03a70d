"""Deep health checks: what is asked of a node, and what its tests said. The node's record keeps the last of them."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class DeepKind(StrEnum):
    """AWS's words for what is checked."""

    STRESS = "InstanceStress"
    CONNECTIVITY = "InstanceConnectivity"
    TRAINING = "MultiNodeTrainingValidation"


class DeepState(StrEnum):
    DUE = "due"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # its jobs did not end in time


class CheckResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test of a check. `outcome`: passed, failed, or skipped, with the reason in `detail`.

    `metric` and `value` (in `unit`, more is better) are held against the group's baseline; `model` is that of a GPU,
    for its data sheet. `peer` is the instance at the other end; `culprit` one that this test proves to be
    wrong, whoever made it.
    """

    kind: str
    test: str
    outcome: str
    detail: str = ""
    metric: str = ""
    value: float = 0.0
    unit: str = ""
    peer: str = ""
    model: str = ""
    culprit: str = ""


class DeepCheck(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node's check. `n` counts those of the instance; `operation` is the request that asked for it, "" on start.

    `suspect` is the fault for which it is checked, if that is why. `since`: asked for, then begun. `ended`: the node
    has told its `results`, which are judged with those of its peers.
    """

    kinds: tuple[str, ...]
    n: int = 1
    state: DeepState = DeepState.DUE
    operation: str = ""
    suspect: str = ""
    since: datetime | None = None
    ended: bool = False
    results: tuple[CheckResult, ...] = ()
    detail: str = ""

    @property
    def on_start(self) -> bool:
        """Its node has run no job yet."""
        return not self.operation and not self.suspect

    @property
    def open(self) -> bool:
        return self.state in (DeepState.DUE, DeepState.RUNNING)

    @property
    def connects(self) -> bool:
        return DeepKind.CONNECTIVITY in self.kinds


class Peer(Struct, frozen=True, kw_only=True):
    """A node to be reached by another one."""

    instance_id: str
    address: str
