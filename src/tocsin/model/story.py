"""The story: everything that happened to a cluster and its nodes, in order, with reasons. Ours, not AWS's."""

from enum import StrEnum

from msgspec import Struct

from tocsin.model.names import Scope


class Chapter(StrEnum):
    """What a line of the story is about."""

    REQUEST = "request"
    STATUS = "status"
    NODE = "node"
    SCRIPT = "script"
    HEALTH = "health"
    DECISION = "decision"
    COMMAND = "command"


class StoryLine(Struct, frozen=True, kw_only=True):
    """One line. `instance_id` is empty for what concerns the cluster as a whole; `why` may be empty."""

    scope: Scope
    cluster_id: str
    cluster_name: str
    instance_id: str = ""
    at_ms: int
    chapter: Chapter
    what: str
    why: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """A line at its place in the story."""

    seq: int
    line: StoryLine
