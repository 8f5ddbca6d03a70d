"""Reads a whole pattern: objects, paths and `$or`, into flat alternatives of fields.

`parse` is the front of this package. Fields are written into every alternative under way, in document order, so the
last word on a path stands; `$or` forks the alternatives that stand at that moment.
"""

from typing import Final

import msgspec

from tocsin.model.errors import InvalidEventPattern

from .conditions import AnythingBut, Condition, Wildcard
from .limits import combinations_max, pattern_chars_max, wildcard_complexity_max
from .operators import read_conditions
from .refusal import Refused
from .scanner import Scanner
from .wildcards import complexity

_OR: Final = "$or"
_RESERVED_IN_OR: Final = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric"),
        *("cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)
_TOO_COMPLEX: Final = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard"
    " character"
)

Draft = dict[str, tuple[Condition, ...]]


class Field(msgspec.Struct, frozen=True):
    """A path, its keys joined by dots, and the conditions of which one must hold."""

    path: str
    conditions: tuple[Condition, ...]


class Pattern(msgspec.Struct, frozen=True):
    """A pattern as written, and its alternatives: an event matches if all fields of one of them do.

    Fields stand in the order of their paths (UTF-16 units), in which array elements are chosen.
    """

    text: str
    alternatives: tuple[tuple[Field, ...], ...]


def parse(text: str, *, chars_max: int = pattern_chars_max) -> Pattern:
    """A pattern's text, validated and taken apart.

    Raises:
        InvalidEventPattern: with AWS's whole message, location included where AWS gives one.
    """
    try:
        if len(text) > chars_max:
            raise Refused(f"Event pattern is longer than {chars_max} characters")
        drafts = _read(Scanner(text))
        alternatives = tuple(dict.fromkeys(_ordered(draft) for draft in drafts))
        _check_complexity(alternatives)
    except Refused as refused:
        raise InvalidEventPattern(f"Event pattern is not valid. Reason: {refused}") from None
    return Pattern(text, alternatives)


def _read(scanner: Scanner) -> list[Draft]:
    if scanner.next() != "{":
        scanner.refuse("Filter is not an object")
    drafts: list[Draft] = []
    _read_object(scanner, drafts, "", in_or=False)
    return drafts


def _read_object(scanner: Scanner, drafts: list[Draft], path: str, *, in_or: bool) -> None:
    empty = True
    while scanner.next() != "}":
        empty = False
        name = scanner.name
        if name == _OR:
            _read_or(scanner, drafts, path)
            continue
        if in_or and name in _RESERVED_IN_OR:
            scanner.refuse(f"{name} is Ruler reserved fieldName which cannot be used inside {_OR}.")
        inner = f"{path}.{name}" if path else name
        kind = scanner.next()
        if kind == "{":
            _read_object(scanner, drafts, inner, in_or=in_or)
        elif kind == "[":
            _write(drafts, inner, read_conditions(scanner))
        else:
            scanner.refuse(f'"{name}" must be an object or an array')
    if empty:
        scanner.refuse("Empty objects are not allowed")


def _read_or(scanner: Scanner, drafts: list[Draft], path: str) -> None:
    if scanner.next() != "[":
        scanner.refuse(f"It must be an Array followed with {_OR}.")
    standing = drafts.copy() or [{}]
    drafts.clear()
    branches = 0
    while (kind := scanner.next()) != "]":
        if kind != "{":
            scanner.refuse(f"Only JSON object is allowed in array of {_OR} relationship.")
        branches += 1
        forked = [draft.copy() for draft in standing]
        _read_object(scanner, forked, path, in_or=True)
        drafts.extend(forked)
        if len(drafts) > combinations_max:
            raise Refused(f"Rule has more than {combinations_max} combinations of {_OR} conditions")
    if branches < 2:
        scanner.refuse(f"There must have at least 2 Objects in {_OR} relationship.")


def _write(drafts: list[Draft], path: str, conditions: tuple[Condition, ...]) -> None:
    if not drafts:
        drafts.append({})
    for draft in drafts:
        draft[path] = conditions


def path_order(path: str) -> bytes:
    """The key that sorts paths as the reference library does: by UTF-16 units."""
    return path.encode("utf-16-be", "surrogatepass")


def _ordered(draft: Draft) -> tuple[Field, ...]:
    return tuple(Field(path, draft[path]) for path in sorted(draft, key=path_order))


def _check_complexity(alternatives: tuple[tuple[Field, ...], ...]) -> None:
    if wildcard_complexity(alternatives) > wildcard_complexity_max:
        raise Refused(_TOO_COMPLEX)


def wildcard_complexity(alternatives: tuple[tuple[Field, ...], ...]) -> int:
    """That of the most complex field, 0 without wildcards; one more than the limit stands for all beyond it.

    Wildcards that one automaton would hold are weighed together: same path, same fields before it.
    """
    together: dict[tuple[tuple[Field, ...], str], set[str]] = {}
    for fields in alternatives:
        for index, field in enumerate(fields):
            texts = _wildcards(field.conditions)
            if texts:
                together.setdefault((fields[:index], field.path), set()).update(texts)
    greatest = 0
    for weighed in dict.fromkeys(map(frozenset, together.values())):
        greatest = max(greatest, complexity(weighed, wildcard_complexity_max))
        if greatest > wildcard_complexity_max:
            break
    return greatest


def _wildcards(conditions: tuple[Condition, ...]) -> set[str]:
    texts: set[str] = set()
    for condition in conditions:
        if isinstance(condition, Wildcard):
            texts.add(condition.text)
        elif isinstance(condition, AnythingBut) and condition.operator == "wildcard":
            texts.update(condition.texts)
    return texts


__all__ = ["Field", "Pattern", "parse", "path_order", "wildcard_complexity"]
