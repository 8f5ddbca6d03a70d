"""Cron expressions together with what they mean, told by means the code does not use: sets, and days written out.

A field is (text, the numbers it stands for); the two day fields come as one (text, text, whether a date is meant).
"""

from calendar import monthcalendar, monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta

from hypothesis import strategies as st
from msgspec import Struct

NumberField = tuple[str, set[int]]
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()  # noqa: SIM905


class Meaning(Struct, frozen=True):
    text: str
    minutes: set[int]
    hours: set[int]
    months: set[int]
    years: set[int]
    is_meant: Callable[[date], bool]

    def includes(self, moment: datetime) -> bool:
        return moment.minute in self.minutes and moment.hour in self.hours and self.means(moment.date())

    def means(self, day: date) -> bool:
        return day.month in self.months and day.year in self.years and self.is_meant(day)


@st.composite
def terms(draw: st.DrawFn, low: int, high: int, names: list[str], ends: tuple[int, int] | None) -> NumberField:
    """`ends`: where a field begins and stops that is wider than the values drawn here; such a field does not wrap."""

    def written(value: int) -> str:
        name = names[value - low] if names else str(value)
        return draw(st.sampled_from([str(value), name, name.lower()]))

    first, last, step = draw(st.integers(low, high)), draw(st.integers(low, high)), draw(st.integers(1, 9))
    begin, end = ends or (low, high)
    if ends:
        first, last = sorted((first, last))
    walked = [first]
    while walked[-1] != last:
        walked.append(low if walked[-1] == high else walked[-1] + 1)
    match draw(st.sampled_from(["value", "range", "stepped range", "to the end", "star"])):
        case "value":
            return written(first), {first}
        case "range":
            return f"{written(first)}-{written(last)}", set(walked)
        case "stepped range":
            return f"{written(first)}-{written(last)}/{step}", set(walked[::step])
        case "to the end":
            return f"{written(first)}/{step}", {value for value in range(first, end + 1) if (value - first) % step == 0}
    return f"*/{step}", {value for value in range(begin, end + 1) if (value - begin) % step == 0}


def fields(
    low: int, high: int, names: list[str] | None = None, ends: tuple[int, int] | None = None
) -> st.SearchStrategy[NumberField]:
    begin, end = ends or (low, high)
    several = st.lists(terms(low, high, names or [], ends), min_size=1, max_size=3).map(
        lambda chosen: (",".join(text for text, _ in chosen), set[int]().union(*(values for _, values in chosen)))
    )
    return several | st.just(("*", set(range(begin, end + 1))))


def weekday(day: date) -> int:
    """1 is Sunday."""
    return WEEKDAYS.index(day.strftime("%a").upper()) + 1


def dates_of(day: date, wanted: int) -> list[int]:
    """The days of the month that are that day of the week."""
    column = (wanted - 2) % 7
    return [week[column] for week in monthcalendar(day.year, day.month) if week[column]]


def nearest(day: date, number: int) -> int | None:
    """The working day of the month with the least distance, the earlier of two that are as near."""
    last = monthrange(day.year, day.month)[1]
    if not 1 <= number <= last:
        return None
    working = [n for n in range(1, last + 1) if weekday(day.replace(day=n)) not in (1, 7)]
    return min(working, key=lambda n: (abs(n - number), n))


@st.composite
def day_fields(draw: st.DrawFn) -> tuple[str, str, Callable[[date], bool]]:
    number, wanted, nth, before = (draw(st.integers(1, high)) for high in (31, 7, 5, 30))
    name = draw(st.sampled_from([str(wanted), WEEKDAYS[wanted - 1]]))
    listed, dates = draw(fields(1, 31))
    listed_week, weekdays = draw(fields(1, 7, WEEKDAYS))

    def last_of(day: date) -> int:
        return monthrange(day.year, day.month)[1]

    chosen: tuple[str, str, Callable[[date], bool]] = draw(
        st.sampled_from(
            [
                (listed, "?", lambda day: day.day in dates),
                ("?", listed_week, lambda day: weekday(day) in weekdays),
                ("L", "?", lambda day: day.day == last_of(day)),
                (f"L-{before}", "?", lambda day: day.day == last_of(day) - before),
                ("LW", "?", lambda day: day.day == nearest(day, last_of(day))),
                (f"{number}W", "?", lambda day: day.day == nearest(day, number)),
                ("?", "L", lambda day: weekday(day) == 7),
                ("?", f"{name}L", lambda day: day.day == dates_of(day, wanted)[-1]),
                ("?", f"{name}#{nth}", lambda day: dates_of(day, wanted)[nth - 1 : nth] == [day.day]),
            ]
        )
    )
    return chosen


@st.composite
def crons(draw: st.DrawFn) -> Meaning:
    (minute, minutes), (hour, hours) = draw(fields(0, 59)), draw(fields(0, 23))
    (month, months), (year, years) = draw(fields(1, 12, MONTHS)), draw(fields(2020, 2040, ends=(1970, 2199)))
    day_of_month, day_of_week, is_meant = draw(day_fields())
    text = f"cron({minute} {hour} {day_of_month} {month} {day_of_week} {year})"
    return Meaning(text, minutes, hours, months, years, is_meant)


def scan(cron: Meaning, start: datetime, days: int) -> list[datetime]:
    """Every minute of those days, one by one, if the expression means it."""
    meant = [start + timedelta(days=day) for day in range(days) if cron.means((start + timedelta(days=day)).date())]
    minutes = [day + timedelta(minutes=minute) for day in meant for minute in range(24 * 60)]
    return [minute for minute in minutes if minute.hour in cron.hours and minute.minute in cron.minutes]
