"""ScheduleExpression -> Schedule. The grammar of `rate(…)` and `cron(…)`, and AWS's one sentence for everything else.

Called by the events door for every PutRule with a schedule, and by the bus when it takes rules up.
"""

import re
from typing import Final, TypeAlias

from msgspec import Struct

from tocsin.model.errors import Validation

from .days import Days, read_days
from .fields import HOUR, MINUTE, MONTH, YEAR, Refused, numbers

_RATE: Final = re.compile(r"rate\(([0-9]{1,15})[ \t]+(minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\((.*)\)")
_BLANK: Final = re.compile(r"[ \t]+")
_MINUTES: Final = {"minute": 1, "hour": 60, "day": 24 * 60}
_FIELDS: Final = 6


class Rate(Struct, frozen=True):
    """Every so many minutes, counted from the rule's creation."""

    minutes: int


class Cron(Struct, frozen=True, kw_only=True):
    """The minutes whose parts are all named here. `years` may be empty: such a schedule never fires."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: Days
    months: tuple[int, ...]
    years: tuple[int, ...]


Schedule: TypeAlias = Rate | Cron


def parse(expression: str) -> Schedule:
    """The schedule an expression means. Raises Validation, in the words recorded on AWS (facts/peers.md §3.2)."""
    try:
        if rate := _RATE.fullmatch(expression):
            return _rate(int(rate[1]), rate[2], plural=bool(rate[3]))
        if cron := _CRON.fullmatch(expression):
            return _cron(_BLANK.split(cron[1]))
    except Refused:
        pass
    raise Validation("Parameter ScheduleExpression is not valid.")


def _rate(count: int, unit: str, *, plural: bool) -> Rate:
    """One of a unit is singular, more are plural, none is nothing."""
    if count < 1 or plural is (count == 1):
        raise Refused
    return Rate(count * _MINUTES[unit])


def _cron(fields: list[str]) -> Cron:
    if len(fields) != _FIELDS or not all(fields):
        raise Refused
    minute, hour, day_of_month, month, day_of_week, year = fields
    return Cron(
        minutes=numbers(minute, MINUTE),
        hours=numbers(hour, HOUR),
        days=read_days(day_of_month, day_of_week),
        months=numbers(month, MONTH),
        years=numbers(year, YEAR),
    )
