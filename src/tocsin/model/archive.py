"""Archives of a bus's events, and replays of archives. Times are epoch milliseconds."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from tocsin.model.names import Scope, arn
from tocsin.model.records import Record


class Archive(Record, frozen=True, kw_only=True):
    """What it keeps of the events of `bus`: those that match `pattern` (all when it is empty)."""

    kind: ClassVar[str] = "archive"

    name: str
    bus: str
    description: str = ""
    pattern: str = ""
    retention_days: int = 0  # 0: kept for ever
    kms_key_id: str = ""
    created_ms: int

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return archive_arn(self.scope, self.name)


class Archived(Struct, frozen=True, kw_only=True):
    """An event in an archive. `at_ms` is the time its envelope tells; (at_ms, id) is the order of reading."""

    id: int
    at_ms: int
    body: bytes


class ArchiveSum(Struct, frozen=True, kw_only=True):
    """What an archive holds. `bytes` are those of the envelopes."""

    events: int = 0
    bytes: int = 0


class ReplayState(StrEnum):
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


AT_WORK = frozenset({ReplayState.STARTING, ReplayState.RUNNING, ReplayState.CANCELLING})


class Replay(Record, frozen=True, kw_only=True):
    """A replay and how far it is: `place` is the (at_ms, id) of the last event put back, None before the first.

    Events with start_ms <= at_ms < end_ms go to `bus`, and there to the rules of `filter_arns` (all when it is empty).
    """

    kind: ClassVar[str] = "replay"

    name: str
    archive: str
    bus: str
    description: str = ""
    filter_arns: tuple[str, ...] = ()
    start_ms: int
    end_ms: int
    state: ReplayState = ReplayState.STARTING
    reason: str = ""
    place: tuple[int, int] | None = None
    started_ms: int
    ended_ms: int = 0

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return arn("events", self.scope, f"replay/{self.name}")


def archive_arn(scope: Scope, name: str) -> str:
    return arn("events", scope, f"archive/{name}")
