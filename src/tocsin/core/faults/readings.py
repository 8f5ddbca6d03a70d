"""Readings -> findings, with hysteresis: a threshold to come in, another to go out, so often or so long for either.

Pure: the state of each threshold is a Gauge, which the agent keeps on disk. The first reading of a counter is where
counting begins, whatever it says (facts/health.md §1.2: two agents got this wrong).
"""

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.faults.catalogue import Fault
from tocsin.model.health import Clearing, Finding, Reading

# A fault that lasts is said again after this time, so that one cleared by hand while it lasts comes back.
REMIND_MS = 600_000
# Between two readings no more time counts than this: an agent that was away, or a clock that jumped, saw nothing last.
GAP_S_MAX = 120.0
# A bucket overflows at its threshold and holds so many times that: what ended, ends in time.
BUCKET_HOLDS = 2


class Gauge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of one fault type on one part. `run` counts readings in a row against the present state, and
    `lasted_s` the time since the first of them; `level` is what is in a bucket."""

    open: bool = False
    run: int = 0
    lasted_s: float = 0.0
    level: float = 0.0
    value: float | None = None
    at_ms: int = 0
    said_ms: int = 0


def measure(gauge: Gauge, reading: Reading, fault: Fault) -> tuple[Gauge, Finding | None]:
    """Take in a reading. The finding, if there is one to be told: a fault's beginning, reminder or end."""
    value = _value(gauge, reading, fault)
    passed_s = min(_passed_s(gauge, reading), GAP_S_MAX)
    gauge = replace(gauge, value=reading.value, at_ms=reading.at_ms)
    if value is None:
        return gauge, None
    if fault.drains_per_s:
        gauge = replace(gauge, level=value)
    if fault.clears is not Clearing.SIGN:
        return _struck(gauge, reading, fault, beyond=_beyond(fault, value))
    against = _within(fault, value) if gauge.open else _beyond(fault, value)
    if not against:
        gauge = replace(gauge, run=0, lasted_s=0.0)
        due = gauge.open and not 0 <= reading.at_ms - gauge.said_ms < REMIND_MS  # before: the clock was set back
        return _told(gauge, reading, fault, over=False) if due else (gauge, None)
    gauge = replace(gauge, run=gauge.run + 1, lasted_s=gauge.lasted_s + passed_s if gauge.run else 0.0)
    if gauge.run < fault.times or gauge.lasted_s < (fault.stays_s if gauge.open else fault.lasts_s):
        return gauge, None
    return _told(replace(gauge, open=not gauge.open, run=0, lasted_s=0.0), reading, fault, over=gauge.open)


def _struck(gauge: Gauge, reading: Reading, fault: Fault, *, beyond: bool) -> tuple[Gauge, Finding | None]:
    """A fault that has no way back of its own: each time that it is seen is one finding."""
    gauge = replace(gauge, run=gauge.run + 1 if beyond else 0)
    level_said = gauge.open and not fault.counter
    if not beyond:
        return replace(gauge, open=False), None
    if gauge.run < fault.times or level_said:
        return gauge, None
    return _told(replace(gauge, open=True), reading, fault, over=False)


def _told(gauge: Gauge, reading: Reading, fault: Fault, *, over: bool) -> tuple[Gauge, Finding]:
    finding = Finding(
        fault=fault.name,
        subject=reading.subject,
        at_ms=reading.at_ms,
        text=reading.text or f"{reading.check} is {reading.value:g}",
        source=reading.check.partition(".")[0],
        over=over,
    )
    return replace(gauge, said_ms=reading.at_ms), finding


def _value(gauge: Gauge, reading: Reading, fault: Fault) -> float | None:
    """What is held against the threshold; None where a counter begins, or begins anew."""
    if not fault.counter:
        return reading.value
    if gauge.value is None or reading.value < gauge.value:
        return None
    grown, passed_s = reading.value - gauge.value, _passed_s(gauge, reading)
    if fault.drains_per_s:
        level = max(0.0, gauge.level - fault.drains_per_s * passed_s) + grown
        return min(level, BUCKET_HOLDS * (fault.above or 0.0))
    if not fault.per_s:
        return grown
    return grown / passed_s if passed_s > 0 else None


def _passed_s(gauge: Gauge, reading: Reading) -> float:
    """Since the reading before; none where a clock was set back."""
    return max(0.0, (reading.at_ms - gauge.at_ms) / 1000) if gauge.at_ms else 0.0


def _beyond(fault: Fault, value: float) -> bool:
    high = fault.above is not None and value > fault.above
    low = fault.below is not None and value < fault.below
    return high or low


def _within(fault: Fault, value: float) -> bool:
    """Whether the value is back where the fault ends: at `leave`, or where it began."""
    if fault.above is not None:
        return value <= (fault.above if fault.leave is None else fault.leave)
    if fault.below is not None:
        return value >= (fault.below if fault.leave is None else fault.leave)
    return True
