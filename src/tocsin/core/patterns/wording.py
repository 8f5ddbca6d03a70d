"""An explanation as lines for a person: the verdict, then of every field that failed what was wanted and found.

`tocsin pattern test --explain` and `tocsin rule explain` print them. Knows no colours and no width.
"""

from collections.abc import Iterator
from typing import Final

from .explain import AlternativeVerdict, Explanation, FieldVerdict

wanted_shown_max: Final = 5
"""Conditions told of one field; the rest is counted."""

alternatives_shown_max: Final = 3
"""Alternatives told of one pattern, nearest first; the rest is counted."""

_APART: Final = "Each field holds, but in different elements of an array. One element must meet them all."


def sentence(explanation: Explanation) -> str:
    """The whole of it on one line."""
    if explanation.matched:
        return "matches"
    nearest = explanation.alternatives[0]
    if nearest.conflict:
        return "each field holds, but not in the same array element"
    first, *others = nearest.failing
    more = f" (and {_counted(len(others), 'more field')})" if others else ""
    told = f"{first.path}: wanted {_wanted(first)}, found {_found(first)}"
    return f"{told}{f'; {first.hint}' if first.hint else ''}{more}"


def lines(explanation: Explanation) -> list[str]:
    """Verdict first, details indented by two spaces, what is wanted and found by four."""
    return list(_lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    alternatives = explanation.alternatives
    nearest, *others = alternatives
    if explanation.matched:
        yield "Match."
        for field in nearest.fields:
            yield f"  {field.path}: wanted {_wanted(field)}, found {_found(field)}"
        return
    if not others:
        yield f"No match. {_failing(nearest)}"
        yield from _details(nearest)
        return
    yield f"No match. None of the {len(alternatives)} combinations of $or holds."
    for number, one in enumerate(alternatives[:alternatives_shown_max]):
        yield f"{'Nearest' if not number else 'Then'}: {_failing(one)}"
        yield from _details(one)
    if len(alternatives) > alternatives_shown_max:
        yield f"And {_counted(len(alternatives) - alternatives_shown_max, 'other combination')}."


def _failing(alternative: AlternativeVerdict) -> str:
    if alternative.conflict:
        return _APART
    failing = len(alternative.failing)
    return f"{_counted(failing, 'field')} of {len(alternative.fields)} {'does' if failing == 1 else 'do'} not hold."


def _details(alternative: AlternativeVerdict) -> Iterator[str]:
    for field in alternative.fields if alternative.conflict else alternative.failing:
        yield f"  {field.path}"
        yield f"    wanted  {_wanted(field)}"
        yield f"    found   {_found(field)}"
        if field.hint:
            yield f"    hint    {field.hint}"


def _wanted(field: FieldVerdict) -> str:
    shown = " or ".join(field.wanted[:wanted_shown_max])
    left = len(field.wanted) - wanted_shown_max
    return f"{shown} or {left} more" if left > 0 else shown


def _found(field: FieldVerdict) -> str:
    if not field.found:
        return "nothing"
    left = field.found_count - len(field.found)
    return ", ".join(field.found) + (f" and {left} more" if left > 0 else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
