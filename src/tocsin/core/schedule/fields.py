"""One field of a cron expression -> the numbers it stands for.

`expression.py` calls `numbers` for the plain fields and `days.py` for its lists. A field is a comma's list of terms:
`*`, a value, a range, each with a step if wanted. Ranges may run over the end of the field, as in AWS's own `20-2`.
"""

import re
from typing import Final

from msgspec import Struct

_TERM: Final = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,9}))?", re.ASCII)
_MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class Refused(Exception):
    """A field, or an expression, that is none. `parse` answers it with AWS's one sentence for all of them."""


class Field(Struct, frozen=True, kw_only=True):
    """What a field may hold: numbers of at most `digits` digits from `low` to `high`, and names for some of them.

    `wraps`: a range may run over the end. `lenient`: values outside are taken, though they never come.
    """

    low: int
    high: int
    digits: int = 2
    names: tuple[str, ...] = ()
    wraps: bool = True
    lenient: bool = False


MINUTE: Final = Field(low=0, high=59)
HOUR: Final = Field(low=0, high=23)
DAY_OF_MONTH: Final = Field(low=1, high=31)
MONTH: Final = Field(low=1, high=12, names=tuple(_MONTHS))
DAY_OF_WEEK: Final = Field(low=1, high=7, names=tuple(_WEEKDAYS))

YEAR: Final = Field(low=1970, high=2199, digits=4, wraps=False, lenient=True)
"""AWS's documented years. It takes `2500` too (recorded on AWS, 2026-09)."""


def numbers(text: str, field: Field) -> tuple[int, ...]:
    """The numbers a field stands for, in order. Raises Refused."""
    if text == "*":
        return tuple(range(field.low, field.high + 1))
    meant = {number for term in text.split(",") for number in _term(term, field)}
    return tuple(sorted(number for number in meant if field.low <= number <= field.high))


def value(text: str, field: Field) -> int:
    """One value, by number or by name; names do not count case. Raises Refused."""
    name = text.upper()
    if name in field.names:
        return field.names.index(name) + field.low
    if not (text.isascii() and text.isdigit() and len(text) <= field.digits):
        raise Refused
    number = int(text)
    if not (field.low <= number <= field.high or field.lenient):
        raise Refused
    return number


def _term(text: str, field: Field) -> list[int]:
    found = _TERM.fullmatch(text)
    if found is None or (found["all"] and not found["step"]):  # `*` stands alone or has a step
        raise Refused
    step = int(found["step"] or 1)
    if not step:
        raise Refused
    if found["all"]:
        return list(range(field.low, field.high + 1, step))
    first = value(found["first"], field)
    if found["last"]:
        return _range(first, value(found["last"], field), step, field)
    return list(range(first, field.high + 1, step)) if found["step"] else [first]


def _range(first: int, last: int, step: int, field: Field) -> list[int]:
    if first <= last:
        return list(range(first, last + 1, step))
    if not field.wraps:
        raise Refused
    size = field.high - field.low + 1
    return [(number - field.low) % size + field.low for number in range(first, last + size + 1, step)]
