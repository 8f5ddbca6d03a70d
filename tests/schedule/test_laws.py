"""What holds of every schedule: it fires later, when its fields say, and misses no minute that they name."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.schedule import Rate, next_after, parse
from tocsin.model.errors import Validation

from .generated import Meaning, crons, scan

moments = st.datetimes(datetime(2019, 6, 1), datetime(2041, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001
rates = st.builds(Rate, st.integers(1, 10_000))
ZERO = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 31
FIRINGS = 500


@settings(max_examples=200, deadline=None)
@given(crons(), moments)
def test_the_next_moment_is_strictly_later_and_satisfies_the_fields(cron: Meaning, after: datetime) -> None:
    following = next_after(parse(cron.text), after, ZERO)

    if following is not None:
        assert following > after
        assert (following.second, following.microsecond, following.tzinfo) == (0, 0, UTC)
        assert cron.includes(following)


@settings(max_examples=40, deadline=None)
@given(crons(), st.dates(datetime(2020, 1, 1).date(), datetime(2040, 11, 1).date()))  # noqa: DTZ001
def test_in_a_month_it_fires_in_just_the_minutes_a_scan_finds(cron: Meaning, first: object) -> None:
    start = datetime.fromisoformat(f"{first}T00:00:00+00:00")
    end = start + timedelta(days=DAYS)
    schedule = parse(cron.text)

    fired = list[datetime]()
    moment = next_after(schedule, start - timedelta(minutes=1), ZERO)
    while moment is not None and moment < end and len(fired) < FIRINGS:
        fired.append(moment)
        moment = next_after(schedule, moment, ZERO)

    assert fired == scan(cron, start, DAYS)[:FIRINGS]


@settings(max_examples=100, deadline=None)
@given(crons(), moments, st.timedeltas(timedelta(0), timedelta(days=800)))
def test_asking_earlier_never_gives_a_later_answer(cron: Meaning, after: datetime, wait: timedelta) -> None:
    schedule = parse(cron.text)
    sooner, later = next_after(schedule, after, ZERO), next_after(schedule, after + wait, ZERO)

    assert later is None or (sooner is not None and sooner <= later)
    if sooner is not None and sooner > after + wait:
        assert later == sooner


@settings(max_examples=200, deadline=None)
@given(rates, moments, moments)
def test_a_rate_fires_at_whole_periods_from_its_anchors_minute(rate: Rate, after: datetime, anchor: datetime) -> None:
    following = next_after(rate, after, anchor)
    start = anchor.replace(second=0, microsecond=0)
    period = timedelta(minutes=rate.minutes)

    assert following is not None
    assert following > after
    assert following >= start + period
    assert (following - start) % period == timedelta(0)
    assert following - period <= after or following == start + period


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ratecron() 0159*,-/?LW#MONJAN"), max_size=30))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    for expression in (text, f"cron({text})", f"rate({text})", f"cron(0 0 ? * {text} *)", f"cron(0 0 {text} * ? *)"):
        with suppress(Validation):
            next_after(parse(expression), ZERO, ZERO)


def test_a_schedule_that_never_fires_is_answered_without_a_scan() -> None:
    """No clock: a scan over every minute of two centuries would not come back in a test's time."""
    schedules = [parse(f"cron({minute} 0 30 2 ? *)") for minute in range(60)]

    assert {next_after(schedule, ZERO, ZERO) for schedule in schedules} == {None}
