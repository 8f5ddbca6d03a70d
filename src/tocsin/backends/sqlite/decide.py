"""Decide a commit: facts in; out come the facts it makes, and what it writes, or Stale. No I/O.

The whole commit is decided before any of it is written, so that a stale one leaves nothing to undo.
"""

from collections.abc import Callable
from typing import Any, TypeVarTuple

from tocsin.backends.sqlite.facts import (
    CURSOR,
    STREAM,
    Key,
    Known,
    archive_key,
    archive_record_key,
    group_key,
    group_record_key,
    record_key,
    stream_key,
)
from tocsin.backends.sqlite.tape import Tape
from tocsin.backends.sqlite.ticket import Ticket
from tocsin.model.changes import (
    Accept,
    Advance,
    Change,
    Delete,
    DropArchived,
    DropLogs,
    DropStream,
    Forget,
    Hold,
    Keep,
    Log,
    OpenStream,
    Put,
    Tell,
)
from tocsin.model.errors import Stale
from tocsin.model.names import Scope

Args = TypeVarTuple("Args")


def decide(ticket: Ticket, known: Known, tape: Tape) -> None:
    """Write the commit on the tape and make its facts known. Raises Stale, and then did neither."""
    draft = _Draft(known, tape)
    bodies = iter(ticket.bodies)
    for change in ticket.changes:
        if type(change) is Put:
            draft.put(change, next(bodies))
        else:
            draft.take(change)
    known.update(draft.facts)
    for write, args in draft.writes:
        write(*args)


class _Draft:
    """One commit as far as it is decided: each change sees what those before it made."""

    def __init__(self, known: Known, tape: Tape) -> None:
        self._known = known
        self._tape = tape
        self.facts: Known = {}
        self.writes: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def take(self, change: Change) -> None:
        match change:
            case Accept() | Tell() | Hold() | Forget():
                self._add(change)
            case Delete():
                self._delete(change)
            case Log():
                self._log(change)
            case OpenStream():
                self._open_stream(change)
            case DropStream():
                self._drop_stream(change)
            case DropLogs():
                self._drop_logs(change)
            case Keep():
                self._keep(change)
            case DropArchived():
                self._drop_archived(change)
            case Advance():
                self._advance(change)
            case _:
                raise AssertionError(f"nothing is known about {type(change).__name__}")

    def _add(self, change: Accept | Tell | Hold | Forget) -> None:
        """What is never stale."""
        match change:
            case Accept(event):
                self._write(self._tape.event, event)
            case Tell(line):
                self._write(self._tape.story, line)
            case Hold(held):
                self._write(self._tape.hold, held)
            case Forget(through_seq=through_seq):
                self._write(self._tape.forget, through_seq)

    def put(self, change: Put, body: bytes) -> None:
        record = change.record
        key = record_key(record)
        stored = self._fact(key)
        if stored != record.revision - 1 or record.revision < 1:
            raise Stale(f"{record.kind} {record.key} is at revision {stored}, and {record.revision} was to follow")
        self.facts[key] = record.revision
        self._write(self._tape.record, key, record.revision, body)

    def _delete(self, change: Delete) -> None:
        record = change.record
        key = record_key(record)
        stored = self._fact(key)
        if stored != record.revision or not stored:
            raise Stale(f"{record.kind} {record.key} is at revision {stored}, and {record.revision} was to go")
        self.facts[key] = 0
        self._write(self._tape.record, key, 0, None)

    def _log(self, change: Log) -> None:
        group_id = self._group(change.scope, change.group)
        key = stream_key(change.scope, change.group, change.stream)
        stream_id = self._fact(key) or self._new_stream(key, group_id, change.stream, change.ingested_ms)
        self._write(self._tape.lines, stream_id, group_id, change)

    def _open_stream(self, change: OpenStream) -> None:
        group_id = self._group(change.scope, change.group)
        key = stream_key(change.scope, change.group, change.stream)
        if self._fact(key):
            raise Stale(f"log stream {change.group} {change.stream} exists")
        self._new_stream(key, group_id, change.stream, change.created_ms)

    def _drop_stream(self, change: DropStream) -> None:
        key = stream_key(change.scope, change.group, change.stream)
        stream_id = self._fact(key)
        if not stream_id:
            raise Stale(f"there is no log stream {change.group} {change.stream}")
        self.facts[key] = 0
        self._write(self._tape.drop_stream, stream_id)

    def _drop_logs(self, change: DropLogs) -> None:
        key = group_key(change.scope, change.group)
        group_id = self._fact(key)
        if not group_id:
            return
        if change.before_ms is not None:
            self._write(self._tape.drop_old_lines, group_id, change.before_ms)
            return
        self.facts[key] = 0
        of_group = (STREAM, *key[1:])
        for fact in (*self._known, *self.facts):
            if fact[:-1] == of_group:
                self.facts[fact] = 0
        self._write(self._tape.drop_group, group_id)

    def _keep(self, change: Keep) -> None:
        if not self._fact(archive_record_key(change.scope, change.archive)):
            return
        key = archive_key(change.scope, change.archive)
        number = self._fact(key)
        if not number:
            numbers = self._tape.numbers
            numbers.archive += 1
            number = self.facts[key] = numbers.archive
        self._write(self._tape.keep, number, change)

    def _drop_archived(self, change: DropArchived) -> None:
        key = archive_key(change.scope, change.archive)
        number = self._fact(key)
        if not number:
            return
        if change.before_ms is not None:
            self._write(self._tape.drop_old_archived, number, change.before_ms)
            return
        self.facts[key] = 0
        self._write(self._tape.drop_archive, number)

    def _advance(self, change: Advance) -> None:
        key = (CURSOR, change.cursor)
        stands = self._fact(key)
        if stands != change.expected:
            raise Stale(f"cursor {change.cursor} stands at {stands}, not at {change.expected}")
        self.facts[key] = change.seq
        self._write(self._tape.cursor, change.cursor, change.seq)

    def _group(self, scope: Scope, name: str) -> int:
        """The number of a log group, given out with its first stream. Stale when its record is missing."""
        if not self._fact(group_record_key(scope, name)):
            raise Stale(f"there is no log group {name}")
        key = group_key(scope, name)
        number = self._fact(key)
        if not number:
            numbers = self._tape.numbers
            numbers.group += 1
            number = self.facts[key] = numbers.group
            self._write(self._tape.group, number, scope, name)
        return number

    def _new_stream(self, key: Key, group_id: int, name: str, created_ms: int) -> int:
        numbers = self._tape.numbers
        numbers.stream += 1
        self.facts[key] = numbers.stream
        self._write(self._tape.stream, numbers.stream, group_id, name, created_ms)
        return numbers.stream

    def _fact(self, key: Key) -> int:
        fact = self.facts.get(key)
        return self._known[key] if fact is None else fact

    def _write(self, write: Callable[[*Args], None], *args: *Args) -> None:
        self.writes.append((write, args))
