"""What the loops need from the world. Small protocols; each has one conformance suite, run against every adapter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from tocsin.core.commit import World
from tocsin.model.alarm import AlarmState
from tocsin.model.archive import Archived, ArchiveSum
from tocsin.model.changes import Change
from tocsin.model.cluster import Node
from tocsin.model.connection import Connection, Credentials
from tocsin.model.delivery import Delivery, Landed
from tocsin.model.event import Journaled, JournalMark
from tocsin.model.extension import Package
from tocsin.model.link import Order
from tocsin.model.logs import LogEvent, LogQuery, LogStream
from tocsin.model.machine import LaunchOrder, LinkSeen, MachineState
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.outbound import DeadLetter, Outbound, Outcome
from tocsin.model.records import Record
from tocsin.model.scheduling import Job, Scheduled
from tocsin.model.story import Told
from tocsin.model.topic import TopicMessage

R = TypeVar("R", bound=Record)


class Clock(Protocol):
    """Time. Tests put in one that they move by hand."""

    def now(self) -> datetime:
        """The wall clock, timezone-aware UTC."""

    async def sleep(self, seconds: float) -> None: ...


class Store(Protocol):
    """Records, logs, journal and story in one transactional place.

    Reads see every commit that has returned. All methods raise StoreUnavailable when the store cannot serve.
    """

    async def get(self, kind: type[R], scope: Scope, key: str) -> R | None: ...

    async def find(
        self,
        kind: type[R],
        scope: Scope | None = None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int | None = None,
    ) -> list[R]:
        """Records of a kind in (scope, key) order, of one scope or of all: keys with `prefix`, beyond `after`."""

    async def scopes(self, kind: type[R]) -> list[Scope]:
        """The scopes that have records of a kind, in order."""

    async def count(self, kind: type[R], scope: Scope, prefix: str = "") -> int:
        """How many records of a kind a scope has whose keys begin with `prefix`."""

    async def commit(self, *changes: Change) -> None:
        """Make all changes durable together, in order, and return once they are on disk.

        Raises, with nothing kept: Stale; StoreUnavailable; Throttling when more is queued than the store may hold.
        """

    async def ping(self) -> None:
        """Prove that the writer commits; raises StoreUnavailable when it does not."""

    # journal
    async def journal(self, after: int, limit: int) -> list[Journaled]:
        """Journal entries beyond `after`, in order: at most `limit`, fewer when large, none only at the end."""

    async def journal_marks(self, after: int, limit: int) -> list[JournalMark]:
        """Of the first `limit` journal entries beyond `after`: place, age and size, without what they say."""

    async def held(self, after: int, through: int) -> list[Held]:
        """Deliveries that were held back of the journal's entries after < seq <= through, in their order."""

    async def journal_bounds(self) -> tuple[int, int]:
        """(first, last) seq in the journal; (0, 0) when nothing was ever journaled. Emptied, it keeps its last."""

    async def grown(self, after: int) -> None:
        """Return as soon as the journal holds an entry beyond `after`."""

    async def cursor(self, name: str) -> int:
        """Where a named cursor stands; 0 when it was never moved."""

    # logs
    async def log_streams(
        self, scope: Scope, group: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> list[LogStream]:
        """Streams of a group in name order."""

    async def log_events(self, query: LogQuery) -> list[LogEvent]: ...

    async def log_bytes(self, scope: Scope, groups: Sequence[str]) -> Mapping[str, int]:
        """Stored bytes by group; groups without streams are left out."""

    # archives
    async def archived(
        self,
        scope: Scope,
        archive: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        after: tuple[int, int] | None = None,
        limit: int = 1000,
    ) -> list[Archived]:
        """An archive's events with start_ms <= at_ms < end_ms, in (at_ms, id) order, beyond `after`, such a pair.

        At most `limit`, fewer when large, none only at the end.
        """

    async def archive_sums(self, scope: Scope, archives: Sequence[str]) -> Mapping[str, ArchiveSum]:
        """What archives hold, by name; those that never held anything may be left out."""

    # story
    async def story(
        self,
        scope: Scope,
        *,
        cluster: str = "",
        instance_id: str = "",
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
    ) -> list[Told]:
        """Lines of one cluster (by id or name, living or gone), or of one node, or of all, in order.

        The first beyond `after`; or, where `before` is given, the last ahead of that.
        """


class InsideTarget(Protocol):
    """A kind of target that lives in our own store. Deliveries to it commit together with the router's place."""

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        """The changes that deliver these, in order. Writes nothing itself, and refuses what has nowhere to go."""


class DeadLetters(Protocol):
    """Where deliveries end that cannot be made."""

    async def bury(self, letters: Sequence[DeadLetter], now_ms: int) -> Landed:
        """One change for each whose last resort is there and takes it; the others are left out."""


class Listeners(Protocol):
    """Who hears topics besides their subscriptions (channels of chats). What they owe commits with the publication."""

    async def heard(self, topic_arn: str, message: TopicMessage, now_ms: int) -> Landed:
        """The changes that hand the message on. Nothing is refused: `refused` stays empty. Writes nothing itself."""


class Carrier(Protocol):
    """Who can make outbound deliveries of one kind. It may fail half-way, so a delivery may be made twice.

    Not to be tried yet (a rate limit of ours) is an outcome too, which costs no attempt.
    """

    async def carry(self, outbound: Outbound) -> Outcome:
        """Make one attempt, within a time limit of the carrier's own. Never raises but CancelledError."""


class Arrivals(Protocol):
    """Who is told of deliveries that are owed to the outside, once they are on disk."""

    def arrived(self, outbounds: Iterable[Outbound]) -> None: ...


class Authorizer(Protocol):
    """Who can find out whether a connection's credentials are good."""

    async def authorize(self, connection: Connection, credentials: Credentials) -> str:
        """Why they are not; empty when they are. Never raises but CancelledError."""


class Machines(Protocol):
    """Where instances come from. Every method is idempotent: the fleet repeats itself."""

    def seen(self) -> Mapping[str, MachineState]:
        """All machines there are, by instance id. A machine never launched, or terminated and gone, is not in it."""

    async def launch(self, order: LaunchOrder) -> str | None:
        """Start a machine, or boot a stopped one again. Does nothing when it runs. Its address, if not as ordered.

        Raises LaunchRefused when there is none to be had: the instance has failed; OSError on what may be over soon.
        """

    async def reboot(self, instance_id: str) -> None:
        """Begin to take the machine down and up again, with its id and disk. Does nothing while it reboots.

        Boots a dead or stopped one too. Raises OSError when it cannot, or when there is none.
        """

    async def terminate(self, instance_id: str) -> None:
        """Begin to end the machine and destroy what it stored. Does nothing when it is gone."""


class Buckets(Protocol):
    """S3 buckets to write to, as far as there are any here."""

    def there(self, bucket: str) -> bool: ...

    async def write(self, bucket: str, key: str, at: int, data: bytes) -> None:
        """Put bytes at a place of an object; repeating it changes nothing. Raises OSError."""


class AlarmSource(Protocol):
    """Alarms that somebody else watches over."""

    async def states(self, scope: Scope, names: Sequence[str]) -> Mapping[str, AlarmState]:
        """Of those that are there. Raises OSError."""


class Packages(Protocol):
    """Cluster extensions that can be installed."""

    async def versions(self, name: str) -> list[str]:
        """The highest first; none where there is no such extension."""

    async def package(self, name: str, version: str) -> Package | None:
        """Raises Validation where what is there cannot be read."""


class Nodes(Protocol):
    """The nodes there are, for those who do not decide about them: the fleet's, seen from beside it."""

    def worlds(self, scope: Scope | None = None) -> list[World]:
        """The clusters of a scope, or all, with their nodes."""

    def node(self, instance_id: str) -> tuple[World, Node] | None: ...

    async def keep(self, instance_id: str, n: int, *changes: Change) -> bool:
        """Commit what a report of a node leads to, with its number. False when that number was kept before, or the node
        is gone. Raises Stale."""


class Orchestrator(Protocol):
    """What schedules jobs on the nodes, which have names of its own there. Methods raise OSError when they cannot."""

    async def seen(self) -> Mapping[str, Scheduled]:
        """All nodes it knows, by name."""

    async def jobs(self, names: Sequence[str]) -> Sequence[Job]:
        """The jobs of these nodes, which it has to know: those that run, and those that ended a few minutes ago."""

    async def drain(self, names: Sequence[str], reason: str) -> None:
        """Let the nodes take no more jobs; those that run go on."""

    async def resume(self, names: Sequence[str]) -> None:
        """Let the nodes take jobs again."""


class NodeLinks(Protocol):
    """The agents' links, as far as the fleet sees them."""

    def seen(self) -> Mapping[str, LinkSeen]: ...

    def send(self, instance_id: str, order: Order) -> None:
        """Hand an order to the node's agent. Lost silently when the link is down: the fleet sends again."""
