"""What a valid pattern says that its author can hardly mean: lists that are replaced, fields that hold never or always.

`tocsin pattern lint` shows it. Only what is certain is told, whatever the events. Source: the rules of
docs/patterns.md, whose numbers the notes carry. Knows no events.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from .conditions import AnythingBut, AnythingButNumbers, Condition, Exact, Exists, Number, Numeric
from .limits import combinations_max, notes_max, pattern_chars_max, wildcard_complexity_max
from .matching import may_lack
from .operators import read_conditions
from .reader import parse, wildcard_complexity
from .scanner import Scanner


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to look at. `where` is the `$or` branch it stands in (`detail.$or[1]`), or empty."""

    kind: str
    path: str
    where: str
    text: str
    rule: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the pattern beside their limits, and the notes in the order of the document."""

    chars: int
    chars_max: int = pattern_chars_max
    combinations: int
    combinations_max: int = combinations_max
    complexity: int
    complexity_max: int = wildcard_complexity_max
    notes: tuple[Note, ...]


class Written(msgspec.Struct, frozen=True):
    """A field's list where it stands: `where` names the innermost `$or` branch, or is empty."""

    path: str
    where: str
    conditions: tuple[Condition, ...]


Draft = dict[str, Written]

_APART: Final = (
    "holds for every value: one condition is enough, and no value is excluded by all of these anything-but."
    " Put what is excluded into one list."
)


def lint(text: str) -> Report:
    """A pattern's numbers and notes. Raises InvalidEventPattern with AWS's message."""
    pattern = parse(text)
    walk = _Walk()
    scanner = Scanner(text)
    scanner.next()
    drafts: list[Draft] = []
    walk.read(scanner, drafts, "", "")
    notes = [*walk.notes, *(note for written in walk.written for note in _of_field(written)), *_of_branches(drafts)]
    return Report(
        chars=len(text),
        combinations=len(pattern.alternatives),
        complexity=wildcard_complexity(pattern.alternatives),
        notes=tuple(dict.fromkeys(notes))[:notes_max],
    )


