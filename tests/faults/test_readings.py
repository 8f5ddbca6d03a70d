"""Readings and their thresholds: hysteresis on generated on/off sequences, counters, baselines."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.table import CATALOGUE, NOW_MS
from tocsin.core.faults import Fault, Gauge, measure
from tocsin.core.faults.readings import BUCKET_HOLDS, GAP_S_MAX, REMIND_MS
from tocsin.model.health import Clearing, Finding, Reading, Severity

LEVEL = Fault(
    name="hot", title="", check="c", above=10, leave=5, times=3, severity=Severity.ERROR, clears=Clearing.SIGN
)
LASTING = Fault(name="down", title="", check="c", above=0, lasts_s=240, stays_s=600, clears=Clearing.SIGN)
BUCKET = Fault(name="many", title="", check="c", above=100, leave=0, counter=True, drains_per_s=1, clears=Clearing.SIGN)
COUNTER = Fault(name="lost", title="", check="c", above=0, counter=True, clears=Clearing.QUIET, quiet_s=60)
RATE = Fault(name="fast", title="", check="c", above=2, counter=True, per_s=True, times=2, clears=Clearing.SIGN)


def told(fault: Fault, values: Sequence[float], every_ms: int = 1000) -> list[tuple[int, bool]]:
    """(number of the reading, whether it is an end) of each finding."""
    gauge, found = Gauge(), []
    for number, value in enumerate(values):
        reading = Reading(check="c", subject="s", value=value, at_ms=NOW_MS + number * every_ms)
        gauge, finding = measure(gauge, reading, fault)
        if finding:
            found.append((number, finding.over))
    return found


def test_a_fault_begins_after_so_many_readings_in_a_row_and_ends_so_too() -> None:
    assert told(LEVEL, [11, 11, 11, 11, 5, 5, 5, 5]) == [(2, False), (6, True)]
    assert told(LEVEL, [11, 11, 0, 11, 11, 0]) == []
    assert told(LEVEL, [11, 11, 11, 0, 0, 11, 0, 0, 0]) == [(2, False), (8, True)]


def test_a_fault_that_lasts_is_said_again_also_when_the_clock_was_set_back() -> None:
    gauge = Gauge()
    for value in (11, 11, 11):
        gauge, _ = measure(gauge, Reading(check="c", subject="s", value=value, at_ms=NOW_MS), LEVEL)
    for at_ms, said in ((NOW_MS - 1000, True), (NOW_MS, False), (NOW_MS - 2 * REMIND_MS, True)):
        gauge, finding = measure(gauge, Reading(check="c", subject="s", value=11, at_ms=at_ms), LEVEL)
        assert (finding is not None) is said


def test_between_the_thresholds_nothing_changes() -> None:
    assert told(LEVEL, [7] * 10) == []
    assert told(LEVEL, [11] * 3 + [7] * 10) == [(2, False)]


@given(st.lists(st.sampled_from([0.0, 5.0, 7.0, 10.0, 11.0, 20.0]), max_size=60))
def test_beginnings_and_ends_take_turns_and_each_was_earned(values: list[float]) -> None:
    found = told(LEVEL, values)
    assert [over for _, over in found] == [number % 2 == 1 for number in range(len(found))]
    for number, over in found:
        window = values[number - LEVEL.times + 1 : number + 1]
        assert all(value <= 5 for value in window) if over else all(value > 10 for value in window)


@given(st.lists(st.sampled_from([0.0, 7.0, 11.0]), max_size=60), st.integers(0, 60))
def test_a_restart_in_between_changes_nothing(values: list[float], at: int) -> None:
    """The gauge is all the state there is: it goes through its JSON and on."""
    import msgspec

    whole, gauge, found = told(LEVEL, values), Gauge(), []
    for number, value in enumerate(values):
        if number == at:
            gauge = msgspec.json.decode(msgspec.json.encode(gauge), type=Gauge)
        reading = Reading(check="c", subject="s", value=value, at_ms=NOW_MS + number * 1000)
        gauge, finding = measure(gauge, reading, LEVEL)
        if finding:
            found.append((number, finding.over))
    assert found == whole


def test_a_fault_may_have_to_last_before_it_begins_and_to_stay_away_before_it_ends() -> None:
    down, up = [1.0] * 25, [0.0] * 61  # ten seconds apart: 240 s, and 600 s
    assert told(LASTING, [0, *down[1:]], every_ms=10_000) == []
    assert told(LASTING, [0, *down, *up[1:]], every_ms=10_000) == [(25, False)]
    assert told(LASTING, [0, *down, *up], every_ms=10_000) == [(25, False), (86, True)]
    flapping = [0, *down, *up[:30], 1.0, *up]
    assert told(LASTING, flapping, every_ms=10_000) == [(25, False), (len(flapping) - 1, True)]


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), max_size=40))
def test_nothing_begins_or_ends_before_its_time(spans: list[tuple[int, bool]]) -> None:
    """Spans of so many readings, ten seconds apart, bad or well."""
    values = [float(bad) for length, bad in spans for _ in range(min(length, 100))]
    was_over = True
    for number, over in told(LASTING, values, every_ms=10_000):
        if over == was_over:
            continue  # it is only said again
        was_over = over
        since = number - (60 if over else 24)
        assert since >= 0
        assert set(values[since : number + 1]) == {0.0 if over else 1.0}


def test_a_clock_that_jumps_makes_nothing_last() -> None:
    gauge, found = Gauge(), None
    for at_ms in (0, 10_000, 86_400_000, 5_000, 15_000):  # a day ahead, and back again
        gauge, found = measure(gauge, Reading(check="c", subject="s", value=1, at_ms=NOW_MS + at_ms), LASTING)
        assert found is None
    assert gauge.lasted_s == 10 + GAP_S_MAX + 10


def test_a_bucket_overflows_by_many_at_once_or_by_a_few_for_long_and_runs_dry() -> None:
    assert told(BUCKET, [0, 100]) == []
    assert told(BUCKET, [0, 101]) == [(1, False)]
    assert told(BUCKET, [10 * number for number in range(100)], every_ms=10_000) == []  # one a second
    twice = [20.0 * number for number in range(13)]
    assert told(BUCKET, twice, every_ms=10_000) == [(10, False)]
    assert told(BUCKET, [0, 1e6, *[1e6] * 21], every_ms=10_000) == [(1, False), (21, True)]


@given(st.lists(st.integers(0, 60), max_size=60))
def test_a_bucket_never_overflows_below_its_rate(grown: list[int]) -> None:
    """So much at once and so much a second may come, whenever it comes."""
    values = [float(sum(grown[:number])) for number in range(len(grown) + 1)]
    for number, over in told(BUCKET, values, every_ms=10_000):
        if not over:
            most = max(values[number] - values[at] - 10 * (number - at - 1) for at in range(number))
            assert most > 100
            break


def test_a_fault_that_lasts_is_said_again_after_a_while() -> None:
    found = told(LEVEL, [11] * 10, every_ms=REMIND_MS // 4)
    assert found == [(2, False), (6, False)]


@given(st.integers(0, 1 << 40))
def test_the_first_reading_of_a_counter_is_where_counting_begins(first: int) -> None:
    assert told(COUNTER, [first, first]) == []
    assert told(COUNTER, [first, first + 1]) == [(1, False)]


def test_a_counter_that_was_reset_begins_anew() -> None:
    assert told(COUNTER, [100, 3, 3]) == []
    assert told(COUNTER, [100, 3, 4]) == [(2, False)]


def test_each_growth_of_a_counter_without_an_end_of_its_own_is_a_finding() -> None:
    assert told(COUNTER, [0, 1, 1, 2, 3]) == [(1, False), (3, False), (4, False)]


def test_a_rate_is_of_the_time_that_passed() -> None:
    assert told(RATE, [0, 30, 60], every_ms=10_000) == [(2, False)]
    assert told(RATE, [0, 20, 40], every_ms=10_000) == []


def test_low_readings_are_faults_where_the_table_says_so() -> None:
    margin = CATALOGUE.faults["gpu-temperature"]
    assert told(margin, [3, -1, -1, -1, 2, 2, 2, 5, 5, 5]) == [(3, False), (9, True)]


def test_every_reading_of_the_table_can_begin_and_end() -> None:
    """Whatever the thresholds: far beyond it begins, far within it ends, where it has an end of its own."""
    for fault in (one for faults in CATALOGUE.by_check.values() for one in faults):
        beyond, within = (1e9, -1e9) if fault.above is not None else (-1e9, 1e9)
        grown = [number * 1e9 for number in range(fault.times + 2)]
        bad = grown if fault.counter else [beyond] * (fault.times + int(fault.lasts_s / 100) + 1)
        drained = BUCKET_HOLDS * (fault.above or 0) / fault.drains_per_s if fault.drains_per_s else 0
        enough = fault.times + int(max(fault.stays_s, drained) / 100) + 1
        still = [grown[-1] if fault.counter else within] * enough
        found = told(fault, bad + still, every_ms=100_000)
        assert found, fault.name
        assert not found[0][1], fault.name
        assert found[-1][1] is (fault.clears is Clearing.SIGN), fault.name


def test_a_finding_says_what_was_read() -> None:
    reading = Reading(check="disk.used_percent", subject="/", value=97, at_ms=NOW_MS, text="/ is 97 % full")
    fault = CATALOGUE.faults["disk-full"]
    _, found = measure(Gauge(run=1), reading, fault)
    assert found == Finding(fault="disk-full", subject="/", at_ms=NOW_MS, text="/ is 97 % full", source="disk")
