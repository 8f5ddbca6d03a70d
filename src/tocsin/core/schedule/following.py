"""When a schedule fires next. Steps over whole years, months and days that cannot be, never minute by minute."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from .days import days_of
from .expression import Cron, Rate, Schedule

_MINUTE = timedelta(minutes=1)


def next_after(schedule: Schedule, after: datetime, anchor: datetime) -> datetime | None:
    """The first firing strictly later than `after`, in UTC and on a whole minute; None when there is none any more.

    `anchor` is when the rule was created: a rate counts from the minute it fell in, and fires first one period later.
    Both times must know their zone.
    """
    assert after.tzinfo is not None, "a time without a zone is no moment"
    assert anchor.tzinfo is not None, "a time without a zone is no moment"
    try:
        if isinstance(schedule, Rate):
            return _next_of_rate(schedule, _whole_minute(after), _whole_minute(anchor))
        return _next_of_cron(schedule, _whole_minute(after) + _MINUTE)
    except OverflowError:  # beyond the last date there is
        return None


def _whole_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _next_of_rate(rate: Rate, after: datetime, start: datetime) -> datetime:
    elapsed = (after - start) // _MINUTE
    periods = max(1, elapsed // rate.minutes + 1)
    return start + timedelta(minutes=periods * rate.minutes)


def _next_of_cron(cron: Cron, earliest: datetime) -> datetime | None:
    for day in _days(cron, earliest.date()):
        floor = earliest.time() if day == earliest.date() else time.min
        if (moment := _first_time(cron, floor)) is not None:
            return datetime.combine(day, moment, UTC)
    return None


def _days(cron: Cron, earliest: date) -> Iterator[date]:
    for year in cron.years[bisect_left(cron.years, earliest.year) :]:
        for month in cron.months:
            if (year, month) < (earliest.year, earliest.month):
                continue
            for number in days_of(cron.days, year, month):
                if (day := date(year, month, number)) >= earliest:
                    yield day


def _first_time(cron: Cron, floor: time) -> time | None:
    for hour in cron.hours[bisect_left(cron.hours, floor.hour) :]:
        at = bisect_left(cron.minutes, floor.minute) if hour == floor.hour else 0
        if at < len(cron.minutes):
            return time(hour, cron.minutes[at])
    return None
