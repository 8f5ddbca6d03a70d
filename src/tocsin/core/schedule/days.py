"""The two day fields of a cron expression -> which days of a month they mean.

One of the fields is `?`, so a schedule has one rule for its days: a list, or one of the forms with L, W and #.
`expression.py` reads the rule, `following.py` asks it month by month. Days of the week count from 1 = Sunday.

Source of the behaviour: AWS's cron reference; Quartz's cron tutorial for what AWS leaves open (docs/schedules.md).
"""

import re
from calendar import monthrange
from datetime import date
from typing import Final, TypeAlias

from msgspec import Struct

from .fields import DAY_OF_MONTH, DAY_OF_WEEK, Refused, numbers, value

_FROM_LAST: Final = re.compile(r"L(?:-([0-9]{1,2}))?(W?)")
_NEAREST: Final = re.compile(r"([0-9]{1,2})W")
_LAST: Final = re.compile(r"(\w+)L", re.ASCII)
_NTH: Final = re.compile(r"(\w+)#([1-5])", re.ASCII)
_SATURDAY: Final = 7


class Dates(Struct, frozen=True):
    """Days by their number; months that have no such day are passed over."""

    numbers: tuple[int, ...]


class FromLast(Struct, frozen=True):
    """`L`, `L-3`, `LW`: so many days before the month's last, or the weekday nearest to that."""

    before: int
    weekday: bool


class NearestWeekday(Struct, frozen=True):
    """`15W`: the weekday nearest to the day, in the same month."""

    day: int


class Weekdays(Struct, frozen=True):
    """Days of every week."""

    numbers: tuple[int, ...]


class LastWeekday(Struct, frozen=True):
    """`6L`: the month's last Friday."""

    weekday: int


class NthWeekday(Struct, frozen=True):
    """`6#3`: the month's third Friday. Months without a fifth are passed over."""

    weekday: int
    nth: int


Days: TypeAlias = Dates | FromLast | NearestWeekday | Weekdays | LastWeekday | NthWeekday


def read_days(day_of_month: str, day_of_week: str) -> Days:
    """The rule of the two fields. Raises Refused, also when not exactly one of them is `?`."""
    if (day_of_month == "?") is (day_of_week == "?"):
        raise Refused
    return _of_week(day_of_week) if day_of_month == "?" else _of_month(day_of_month)


def _of_month(text: str) -> Days:
    upper = text.upper()
    if found := _FROM_LAST.fullmatch(upper):
        before = int(found[1] or 0)
        if before >= DAY_OF_MONTH.high:
            raise Refused
        return FromLast(before, bool(found[2]))
    if found := _NEAREST.fullmatch(upper):
        return NearestWeekday(value(found[1], DAY_OF_MONTH))
    return Dates(numbers(text, DAY_OF_MONTH))


def _of_week(text: str) -> Days:
    upper = text.upper()
    if upper == "L":  # the last day of the week
        return Weekdays((_SATURDAY,))
    if found := _NTH.fullmatch(upper):
        return NthWeekday(value(found[1], DAY_OF_WEEK), int(found[2]))
    if found := _LAST.fullmatch(upper):
        return LastWeekday(value(found[1], DAY_OF_WEEK))
    return Weekdays(numbers(text, DAY_OF_WEEK))


def days_of(days: Days, year: int, month: int) -> list[int]:
    """The days of that month that the rule means, in order."""
    last = monthrange(year, month)[1]
    first_weekday = _weekday(year, month, 1)
    match days:
        case Dates(listed):
            return [day for day in listed if day <= last]
        case FromLast(before, weekday):
            day = last - before
            return [] if day < 1 else [_nearest(year, month, day) if weekday else day]
        case NearestWeekday(day):
            return [_nearest(year, month, day)] if day <= last else []
        case Weekdays(wanted):
            return [day for day in range(1, last + 1) if (first_weekday + day - 2) % 7 + 1 in wanted]
        case LastWeekday(weekday):
            return [last - (_weekday(year, month, last) - weekday) % 7]
        case NthWeekday(weekday, nth):
            day = 1 + (weekday - first_weekday) % 7 + 7 * (nth - 1)
            return [day] if day <= last else []


def _weekday(year: int, month: int, day: int) -> int:
    return date(year, month, day).isoweekday() % 7 + 1


def _nearest(year: int, month: int, day: int) -> int:
    """Saturdays give way to Friday, Sundays to Monday, and neither leaves the month."""
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < monthrange(year, month)[1] else day - 2
    return day
