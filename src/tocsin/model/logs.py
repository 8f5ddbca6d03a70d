"""Log groups, streams and events. Times are epoch milliseconds, as everywhere in the CloudWatch Logs API."""

from typing import ClassVar

from msgspec import Struct

from tocsin.model.names import Scope, log_group_arn
from tocsin.model.records import Record

# What an event counts beside its message, in every quota and in storedBytes (AWS, PutLogEvents).
EVENT_OVERHEAD_BYTES = 26


class LogGroup(Record, frozen=True, kw_only=True):
    kind: ClassVar[str] = "log-group"

    name: str
    created_ms: int
    retention_days: int = 0  # 0: kept for ever
    log_class: str = "STANDARD"
    kms_key_id: str = ""
    deletion_protected: bool = False

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return log_group_arn(self.scope, self.name)


class LogPolicy(Record, frozen=True, kw_only=True):
    """A resource policy of CloudWatch Logs."""

    kind: ClassVar[str] = "log-policy"

    name: str
    document: str
    updated_ms: int

    @property
    def key(self) -> str:
        return self.name


class LogLine(Struct, frozen=True, array_like=True, gc=False):
    """What a writer hands in: when it happened, and one message of text."""

    at_ms: int
    message: str


class LogStream(Struct, frozen=True, kw_only=True):
    """A stream and what its events add up to; the three times are None while it is empty."""

    name: str
    created_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    ingested_ms: int | None = None
    bytes: int = 0


class LogEvent(Struct, frozen=True, kw_only=True):
    """A stored log event. `id` grows in the order of commits; (at_ms, id) is the order in which events are read."""

    id: int
    stream: str
    at_ms: int
    ingested_ms: int
    message: str


class LogQuery(Struct, frozen=True, kw_only=True):
    """Which events of a group to read, in (at_ms, id) order, from just beyond `after`.

    `streams` None means all. The range is start_ms <= at_ms < end_ms. `after` is the (at_ms, id) of an event already
    seen in the direction of reading: ascending by default, from the newest backwards with `backwards`. The answer ends
    at `limit` events, or once those read come to `bytes_max` bytes of messages; it is empty only when nothing is left.
    """

    scope: Scope
    group: str
    streams: tuple[str, ...] | None = None
    stream_prefix: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    after: tuple[int, int] | None = None
    backwards: bool = False
    limit: int = 10_000
    bytes_max: int | None = None
