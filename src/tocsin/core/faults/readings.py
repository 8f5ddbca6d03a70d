"""Readings -> findings, with hysteresis: a threshold to come in, another to go out, and so many in a row for either.

Pure: the state of each threshold is a Gauge, which the agent keeps on disk. The first reading of a counter is where
counting begins, whatever it says (facts/health.md §1.2: two agents got this wrong).
"""

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.faults.catalogue import Fault
from tocsin.model.health import Clearing, Finding, Reading

# A fault that lasts is said again after this time, so that one cleared by hand while it lasts comes back.
REMIND_MS = 600_000


class Gauge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of one fault type on one part. `run` counts readings in a row against the present state."""

    open: bool = False
    run: int = 0
    value: float | None = None
    at_ms: int = 0
    said_ms: int = 0


def measure(gauge: Gauge, reading: Reading, fault: Fault) -> tuple[Gauge, Finding | None]:
    """Take in a reading. The finding, if there is one to be told: a fault's beginning, reminder or end."""
    value = _value(gauge, reading, fault)
    gauge = replace(gauge, value=reading.value, at_ms=reading.at_ms)
    if value is None:
        return gauge, None
    if fault.clears is not Clearing.SIGN:
        return _struck(gauge, reading, fault, beyond=_beyond(fault, value))
    against = _within(fault, value) if gauge.open else _beyond(fault, value)
    if not against:
        gauge = replace(gauge, run=0)
        due = gauge.open and reading.at_ms - gauge.said_ms >= REMIND_MS
        return _told(gauge, reading, fault, over=False) if due else (gauge, None)
    gauge = replace(gauge, run=gauge.run + 1)
    if gauge.run < fault.times:
        return gauge, None
    return _told(replace(gauge, open=not gauge.open, run=0), reading, fault, over=gauge.open)


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
    grown = reading.value - gauge.value
    if not fault.per_s:
        return grown
    passed_s = (reading.at_ms - gauge.at_ms) / 1000
    return grown / passed_s if passed_s > 0 else None


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
