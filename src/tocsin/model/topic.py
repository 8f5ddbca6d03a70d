"""Topics, their subscriptions, and a message published to one. Times are epoch milliseconds.

`attributes` are those that were set, under SNS's names and in its spelling; the others stand at their defaults.
"""

from typing import ClassVar

from msgspec import Struct, field

from tocsin.model.names import topic_arn
from tocsin.model.queue import MessageAttribute
from tocsin.model.records import Record


class Topic(Record, frozen=True, kw_only=True):
    kind: ClassVar[str] = "topic"

    name: str
    created_ms: int
    attributes: dict[str, str] = field(default_factory=dict)
    data_protection: str = ""

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return topic_arn(self.scope, self.name)

    @property
    def fifo(self) -> bool:
        return self.attributes.get("FifoTopic") == "true"


class Subscription(Record, frozen=True, kw_only=True):
    """An endpoint that hears a topic once it is confirmed. Who holds `token` may confirm it, or unsubscribe it.

    `token_ms` is since when the token counts for confirming. `authenticated`: only the owner may unsubscribe it.
    """

    kind: ClassVar[str] = "subscription"

    topic: str
    id: str
    protocol: str
    endpoint: str
    token: str
    token_ms: int
    created_ms: int
    confirmed_ms: int = 0
    authenticated: bool = False
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.id}"

    @property
    def topic_arn(self) -> str:
        return topic_arn(self.scope, self.topic)

    @property
    def arn(self) -> str:
        return f"{self.topic_arn}:{self.id}"

    @property
    def confirmed(self) -> bool:
        return self.confirmed_ms > 0


class TopicMessage(Struct, frozen=True, kw_only=True):
    """A published message. `by_protocol` holds what replaces `message` for single protocols (MessageStructure json).

    `message_id` is the same when a publication is repeated after a crash: derive from it what must not be made twice.
    `sequence` is empty but in FIFO topics.
    """

    topic_arn: str
    message_id: str
    at_ms: int
    message: str
    subject: str = ""
    by_protocol: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, MessageAttribute] = field(default_factory=dict)
    group_id: str = ""
    dedup_id: str = ""
    sequence: str = ""

    def text_for(self, protocol: str) -> str:
        return self.by_protocol.get(protocol, self.message)


class Publication(Record, frozen=True, kw_only=True):
    """The memory that a FIFO topic's deduplication id was used, and by which message. For five minutes."""

    kind: ClassVar[str] = "publication"

    topic: str
    dedup: str  # a digest of what makes two messages one
    message_id: str
    sequence: str
    at_ms: int

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.dedup}"


class HeldMail(Record, frozen=True, kw_only=True):
    """A message that its subscription's next digest tells in a line, because there were too many for a mail each."""

    kind: ClassVar[str] = "held-mail"

    topic: str
    subscription: str
    place: int  # grows with each one held
    at_ms: int
    line: str

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.subscription}/{self.place:020d}"
