"""Changes: what a commit may contain. A commit is all or nothing; its events and its state land together."""

from msgspec import Struct

from tocsin.model.event import Event
from tocsin.model.logs import LogLine
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import Record
from tocsin.model.story import StoryLine


class Put(Struct, frozen=True):
    """Store the record. Stale unless it is the direct successor of what is stored (revision 1: nothing is)."""

    record: Record


class Delete(Struct, frozen=True):
    """Remove the record. Stale unless exactly this revision is stored."""

    record: Record


class Accept(Struct, frozen=True, gc=False):
    """Append the event to the journal. An id already journaled for its scope and bus is left as it is: repeats do no
    harm, and an event that goes from bus to bus keeps its id."""

    event: Event


class Log(Struct, frozen=True, kw_only=True):
    """Append lines to a stream, which is made where it is missing. Stale when the group does not exist."""

    scope: Scope
    group: str
    stream: str
    lines: tuple[LogLine, ...]
    ingested_ms: int


class OpenStream(Struct, frozen=True, kw_only=True):
    """Make an empty stream. Stale when it exists or its group does not."""

    scope: Scope
    group: str
    stream: str
    created_ms: int


class DropStream(Struct, frozen=True, kw_only=True):
    """Remove a stream and its events. Stale when there is none."""

    scope: Scope
    group: str
    stream: str


class DropLogs(Struct, frozen=True, kw_only=True):
    """Remove all streams and events of a group, or with `before_ms` only the events older than that."""

    scope: Scope
    group: str
    before_ms: int | None = None


class Keep(Struct, frozen=True, kw_only=True):
    """Append an event to an archive; `at_ms` is the time its envelope tells. An archive that is gone keeps nothing."""

    scope: Scope
    archive: str
    at_ms: int
    body: bytes


class DropArchived(Struct, frozen=True, kw_only=True):
    """Remove all events of an archive, or with `before_ms` only those older than that."""

    scope: Scope
    archive: str
    before_ms: int | None = None


class Advance(Struct, frozen=True, kw_only=True):
    """Move a named cursor forward. Stale unless it stands at `expected` now (0: it was never moved)."""

    cursor: str
    expected: int
    seq: int


class Tell(Struct, frozen=True):
    """Add a line to the story."""

    line: StoryLine


class Hold(Struct, frozen=True):
    """Note that a delivery was held back. It is told until the journal forgets its event. A repeat does no harm."""

    held: Held


class Forget(Struct, frozen=True, kw_only=True):
    """Remove the oldest journal entries up to and including this place."""

    through_seq: int


Change = (
    Put
    | Delete
    | Accept
    | Log
    | OpenStream
    | DropStream
    | DropLogs
    | Keep
    | DropArchived
    | Advance
    | Tell
    | Hold
    | Forget
)
