"""A ticket: one commit on its way through the writer, encoded and measured where it was asked for."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

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
from tocsin.model.records import Record

_encode = msgspec.json.Encoder().encode
_KNOWN = (Accept, Put, Delete, Log, Advance, Tell, OpenStream, DropStream, DropLogs, Keep, DropArchived, Forget, Hold)

Kinds = Mapping[str, type[Record]]


class Ticket:
    """`bodies` holds the JSON of each Put, in order; `plain` says that there are only events: nothing can be stale."""

    __slots__ = ("answer", "bodies", "bytes", "changes", "plain")

    def __init__(self, changes: Sequence[Change], kinds: Kinds, answer: "asyncio.Future[None]") -> None:
        self.changes = changes
        self.answer = answer
        self.bodies: list[bytes] = []
        self.bytes = 0
        self.plain = True
        for change in changes:
            if type(change) is Accept:
                self.bytes += len(change.event.body)
                continue
            self.plain = False
            self._admit(change, kinds)

    def _admit(self, change: Change, kinds: Kinds) -> None:
        match change:
            case Put(record):
                demand_kind(type(record), kinds)
                self.bodies.append(_encode(record))
                self.bytes += len(self.bodies[-1])
            case Delete(record):
                demand_kind(type(record), kinds)
            case Log(lines=lines):
                self.bytes += sum(len(line.message) for line in lines)
            case Keep(body=body):
                self.bytes += len(body)
            case Advance(expected=expected, seq=seq):
                assert seq >= expected, f"a cursor moves forward, and {change} does not"
            case _:
                assert isinstance(change, _KNOWN), f"no change: {change!r}"


def demand_kind(kind: type[Record], kinds: Kinds) -> None:
    """A kind the store was not opened with is an error of the program."""
    if kinds.get(kind.kind) is not kind:
        raise TypeError(f"the store was opened without {kind.__name__} (kind {kind.kind!r})")
