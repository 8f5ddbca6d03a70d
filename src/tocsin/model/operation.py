"""Operations of a cluster: what was asked for, group by group, and how far it came. Scaling is one only with
continuous provisioning."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class OperationStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    SUPERSEDED = "Superseded"
    DONE = "Done"


class Counts(Struct, frozen=True, kw_only=True):
    """A group's counts at a moment."""

    current: int | None = None
    target: int = 0
    minimum: int | None = None


class Scaling(Struct, frozen=True, kw_only=True):
    """What an operation does to one group."""

    group: str
    original: Counts
    desired: Counts
    status: OperationStatus = OperationStatus.IN_PROGRESS


class GroupCheck(Struct, frozen=True, kw_only=True):
    """A deep health check of nodes of one group."""

    group: str
    instances: tuple[str, ...]
    kinds: tuple[str, ...]


class Operation(Struct, frozen=True, kw_only=True):
    """An operation. `token` is the client token it was asked for with, `asked` a fingerprint of that request,
    `added` the logical ids of the nodes it added, each with its group, and `failed` its entries that added none, as
    they were answered.

    One with `checks` is a deep health check, and `checked` once all its nodes are through."""

    id: str
    created_at: datetime
    scalings: tuple[Scaling, ...]
    token: str = ""
    asked: str = ""
    added: tuple[tuple[str, str], ...] = ()
    failed: tuple[dict[str, Any], ...] = ()
    checks: tuple[GroupCheck, ...] = ()
    checked: bool = False

    @property
    def type(self) -> str:
        return "DeepHealthCheck" if self.checks else "Scaling"

    @property
    def names(self) -> int:
        """How many instances and nodes it names."""
        return len(self.added) + sum(len(check.instances) for check in self.checks)

    @property
    def status(self) -> OperationStatus:
        """In progress as long as one group is; superseded when another operation took a group over."""
        if self.checks:
            return OperationStatus.DONE if self.checked else OperationStatus.IN_PROGRESS
        found = {scaling.status for scaling in self.scalings}
        order = (OperationStatus.IN_PROGRESS, OperationStatus.SUPERSEDED)
        return next((status for status in order if status in found), OperationStatus.DONE)