class _Walk:
    """The way `reader` goes, remembering where each list stands. The pattern is known to be valid."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.written: list[Written] = []
        self._ors: Counter[str] = Counter()

    def read(self, scanner: Scanner, drafts: list[Draft], path: str, where: str) -> None:
        while scanner.next() != "}":
            name = scanner.name
            inner = f"{path}.{name}" if path else name
            kind = scanner.next()
            if name == "$or":
                self._read_or(scanner, drafts, path, f"{where} → {inner}" if where else inner)
            elif kind == "{":
                self.read(scanner, drafts, inner, where)
            else:
                self._write(drafts, Written(inner, where, read_conditions(scanner)))

    def _read_or(self, scanner: Scanner, drafts: list[Draft], path: str, name: str) -> None:
        self._ors[name] += 1
        if self._ors[name] > 1:
            name = f"{name}#{self._ors[name]}"
        standing = drafts.copy() or [{}]
        drafts.clear()
        branch = 0
        while scanner.next() != "]":
            forked = [draft.copy() for draft in standing]
            self.read(scanner, forked, path, f"{name}[{branch}]")
            drafts.extend(forked)
            branch += 1

    def _write(self, drafts: list[Draft], written: Written) -> None:
        self.written.append(written)
        if not drafts:
            drafts.append({})
        for draft in drafts:
            if written.path in draft:
                self.notes.append(_replaced(draft[written.path], written))
            draft[written.path] = written


def _replaced(before: Written, after: Written) -> Note:
    if before.where == after.where:
        return _note("duplicate-path", after, "is written twice. Only the later list counts.", "P6")
    places = f"{_place(before)} and again {_place(after)}"
    text = f"is written {places}. The later list replaces the other: they do not both have to hold."
    return _note("replaced", after, text, "P11")


def _place(written: Written) -> str:
    return f"in {written.where}" if written.where else "outside $or"


def _of_field(written: Written) -> Iterator[Note]:
    """What is certain of one list by itself."""
    conditions = written.conditions
    live = [condition for condition in conditions if not _empty(condition)]
    for condition in dict.fromkeys(conditions):
        if _empty(condition):
            yield _note("never", written, f"{condition} holds for no number: none lies between its bounds.", "P27")
        if conditions.count(condition) > 1:
            yield _note("duplicate-condition", written, f"lists {condition} twice.", "P2")
        if isinstance(condition, Number) and condition.value is None:
            text = f"{condition.text} is not exactly a double. It equals only a number that is written the same way."
            yield _note("inexact-number", written, text, "P28")
        if isinstance(condition, Exact) and not condition.stated and "*" in condition.text:
            yield _note("plain-star", written, f'{condition} is plain text. Stars need {{"wildcard": …}}.', "P19")
    if written.path.endswith(".") and not may_lack(conditions):
        yield _note("never", written, "ends in an empty key, which matches nothing. The pattern cannot match.", "P8")
    elif not live:
        yield _note("never", written, "can hold for no value. The pattern cannot match.", "P27")
    if reason := _always(conditions):
        yield _note("always", written, reason[0], reason[1])


def _empty(condition: Condition) -> bool:
    """Whether no double lies in the range. (A bottom at or above the top is refused by `parse`.)"""
    if not isinstance(condition, Numeric):
        return False
    low, high = condition.low, condition.high
    if low is None or high is None:
        edge = low if low is not None else high
        opened = condition.low_open if low is not None else condition.high_open
        return opened and edge == math.copysign(sys.float_info.max, 1 if low is not None else -1)
    return condition.low_open and condition.high_open and math.nextafter(low, math.inf) == high


def _always(conditions: Sequence[Condition]) -> tuple[str, str] | None:
    """Why a list holds for every value, and the rule that says so."""
    exists = {condition.present for condition in conditions if isinstance(condition, Exists)}
    if exists == {True, False}:
        return "holds whether the field is there or not. It can be left out.", "P22"
    if exists == {True} and len(conditions) > 1:
        return 'holds for every value: {"exists": true} is one of its conditions, and one is enough.', "P2"
    excluded: list[set[str | float]] = [
        set(condition.texts) if isinstance(condition, AnythingBut) else set(condition.numbers)
        for condition in conditions
        if isinstance(condition, AnythingButNumbers) or (isinstance(condition, AnythingBut) and not condition.operator)
    ]
    if len(excluded) > 1 and not set.intersection(*excluded):
        return _APART, "P2"
    return None


def _of_branches(drafts: Sequence[Draft]) -> Iterator[Note]:
    """Combinations of `$or` that match nothing which another does not match already."""
    if len(drafts) < 2:
        return
    fields = [frozenset((path, written.conditions) for path, written in draft.items()) for draft in drafts]
    # A field that may be missing looks at the elements chosen before it (P32): there, more fields can match more.
    plain = [not any(may_lack(written.conditions) for written in draft.values()) for draft in drafts]
    by_fields: dict[frozenset[tuple[str, tuple[Condition, ...]]], int] = {}
    for index, (draft, some) in enumerate(zip(drafts, fields, strict=True)):
        twin = by_fields.setdefault(some, index)
        wider = twin if twin != index else None
        if wider is None and plain[index]:
            wider = next((other for other in range(len(drafts)) if plain[other] and fields[other] < some), None)
        if wider is not None and (where := _combination(draft)):
            text = "adds nothing: another combination of $or matches all that this one matches."
            yield Note(kind="redundant-branch", path="", where=where, text=text, rule="P10")


def _combination(draft: Draft) -> str:
    """The innermost branches a draft took."""
    branches = dict.fromkeys(written.where for written in draft.values() if written.where)
    inner = [one for one in branches if not any(other.startswith(f"{one} → ") for other in branches)]
    return " with ".join(inner)


def _note(kind: str, written: Written, text: str, rule: str) -> Note:
    return Note(kind=kind, path=written.path, where=written.where, text=text, rule=rule)
