"""Chat configurations: which channel of which chat hears which topics; and what hangs on them.

They belong to an account, not to a region: their scope's region is empty, as in their ARNs. Times are epoch
milliseconds.
"""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.names import Scope, arn, derived_uuid
from tocsin.model.records import Record


class Provider(StrEnum):
    """A kind of chat, spelled as in the ARNs of its configurations."""

    SLACK = "slack-channel"
    TEAMS = "microsoft-teams-channel"
    CHIME = "chime-webhook"


class ChatConfiguration(Record, frozen=True, kw_only=True):
    """`spec` holds the members as AWS describes them back; `webhook` is Chime's address, which is never told."""

    kind: ClassVar[str] = "chat-configuration"

    provider: Provider
    name: str
    created_ms: int
    topics: tuple[str, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    webhook: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def arn(self) -> str:
        return arn("chatbot", self.scope, f"chat-configuration/{self.key}")

    @property
    def channel(self) -> str:
        """The channel's id in its chat; Chime's has none."""
        return str(self.spec.get("SlackChannelId") or self.spec.get("ChannelId") or "")

    @property
    def team(self) -> str:
        return str(self.spec.get("SlackTeamId") or self.spec.get("TeamId") or "")


class ChatPreferences(Record, frozen=True, kw_only=True):
    """An account's preferences. They are kept and told; nothing here asks for user roles or collects anything."""

    kind: ClassVar[str] = "chat-preferences"

    user_authorization_required: bool = False
    training_data_collection_enabled: bool = False

    @property
    def key(self) -> str:
        return "account"


class ChatThread(Record, frozen=True, kw_only=True):
    """Where a thread of a channel began: `ts` is the name that Slack gave to its first message."""

    kind: ClassVar[str] = "chat-thread"

    configuration: str  # key of the configuration
    thread: str
    channel: str
    ts: str
    opened_ms: int

    @property
    def key(self) -> str:
        return thread_key(self.configuration, self.thread)


class HeldPost(Record, frozen=True, kw_only=True):
    """A message that its channel's next digest tells in a line, because there were too many for a card each.

    `closes` is the thread that it would have closed.
    """

    kind: ClassVar[str] = "held-post"

    configuration: str  # key of the configuration
    topic_arn: str
    place: int  # grows with each one held
    at_ms: int
    line: str
    tone: str
    closes: str = ""

    @property
    def key(self) -> str:
        return f"{self.configuration}/{self.place:020d}"


def thread_key(configuration: str, thread: str) -> str:
    return f"{configuration}/{derived_uuid(thread)}"


def chat_scope(account: str) -> Scope:
    return Scope(account, "")


class Post(Struct, frozen=True, kw_only=True):
    """What a carrier of chats needs beside the body: `about` of an outbound."""

    configuration: str  # key
    account: str
    thread: str = ""
    ends: bool = False
    closes: tuple[str, ...] = ()  # threads that end with what a digest lists
