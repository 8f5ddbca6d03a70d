"""Why an event matches a pattern or does not: per field what was asked, what was there, and what nearly fitted.

The console, `tocsin pattern`, `tocsin rule explain` and our own API hand it on; `wording` puts it into sentences.
Asks the same records as the matchers do.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import replace

from .fields import Leaf, flatten, hold_together
from .hints import hint
from .matching import matches, may_lack, question, value_test
from .numbers import ExactNumber
from .reader import Field, Pattern

values_shown_max: Final = 5
"""Found values told per field; the rest is counted."""

value_chars_max: Final = 200
"""Characters told of one value."""

hinted_alternatives_max: Final = 5
hinted_fields_max: Final = 20
"""Near misses take time to find: they are looked for at the first fields that fail in the nearest alternatives."""


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
    judged = [(_alternative(fields, leaves, isinstance(event, dict)), fields) for fields in pattern.alternatives]
    judged.sort(key=lambda one: (not one[0].matched, len(one[0].failing)))
    nearest = [_hinted(verdict, fields, leaves, event) for verdict, fields in judged[:hinted_alternatives_max]]
    rest = [verdict for verdict, _ in judged[hinted_alternatives_max:]]
    return Explanation(matched=matches(pattern, event), alternatives=(*nearest, *rest))


def _alternative(fields: Sequence[Field], leaves: dict[str, list[Leaf]], is_object: bool) -> AlternativeVerdict:
    verdicts = tuple(_field(field, leaves) for field in fields)
    alone = is_object and all(verdict.matched for verdict in verdicts)
    together = is_object and hold_together(question(field, leaves.get(field.path, ())) for field in fields)
    return AlternativeVerdict(matched=together, conflict=alone and not together, fields=verdicts)


def _field(field: Field, leaves: dict[str, list[Leaf]]) -> FieldVerdict:
    found = _found(field, leaves)
    test = value_test(field.conditions)
    return FieldVerdict(
        path=field.path,
        matched=any(map(test, found)) or (not found and may_lack(field.conditions)),
        wanted=tuple(str(condition) for condition in field.conditions),
        found=tuple(_shown(value) for value in found[:values_shown_max]),
        found_count=len(found),
        hint="",
    )


def _found(field: Field, leaves: dict[str, list[Leaf]]) -> list[Any]:
    return [value for value, _ in question(field, leaves.get(field.path, ()))[0]]


def _hinted(
    verdict: AlternativeVerdict, fields: Sequence[Field], leaves: dict[str, list[Leaf]], event: Any
) -> AlternativeVerdict:
    """The verdict with hints at the fields that failed."""
    told: list[FieldVerdict] = []
    left = hinted_fields_max
    for one, field in zip(verdict.fields, fields, strict=True):
        if one.matched or not left:
            told.append(one)
            continue
        left -= 1
        told.append(replace(one, hint=hint(field, _found(field, leaves), leaves, event)))
    return replace(verdict, fields=tuple(told))


def _shown(value: Any) -> str:
    text = value.text if isinstance(value, ExactNumber) else orjson.dumps(value).decode()
    return text if len(text) <= value_chars_max else f"{text[:value_chars_max]}…"
