"""Operations of a cluster with continuous provisioning: what was asked for, group by group, and how far it came."""

from datetime import datetime
from enum import StrEnum

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


class Operation(Struct, frozen=True, kw_only=True):
    """A scaling operation. `token` is the client token it was asked for with, `asked` a fingerprint of that request,
    `added` the logical ids of the nodes it added, each with its group."""

    id: str
    created_at: datetime
    scalings: tuple[Scaling, ...]
    token: str = ""
    asked: str = ""
    added: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> OperationStatus:
        """In progress as long as one group is; superseded when another operation took a group over."""
        found = {scaling.status for scaling in self.scalings}
        order = (OperationStatus.IN_PROGRESS, OperationStatus.SUPERSEDED)
        return next((status for status in order if status in found), OperationStatus.DONE)
