"""The writer: one thread that owns the writing connection. What waits when it looks is one group and one commit.

The store hands it tickets; it answers with the fate of each. Everything in a group is durable before any of it is
answered, and a group that fails leaves nothing behind.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain

import apsw
import msgspec

from tocsin.backends.sqlite.decide import decide
from tocsin.backends.sqlite.facts import Known, learn
from tocsin.backends.sqlite.queries import SQL
from tocsin.backends.sqlite.tape import Numbers, Statement, Tape
from tocsin.backends.sqlite.ticket import Ticket
from tocsin.model.errors import Stale, StoreUnavailable
from tocsin.model.event import Journaled

# Errors of what was to be written, not of the disk: the commit that brought it fails alone.
_UNWRITABLE = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError, apsw.SQLError)

Fate = Exception | None
# Called in the writer's thread: the tickets, their fates, the last seq the journal holds (0: it is empty), and what was
# journaled. None where that is not certain, or where entries were removed.
Answer = Callable[[Sequence[Ticket], Sequence[Fate], int, Sequence[Journaled] | None], None]


class Writer:
    """Runs from `start` until `stop`, and then calls `ended` from its thread."""

    def __init__(self, connection: apsw.Connection, answer: Answer, ended: Callable[[], None]) -> None:
        self._connection = connection
        self._answer = answer
        self._ended = ended
        self._queue: queue.SimpleQueue[list[Ticket] | None] = queue.SimpleQueue()
        self._known: Known = {}
        [row] = connection.execute(SQL["numbers"])
        self._numbers = Numbers(*row)
        self.held = held(connection)
        self._journaled: list[Journaled] | None = []
        self._thread = threading.Thread(target=self._run, name="tocsin-store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand(self, tickets: list[Ticket]) -> None:
        """Queue tickets, in order."""
        self._queue.put(tickets)

    def stop(self) -> None:
        """End after all that is queued."""
        self._queue.put(None)

    def _run(self) -> None:
        running = True
        while running:
            group, running = self._gather()
            if group:
                self._journaled = []
                fates = self._commit(group)
                self._answer(group, fates, self.held, self._journaled)
        with suppress(apsw.Error):  # what is committed is in the WAL, whether or not it can be moved now
            self._connection.close()
        self._ended()

    def _gather(self) -> tuple[list[Ticket], bool]:
        """All that waits, and whether to go on. The queue's bounds, kept by the store, bound the group."""
        group: list[Ticket] = []
        handed = self._queue.get()
        while handed is not None:
            group += handed
            try:
                handed = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[Ticket]) -> list[Fate]:
        numbers = msgspec.structs.replace(self._numbers)
        try:
            return self._write(group)
        except Exception as error:  # whatever went wrong: nothing was kept, every caller is told, the thread lives on
            self._undo(numbers)
            if not isinstance(error, apsw.Error) or isinstance(error, _UNWRITABLE):
                if len(group) == 1:
                    return [error]
                return [fate for ticket in group for fate in self._commit([ticket])]
            return [_unavailable(error) for _ in group]

    def _write(self, group: Sequence[Ticket]) -> list[Fate]:
        learn(self._connection, self._known, chain.from_iterable(t.changes for t in group if not t.plain))
        tape = Tape(self._numbers)
        seq = self._numbers.seq
        fates = [self._decide(ticket, tape) for ticket in group]
        statements = tape.finish()
        before = self._connection.total_changes()
        self._execute(statements)
        if self._numbers.seq > seq:
            self.held = self._numbers.seq
        if tape.removes or self._connection.total_changes() - before != tape.rows:
            # Removed rows, or repeated events that were left out: look what the journal really holds.
            self._journaled = None
            with suppress(apsw.Error):  # all is committed: no trouble with this question may say otherwise
                self.held = held(self._connection)
        elif self._journaled is not None:
            self._journaled += tape.journaled
        return fates

    def _decide(self, ticket: Ticket, tape: Tape) -> Fate:
        if ticket.plain:
            if not ticket.changes:
                tape.ping()
            tape.events(ticket.changes)  # type: ignore[arg-type]  # that is what plain means
            return None
        try:
            decide(ticket, self._known, tape)
        except Stale as stale:
            return stale
        return None

    def _execute(self, statements: Sequence[Statement]) -> None:
        """One statement is a transaction by itself, and spares two steps."""
        if len(statements) == 1:
            self._connection.execute(*statements[0])
            return
        if statements:
            self._connection.execute("BEGIN IMMEDIATE")
            for sql, values in statements:
                self._connection.execute(sql, values)
            self._connection.execute("COMMIT")

    def _undo(self, numbers: Numbers) -> None:
        if self._connection.in_transaction:  # SQLite ends it by itself on some errors
            with suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
        self._numbers = numbers
        self._known.clear()


def held(connection: apsw.Connection) -> int:
    """The last seq the journal holds now; 0 when it holds none."""
    [(_, last, _)] = connection.execute(SQL["journal_bounds"])
    return last or 0


def _unavailable(error: apsw.Error) -> StoreUnavailable:
    unavailable = StoreUnavailable(f"nothing was kept, the store cannot write: {error} ({type(error).__name__})")
    unavailable.__cause__ = error
    return unavailable
