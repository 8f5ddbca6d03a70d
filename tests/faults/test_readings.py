"""Readings and their thresholds: hysteresis on generated on/off sequences, counters, baselines."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.table import CATALOGUE, NOW_MS
from tocsin.core.faults import Fault, Gauge, measure
from tocsin.core.faults.readings import REMIND_MS
from tocsin.model.health import Clearing, Finding, Reading, Severity

LEVEL = Fault(
    name="hot", title="", check="c", above=10, leave=5, times=3, severity=Severity.ERROR, clears=Clearing.SIGN
)
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
        bad = grown if fault.counter else [beyond] * fault.times
        still = [grown[-1]] * (fault.times + 1) if fault.counter else [within] * fault.times
        found = told(fault, bad + still)
        assert found, fault.name
        assert not found[0][1], fault.name
        assert found[-1][1] is (fault.clears is Clearing.SIGN), fault.name


def test_a_finding_says_what_was_read() -> None:
    reading = Reading(check="disk.used_percent", subject="/", value=97, at_ms=NOW_MS, text="/ is 97 % full")
    fault = CATALOGUE.faults["disk-full"]
    _, found = measure(Gauge(run=1), reading, fault)
    assert found == Finding(fault="disk-full", subject="/", at_ms=NOW_MS, text="/ is 97 % full", source="disk")
