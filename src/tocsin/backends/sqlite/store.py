"""The embedded store: the Store port on one SQLite file. Lives in the event loop; a writer thread does the commits.

Small reads run right here, on a connection of the loop's own: WAL readers wait for nobody, and a trip to a thread
costs more than they do. Reads that may be long run in one reader thread.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from tocsin.backends.sqlite.connection import open_reader, open_writer
from tocsin.backends.sqlite.fresh import Fresh
from tocsin.backends.sqlite.lock import DirectoryLock
from tocsin.backends.sqlite.reader import Reader
from tocsin.backends.sqlite.ticket import Kinds, Ticket
from tocsin.backends.sqlite.writer import Fate, Writer
from tocsin.core.histogram import Histogram
from tocsin.model.archive import Archived, ArchiveSum
from tocsin.model.changes import Change
from tocsin.model.errors import Stale, StoreUnavailable, Throttling
from tocsin.model.event import Journaled, JournalMark
from tocsin.model.logs import LogEvent, LogQuery, LogStream
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import Record
from tocsin.model.story import Told

R = TypeVar("R", bound=Record)
T = TypeVar("T")

DATABASE = "tocsin.db"
# What may wait for the disk: half a second's worth of commits, and memory that a small machine has.
COMMITS_QUEUED_MAX = 10_000
COMMIT_BYTES_QUEUED_MAX = 64 << 20


class SqliteStore:
    """Implements ports.Store. Belongs to the event loop that opened it."""

    def __init__(self, lock: DirectoryLock, connections: Sequence[apsw.Connection], kinds: Kinds) -> None:
        """Call `open` instead. `connections`: one that writes and two that read."""
        writer, near, far = connections
        self._lock = lock
        self._kinds = kinds
        self._loop = asyncio.get_running_loop()
        self._near = Reader(near, kinds)
        self._far = Reader(far, kinds)
        self._far_thread = ThreadPoolExecutor(1, "tocsin-store-reader")
        self._gathered: list[Ticket] = []
        self._queued = 0
        self.commits: Counter[str] = Counter(committed=0, stale=0, failed=0, throttled=0)
        self.commit_s = Histogram()  # from handing in to knowing
        self._queued_bytes = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._closing: asyncio.Task[None] | None = None
        self._writer_ended: asyncio.Future[None] = self._loop.create_future()
        self._writer = Writer(writer, self._answer_soon, self._end_soon)
        self._held = self._writer.held
        self._fresh = Fresh()
        self._writer.start()

    @classmethod
    async def open(cls, directory: Path, kinds: Iterable[type[Record]], *, synced: bool = True) -> "SqliteStore":
        """Open the store in the directory, which is made where it is missing. `kinds`: all records it may hold.

        Not `synced`, a commit is not waited for until it is on the disk: for stores that may be lost, in tests.

        Raises Locked when another server holds the directory, StoreUnavailable when the database cannot be used.
        """
        by_name: dict[str, type[Record]] = {}
        for kind in kinds:
            assert by_name.setdefault(kind.kind, kind) is kind, f"two records call themselves {kind.kind!r}"
        lock = DirectoryLock.take(directory)
        try:
            connections = await asyncio.to_thread(_connect, directory, check=lock.left_unclean, synced=synced)
            return cls(lock, connections, by_name)
        except BaseException as error:
            lock.release(clean=not lock.left_unclean)
            if isinstance(error, apsw.Error):
                raise StoreUnavailable(f"cannot open {directory / DATABASE}: {error}") from error
            raise

    async def close(self) -> None:
        """Finish what is queued, then close. May be called again."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._hand_over()
        self._writer.stop()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(_closed())
        await self._writer_ended
        await self._loop.run_in_executor(self._far_thread, self._far.close)
        self._far_thread.shutdown(wait=True)
        self._near.close()
        self._lock.release(clean=True)

    # commits
    async def commit(self, *changes: Change) -> None:
        """Make all changes durable together. Raises Stale, StoreUnavailable, or Throttling when too much waits."""
        if changes:
            await self._submit(changes)

    async def ping(self) -> None:
        """Commit a write of no meaning."""
        await self._submit(())

    async def _submit(self, changes: Sequence[Change]) -> None:
        self._demand_open()
        ticket = Ticket(changes, self._kinds, self._loop.create_future())
        if self._queued and changes:  # what is too large for a queue may still pass an empty one
            self._demand_room(ticket)
        self._queued += 1
        self._queued_bytes += ticket.bytes
        if not self._gathered:
            # At the end of this turn of the loop: all who commit in one turn share one trip, and one group.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(ticket)
        begun_s = self._loop.time()
        try:
            await ticket.answer
            self.commits["committed"] += 1
        except (Stale, StoreUnavailable) as error:
            self.commits["stale" if isinstance(error, Stale) else "failed"] += 1
            raise
        finally:
            self.commit_s.observe(self._loop.time() - begun_s)

    def _hand_over(self) -> None:
        if self._gathered:
            self._writer.hand(self._gathered)
            self._gathered = []

    def _demand_open(self) -> None:
        if self._closing is not None:
            raise _closed()

    def _demand_room(self, ticket: Ticket) -> None:
        if self._queued >= COMMITS_QUEUED_MAX:
            self.commits["throttled"] += 1
            raise Throttling(f"Rate exceeded: {self._queued} commits wait for the disk. Try again later")
        if self._queued_bytes + ticket.bytes > COMMIT_BYTES_QUEUED_MAX:
            self.commits["throttled"] += 1
            raise Throttling(f"Rate exceeded: {self._queued_bytes >> 20} MiB wait for the disk. Try again later")

    def _answer_soon(
        self, group: Sequence[Ticket], fates: Sequence[Fate], held: int, journaled: Sequence[Journaled] | None
    ) -> None:
        """In the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._answer, group, fates, held, journaled)
        except RuntimeError:  # the loop ended without closing the store: nobody is left to hear it
            assert self._loop.is_closed()

    def _answer(
        self, group: Sequence[Ticket], fates: Sequence[Fate], held: int, journaled: Sequence[Journaled] | None
    ) -> None:
        self._queued -= len(group)
        for ticket, fate in zip(group, fates, strict=True):
            self._queued_bytes -= ticket.bytes
            answer = ticket.answer
            if answer.done():  # its caller went away
                continue
            if fate is None:
                answer.set_result(None)
            else:
                answer.set_exception(fate)
        self._held = held
        self._fresh.add(journaled)
        for waiter, after in self._waiting.items():
            if held > after and not waiter.done():
                waiter.set_result(None)

    def _end_soon(self) -> None:
        """In the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._writer_ended.set_result, None)
        except RuntimeError:
            assert self._loop.is_closed()

    # reads
    async def get(self, kind: type[R], scope: Scope, key: str) -> R | None:
        return self._read(self._near.get, kind, scope, key)

    async def find(
        self,
        kind: type[R],
        scope: Scope | None = None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int | None = None,
    ) -> list[R]:
        return self._read(self._near.find, kind, scope, prefix, after, limit)

    async def scopes(self, kind: type[R]) -> list[Scope]:
        return self._read(self._near.scopes, kind)

    async def count(self, kind: type[R], scope: Scope, prefix: str = "") -> int:
        return self._read(self._near.count, kind, scope, prefix)

    async def journal(self, after: int, limit: int) -> list[Journaled]:
        self._demand_open()
        return self._fresh.after(after, limit) or self._read(self._near.journal, after, limit)

    async def journal_marks(self, after: int, limit: int) -> list[JournalMark]:
        return self._read(self._near.journal_marks, after, limit)

    async def held(self, after: int, through: int) -> list[Held]:
        return self._read(self._near.held, after, through)

    async def journal_bounds(self) -> tuple[int, int]:
        """Emptied, the journal begins where its next entry will stand: (last + 1, last)."""
        return self._read(self._near.journal_bounds)

    async def grown(self, after: int) -> None:
        self._demand_open()
        if self._held > after:
            return
        waiter = self._loop.create_future()
        self._waiting[waiter] = after
        try:
            await waiter
        finally:
            del self._waiting[waiter]

    async def cursor(self, name: str) -> int:
        return self._read(self._near.cursor, name)

    async def log_streams(
        self, scope: Scope, group: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> list[LogStream]:
        return await self._read_far(self._far.log_streams, scope, group, prefix, after, limit)

    async def log_events(self, query: LogQuery) -> list[LogEvent]:
        return await self._read_far(self._far.log_events, query)

    async def log_bytes(self, scope: Scope, groups: Sequence[str]) -> Mapping[str, int]:
        return await self._read_far(self._far.log_bytes, scope, groups)

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
        place = after or (-(1 << 63), -1)
        return await self._read_far(self._far.archived, scope, archive, start_ms, end_ms, place, limit)

    async def archive_sums(self, scope: Scope, archives: Sequence[str]) -> Mapping[str, ArchiveSum]:
        return self._read(self._near.archive_sums, scope, archives)

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
        return await self._read_far(self._far.story, scope, cluster, instance_id, after, before, limit)

    def _read(self, read: Callable[..., T], *args: object) -> T:
        self._demand_open()
        try:
            return read(*args)
        except apsw.Error as error:
            raise StoreUnavailable(f"the store cannot read: {error}") from error

    async def _read_far(self, read: Callable[..., T], *args: object) -> T:
        self._demand_open()
        try:
            return await self._loop.run_in_executor(self._far_thread, read, *args)
        except apsw.Error as error:
            raise StoreUnavailable(f"the store cannot read: {error}") from error


def _connect(directory: Path, *, check: bool, synced: bool) -> list[apsw.Connection]:
    """One connection that writes, and two that read."""
    path = directory / DATABASE
    connections: list[apsw.Connection] = []
    try:
        connections.append(open_writer(path, check=check, synced=synced))
        connections += [open_reader(path) for _ in range(2)]
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the files' names, too, are on disk before anything is promised
        finally:
            os.close(descriptor)
    except BaseException:
        for connection in connections:
            connection.close()
        raise
    return connections


def _closed() -> StoreUnavailable:
    return StoreUnavailable("the store is closed")
