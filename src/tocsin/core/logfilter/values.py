"""Values of JSON patterns and what they compare to: numbers, texts with * at their ends, regular expressions."""

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tocsin.core.logfilter.regex import compile_regex
from tocsin.core.logfilter.scan import invalid, invalid_term, quoted, regex_between

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
# AWS: "strings that consist entirely of alphanumeric characters do not need to be quoted"; its own examples leave
# dots, stars and hyphens bare as well (123.123.*, kms.amazonaws.com).
BARE = re.compile(r"[\w.*+-]+")

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Value(Struct, frozen=True):
    """The right side of a comparison. `number` is set for a bare number, `regex` for a %...%."""

    text: str
    number: int | float | None = None
    regex: Callable[[str], bool] | None = None


def parse_value(text: str, at: int) -> tuple[Value, int]:
    """The value that begins at `at`, and where it ends. Raises InvalidParameter."""
    mark = text[at : at + 1]
    if mark == '"':
        found, end = quoted(text, at)
        return Value(found), end
    if mark == "%":
        source, end = regex_between(text, at)
        return Value(source, regex=compile_regex(source)), end
    bare = BARE.match(text, at)
    if bare is None:
        if not mark:
            raise invalid("a comparison has no value")
        raise invalid_term(mark)
    return Value(bare[0], number=_number(bare[0])), bare.end()


def _number(text: str) -> int | float | None:
    if not NUMBER.fullmatch(text) or not text.isascii():
        return None
    number = float(text) if re.search(r"[.eE]", text) else int(text)
    return number if math.isfinite(number) else None


def comparison(sign: str, value: Value) -> Callable[[Any], bool]:
    """A test of one value found in a message. Only strings and numbers compare (AWS: the selector "must point to a
    value node (string or number)")."""
    if sign in ORDERS:
        order, bound = ORDERS[sign], value.number
        if bound is None:
            raise invalid(f"{sign} compares numbers")
        return lambda found: _is_number(found) and order(found, bound)
    equal = _equality(value)
    if sign == "=":
        return lambda found: _is_scalar(found) and equal(found)
    return lambda found: _is_scalar(found) and not equal(found)


def _equality(value: Value) -> Callable[[Any], bool]:
    if (regex := value.regex) is not None:
        return lambda found: regex(str(found))
    fits = _wildcards(value.text)
    if value.number is None:
        return lambda found: fits(str(found))
    return lambda found: bool(found == value.number) if _is_number(found) else fits(found)


def _wildcards(text: str) -> Callable[[str], bool]:
    """A * means any text at the ends only: AWS's `Ev*ent` is those six characters."""
    if text == "*":
        return lambda found: True
    front, back = text.startswith("*"), text.endswith("*")
    if front and back:
        return lambda found: text[1:-1] in found
    if front:
        return lambda found: found.endswith(text[1:])
    if back:
        return lambda found: found.startswith(text[:-1])
    return lambda found: found == text


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _is_scalar(found: Any) -> bool:
    return isinstance(found, str) or _is_number(found)
