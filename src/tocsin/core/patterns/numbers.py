"""Numbers as the language sees them: comparable when the nearest double says the same, else only a text.

Conditions ask `comparable`; the bus loads events through `load_event`. Knows JSON numbers, nothing of patterns.
"""

import json
import re
from decimal import Decimal
from typing import Any, Final

import msgspec
import orjson

exact_integer_max: Final = 2**53
"""Up to here every integer is its own double."""

_integer_digits_max: Final = 19
_OUTLINE = bytes.maketrans(b"123456789.E+", b"0000000000e-")
_SUSPECTS: Final = (b"0" * 16, b"0e000", b"0e-000")
_MAY_LOSE = re.compile(rb"[:\[,\s]-?[0-9](?:[0-9.]{15}|[0-9.]*[eE][-+]?[0-9]{3})")


class ExactNumber(msgspec.Struct, frozen=True):
    """A number of an event that no double says exactly: it equals its own text and compares with nothing."""

    text: str


def parse_comparable(text: str) -> float | None:
    """The double that says exactly what a JSON number's text says, or None if there is none (facts 2.3)."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return None
    return value + 0.0 if Decimal(_said(value)) == Decimal(text) else None


def _said(value: float) -> str:
    """What a double says, as the reference library reads it: the shortest text that reads back, of two digits at least.
    Of the very smallest the second digit counts: 4.9e-324, not 5e-324."""
    two = f"{value:.1e}"
    return two if float(two) == value else repr(value)


def comparable(value: int | float | ExactNumber) -> float | None:
    """A loaded number as the double it compares by, or None if it compares with nothing."""
    if type(value) is float:
        return value
    if type(value) is int:
        if -exact_integer_max <= value <= exact_integer_max:
            return float(value)
        return parse_comparable(str(value))
    return None


def number_text(value: int | float | ExactNumber) -> str | None:
    """The text of a loaded number that is not comparable (an integer has only one), else None."""
    if type(value) is ExactNumber:
        return value.text
    return str(value) if type(value) is int else None


def load_event(text: str | bytes) -> Any:
    """An event's JSON as a tree in which every number that a pattern could tell apart still can be.

    Almost all texts go to orjson. Only a number of 16 digits, or with an exponent of three, may lose something there;
    a text with one is parsed slowly, and such numbers become `ExactNumber`. (What only looks like one, inside a
    string, costs the slow parse and changes nothing.) A key that comes twice in an object counts once, the last.

    A caller whose patterns hold no number (`Index.numbers_matter` is false) may as well use orjson itself.

    Raises:
        ValueError: the text is not JSON (bad UTF-8, depth over 1,024 and lone surrogates included).
    """
    raw = text.encode("utf-8", "strict") if isinstance(text, str) else text
    if not _may_lose(raw):
        return orjson.loads(raw)
    try:
        return json.loads(raw, parse_float=_float, parse_int=_integer, parse_constant=_constant)
    except RecursionError as deep:
        raise ValueError("the event is nested too deeply") from deep


def _may_lose(raw: bytes) -> bool:
    """Plain searches over the text's outline rule almost every event out, at a fraction of the expression's cost."""
    outline = raw.translate(_OUTLINE)
    return any(suspect in outline for suspect in _SUSPECTS) and _MAY_LOSE.search(raw) is not None


def _float(text: str) -> float | ExactNumber:
    value = parse_comparable(text)
    return ExactNumber(text) if value is None else value


def _integer(text: str) -> int | float | ExactNumber:
    return int(text) if len(text) <= _integer_digits_max else _float(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
