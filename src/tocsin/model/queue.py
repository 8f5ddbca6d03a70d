"""Queues and their messages as they are stored. Times are epoch milliseconds, as in SQS's own attributes."""

from typing import ClassVar

from msgspec import Struct, field

from tocsin.model.names import Scope, arn
from tocsin.model.records import Record


class Queue(Record, frozen=True, kw_only=True):
    """`attributes` are those that were set, under SQS's names and in its spelling; the others stand at their defaults.

    `id` is never shared with a queue that had the name before. A deleted queue stays as a record of another key until
    its messages are gone. Messages up to `purged_through` are gone whatever the store still holds of them.
    """

    kind: ClassVar[str] = "queue"

    name: str
    id: str
    created_ms: int
    modified_ms: int
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    purged_ms: int = 0
    purged_through: int = 0
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}/{self.id}" if self.deleted else self.name  # names hold no slash

    @property
    def arn(self) -> str:
        return queue_arn(self.scope, self.name)

    @property
    def fifo(self) -> bool:
        return self.attributes.get("FifoQueue") == "true"


class MessageAttribute(Struct, frozen=True, kw_only=True):
    """A message's own attribute: `text` of a String or Number, `blob` of a Binary."""

    data_type: str
    text: str | None = None
    blob: bytes | None = None


class QueueMessage(Record, frozen=True, kw_only=True):
    """One message. `deleted`: nothing but the memory that its deduplication id was used (FIFO, for five minutes)."""

    kind: ClassVar[str] = "queue-message"

    queue_id: str
    sequence: int
    message_id: str
    body: str
    sent_ms: int
    visible_at_ms: int
    attributes: dict[str, MessageAttribute] = field(default_factory=dict)
    trace_header: str = ""
    sender: str = ""
    receives: int = 0
    received_ms: int = 0  # last
    first_received_ms: int = 0
    group_id: str = ""
    dedup_id: str = ""
    source_arn: str = ""  # the queue it was moved from as a dead letter
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.queue_id}/{self.sequence:020d}"


def queue_arn(scope: Scope, name: str) -> str:
    return arn("sqs", scope, name)
