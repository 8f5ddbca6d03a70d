"""By what an alternative can be found: texts and numbers its conditions name, each a dictionary away from a value.

`build.py` picks one field of each alternative to wait under; `Bucket` is where an event's value wakes it. A field
can be waited under if every one of its conditions names a text (whole, start, end, or whole in lower case) or a number.
"""

from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from tocsin.core.patterns.conditions import (
    Affix,
    Condition,
    Exact,
    IgnoreCase,
    Number,
    Wildcard,
)
from tocsin.core.patterns.numbers import ExactNumber, comparable
from tocsin.core.patterns.wildcards import literals

T = TypeVar("T")
Kind = Literal["whole", "start", "end", "lower", "number"]


class Lookup(msgspec.Struct, frozen=True):
    """A value that has `text` (or is the number) may meet the condition; one that has not cannot.

    `sure` if having it is all there is to the condition.
    """

    kind: Kind
    text: str | float
    sure: bool


def lookup(condition: Condition) -> Lookup | None:
    """How a condition can be looked up, or None if only asking it will tell."""
    match condition:
        case Exact():
            return Lookup("whole", condition.text, sure=True)
        case Affix(ignore_case=False) if condition.text:
            return Lookup("start" if condition.kind == "prefix" else "end", condition.text, sure=True)
        case Wildcard():
            return _wildcard(condition.text)
        case IgnoreCase() if condition.text.isascii():
            return Lookup("lower", condition.text.lower(), sure=False)
        case Number(value=float()) if condition.value is not None:
            return Lookup("number", condition.value, sure=False)
    return None


def _wildcard(text: str) -> Lookup | None:
    first, *rest = literals(text)
    if not rest:
        return Lookup("whole", first, sure=True)
    if len(first) >= len(rest[-1]):
        return Lookup("start", first, sure=False) if first else None
    return Lookup("end", rest[-1], sure=False)


class Bucket(Generic[T]):
    """All that waits under one path. `woken` yields what a value at that path wakes, perhaps more than once."""

    __slots__ = ("_ends", "_lower", "_numbers", "_starts", "_whole", "only_whole")

    def __init__(self, entries: Iterable[tuple[Lookup, T]]) -> None:
        tables: dict[Kind, dict[Any, tuple[T, ...]]] = {}
        for found, waiting in entries:
            table = tables.setdefault(found.kind, {})
            table[found.text] = (*table.get(found.text, ()), waiting)
        self._whole: dict[Any, tuple[T, ...]] = tables.get("whole", {})
        self._lower = tables.get("lower", {})
        self._numbers = tables.get("number", {})
        self._starts = _by_length(tables.get("start", {}))
        self._ends = _by_length(tables.get("end", {}))
        self.only_whole = self._whole if tables.keys() <= {"whole"} else None

    def woken(self, value: Any) -> Iterable[T]:
        if type(value) is not str:
            if self._numbers and type(value) in (int, float, ExactNumber):
                return self._numbers.get(comparable(value), ())
            return ()
        if self.only_whole is not None:
            return self.only_whole.get(value, ())
        woken = list(self._whole.get(value, ()))
        if self._lower:
            woken += self._lower.get(value.lower(), ())
        for length, table in self._starts:
            woken += table.get(value[:length], ())
        for length, table in self._ends:
            woken += table.get(value[-length:], ())
        return woken


def _by_length(table: dict[Any, tuple[T, ...]]) -> tuple[tuple[int, dict[str, tuple[T, ...]]], ...]:
    lengths: dict[int, dict[str, tuple[T, ...]]] = {}
    for text, waiting in table.items():
        lengths.setdefault(len(text), {})[text] = waiting
    return tuple(sorted(lengths.items()))
