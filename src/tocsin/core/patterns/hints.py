"""What nearly fitted where a field did not match: another case, a near key, a string where a number is wanted.

`explain` asks for the fields that failed. A hint is one short sentence without its full stop, or empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from .addresses import parse_address
from .conditions import (
    Affix,
    AnythingBut,
    AnythingButNumbers,
    Cidr,
    Condition,
    Exact,
    Exists,
    IgnoreCase,
    Number,
    Numeric,
    Wildcard,
    Word,
)
from .numbers import ExactNumber, comparable
from .reader import Field
from .wildcards import wildcard

near_chars_max: Final = 200
"""Longest text that is compared for likeness, which takes the square of its length."""

near_paths_max: Final = 300
"""Paths of the event that are compared for likeness."""

_TEXTUAL = (Exact, Affix, IgnoreCase, Wildcard, Cidr)
_LIKE_KEYS: Final = 0.6
_LIKE_TEXTS: Final = 0.8


def hint(field: Field, found: Sequence[Any], paths: Iterable[str], event: Any) -> str:
    """`found` are the event's values at the field, `paths` all paths of the event."""
    if not found:
        return _absence_hint(field, list(paths), event)
    hints = (_value_hint(condition, value) for condition in field.conditions for value in found)
    return next((told for told in hints if told), "")


def _absence_hint(field: Field, paths: Sequence[str], event: Any) -> str:
    path = field.path
    if path.endswith("."):
        return "a path that ends in an empty key matches nothing"
    below = next((other for other in paths if other.startswith(f"{path}.")), None)
    if below is not None:
        return f"holds an object, not a value; the event has {below}"
    empty = _at(event, path)
    if empty == {} or isinstance(empty, list):
        return f"is empty in the event: {'{}' if empty == {} else '[]'} holds no value"
    parent = path
    while "." in parent:
        parent = parent.rpartition(".")[0]
        if parent in paths:
            return f"{parent} holds a value, not an object"
    near = _near_key(path, paths)
    if near:
        return f"no such key; {near}"
    if Word("null") in field.conditions:
        return 'no such key; null is a value, {"exists": false} is none'
    return "no such key"


def _near_key(path: str, paths: Sequence[str]) -> str:
    folded = next((other for other in paths if other.lower() == path.lower()), None)
    if folded is not None:
        return f"keys count case: did you mean {folded}?"
    last = path.rpartition(".")[2].lower()
    same = next((other for other in paths if other.rpartition(".")[2].lower() == last), None)
    near = [same] if same else _near(path, islice(paths, near_paths_max), _LIKE_KEYS)
    return f"did you mean {near[0]}?" if near else ""


def _near(text: str, others: Iterable[str], likeness: float) -> list[str]:
    if len(text) > near_chars_max:
        return []
    return get_close_matches(text, [other for other in others if len(other) <= near_chars_max], n=1, cutoff=likeness)


def _at(event: Any, path: str) -> Any:
    """What stands at the path when no key on the way holds a dot; None where nothing does."""
    for key in path.split("."):
        event = event.get(key) if isinstance(event, Mapping) else None
    return event


def _value_hint(condition: Condition, value: Any) -> str:
    match condition:
        case Exists(present=False):
            return "the event has it, the pattern wants it absent"
        case Number() | Numeric():
            return _number_hint(condition, value)
        case AnythingBut() | AnythingButNumbers():
            return "is what the pattern excludes"
        case Word() if isinstance(value, str) and value.lower() == condition.word:
            return f"is a string, the pattern wants {condition.word} without quotes"
    if not isinstance(condition, _TEXTUAL):
        return ""
    if not isinstance(value, str):
        return f"is {_kind(value)}, the pattern wants a string"
    return _text_hint(condition, value)


def _number_hint(condition: Number | Numeric, value: Any) -> str:
    if isinstance(value, ExactNumber):
        return "is a number that no double says exactly, which compares with nothing"
    if isinstance(value, (str, bool)) or value is None:
        return f"is {_kind(value)}, the pattern wants a number"
    number = comparable(value)
    if not isinstance(condition, Numeric) or number is None:
        return ""
    low, high = condition.low, condition.high
    if low is not None and low == high:
        return ""
    if number in (low, high):
        return "is the bound itself, which is not included"
    return "is too small" if low is not None and number < low else "is too large"


def _text_hint(condition: Condition, value: str) -> str:
    match condition:
        case Exact():
            return _exact_hint(condition.text, value)
        case Affix():
            return _affix_hint(condition, value)
        case Wildcard():
            if wildcard(condition.text.lower())(value.lower()):
                return "differs only in case"
            return "the wildcard has no star" if "*" not in condition.text else ""
        case Cidr():
            address = parse_address(value)
            if address is None:
                return "is no IP address"
            same = address.bits == condition.block.bits
            return "lies outside the block" if same else "is an address of the other IP family"
        case IgnoreCase() if value.strip().lower() == condition.text.strip().lower():
            return "differs only in space around it"
    return ""


def _affix_hint(condition: Affix, value: str) -> str:
    loose = Affix(condition.kind, condition.text, ignore_case=True).test()
    if loose(value):
        return "differs only in case"
    if loose(value.strip()):
        return "differs only in space around it"
    return ""


def _exact_hint(wanted: str, value: str) -> str:
    if value.strip() == wanted.strip():
        return "differs only in space around it"
    if value.lower() == wanted.lower():
        return "differs only in case"
    if "*" in wanted:
        return 'a plain text has no wildcards; {"wildcard": …} does'
    return f"nearly {wanted}" if _near(value, [wanted], _LIKE_TEXTS) else ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "a string" if isinstance(value, str) else "a number"
