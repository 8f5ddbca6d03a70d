"""Why an event matches a pattern or does not: per field what was asked, what was there, and what nearly fitted.

The console, `tocsin pattern` and TestEventPattern's users read it. Asks the same records as the matchers do.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

import msgspec
import orjson

from .conditions import Affix, AnythingBut, Condition, Exact, Exists, Number, Numeric
from .fields import Leaf, flatten, hold_together
from .matching import matches, may_lack, question, value_test
from .numbers import ExactNumber
from .reader import Field, Pattern

values_shown_max: Final = 5
"""Found values told per field; the rest is counted."""

value_chars_max: Final = 200
"""Characters told of one value."""


near_chars_max: Final = 200
"""Longest text that is compared for likeness, which takes the square of its length."""

near_paths_max: Final = 1000
"""Paths of the event that are compared for likeness."""


class FieldVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One field of an alternative, asked by itself. `found` holds values as JSON; `hint` is empty if there is none."""

    path: str
    matched: bool
    wanted: tuple[str, ...]
    found: tuple[str, ...]
    found_count: int
    hint: str


class AlternativeVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One alternative. `conflict` if every field holds by itself, but not all in the same array elements."""

    matched: bool
    conflict: bool
    fields: tuple[FieldVerdict, ...]

    @property
    def failing(self) -> tuple[FieldVerdict, ...]:
        return tuple(field for field in self.fields if not field.matched)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a whole pattern; the alternatives stand nearest first."""

    matched: bool
    alternatives: tuple[AlternativeVerdict, ...]


def explain(pattern: Pattern, event: Any) -> Explanation:
    """Every alternative's fields against an event. `matched` is what `matches` says."""
    leaves = flatten(event) if isinstance(event, dict) else {}
    alternatives = [_alternative(fields, leaves, isinstance(event, dict)) for fields in pattern.alternatives]
    alternatives.sort(key=lambda one: (not one.matched, len(one.failing)))
    return Explanation(matched=matches(pattern, event), alternatives=tuple(alternatives))


def _alternative(fields: Sequence[Field], leaves: dict[str, list[Leaf]], is_object: bool) -> AlternativeVerdict:
    verdicts = tuple(_field(field, leaves) for field in fields)
    alone = is_object and all(verdict.matched for verdict in verdicts)
    together = is_object and hold_together(question(field, leaves.get(field.path, ())) for field in fields)
    return AlternativeVerdict(matched=together, conflict=alone and not together, fields=verdicts)


def _field(field: Field, leaves: dict[str, list[Leaf]]) -> FieldVerdict:
    found = [value for value, _ in question(field, leaves.get(field.path, ()))[0]]
    test = value_test(field.conditions)
    matched = any(map(test, found)) or (not found and may_lack(field.conditions))
    return FieldVerdict(
        path=field.path,
        matched=matched,
        wanted=tuple(str(condition) for condition in field.conditions),
        found=tuple(_shown(value) for value in found[:values_shown_max]),
        found_count=len(found),
        hint="" if matched else _hint(field, found, leaves),
    )


def _shown(value: Any) -> str:
    text = value.text if isinstance(value, ExactNumber) else orjson.dumps(value).decode()
    return text if len(text) <= value_chars_max else f"{text[:value_chars_max]}…"


def _hint(field: Field, found: Sequence[Any], leaves: dict[str, list[Leaf]]) -> str:
    if not found:
        return _absence_hint(field.path, leaves)
    hints = (_value_hint(condition, value) for condition in field.conditions for value in found)
    return next((hint for hint in hints if hint), "")


def _absence_hint(path: str, leaves: dict[str, list[Leaf]]) -> str:
    if path.endswith("."):
        return "a path that ends in an empty key matches nothing"
    below = next((other for other in leaves if other.startswith(f"{path}.")), None)
    if below is not None:
        return f"holds an object, not a value; the event has {below}"
    parent = path
    while "." in parent:
        parent = parent.rpartition(".")[0]
        if parent in leaves:
            return f"{parent} holds a value, not an object"
    folded = next((other for other in leaves if other.lower() == path.lower()), None)
    if folded is not None:
        return f"no such key; keys count case: did you mean {folded}?"
    near = _near(path, islice(leaves, near_paths_max), 0.6) or _same_last_key(path, leaves)
    return f"no such key; did you mean {near[0]}?" if near else "no such key"


def _near(text: str, others: Iterable[str], likeness: float) -> list[str]:
    if len(text) > near_chars_max:
        return []
    return get_close_matches(text, [other for other in others if len(other) <= near_chars_max], n=1, cutoff=likeness)


def _same_last_key(path: str, leaves: Iterable[str]) -> list[str]:
    last = path.rpartition(".")[2]
    return [other for other in leaves if other.rpartition(".")[2] == last][:1]


def _value_hint(condition: Condition, value: Any) -> str:
    wants_text = isinstance(condition, (Exact, Affix)) or type(condition).__name__ in ("IgnoreCase", "Wildcard", "Cidr")
    if isinstance(condition, Exists):
        return "the event has it, the pattern wants it absent" if not condition.present else ""
    if isinstance(condition, (Number, Numeric)):
        return _number_hint(condition, value)
    if isinstance(condition, AnythingBut):
        return "it is what the pattern excludes"
    if not wants_text:
        return ""
    if not isinstance(value, str):
        return f"is {_kind(value)}, the pattern wants a string"
    return _text_hint(condition, value)


def _number_hint(condition: Number | Numeric, value: Any) -> str:
    if isinstance(value, ExactNumber):
        return "is a number that no double says exactly, which compares with nothing"
    if isinstance(value, str):
        return "is a string, the pattern wants a number"
    if isinstance(value, bool) or value is None:
        return f"is {_kind(value)}, the pattern wants a number"
    return "is out of range" if isinstance(condition, Numeric) else ""


def _text_hint(condition: Condition, value: str) -> str:
    wanted = getattr(condition, "text", "")
    if isinstance(condition, Exact) and value.strip() == wanted.strip():
        return "differs only in space around it"
    if isinstance(condition, Affix) and not condition.ignore_case:
        loose = Affix(condition.kind, wanted, ignore_case=True)
        return "differs only in case" if loose.test()(value) else ""
    if isinstance(condition, Exact):
        if value.lower() == wanted.lower():
            return "differs only in case"
        if "*" in wanted:
            return 'a plain text has no wildcards; {"wildcard": …} does'
        return f"nearly {wanted}" if _near(value, [wanted], 0.8) else ""
    return ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "a string" if isinstance(value, str) else "a number"
