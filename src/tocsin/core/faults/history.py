"""What befell a machine, remembered for weeks: rules that ask for repeats count in it, and the lemon score (lemons.py).

core/reports notes what agents tell, the planner what becomes of the node. Bounded, and old marks go with each new one.
"""

from collections.abc import Sequence

from tocsin.model.health import Mark

# As long as Meta looks back for lemon nodes (facts/health.md §4.1).
HISTORY_S = 28 * 86_400.0
# Marks of one machine. The oldest are forgotten first.
HISTORY_MAX = 64
# Of the same kind, on the same place of the same part: one error that comes all the time must not crowd out the others.
OF_ONE_MAX = 8
# Within this it is the same incident, told by several lines: agents repeat what goes on every 30 s.
INCIDENT_S = 60.0


def noted(history: Sequence[Mark], mark: Mark) -> tuple[Mark, ...]:
    """The history with the mark in it, unless it is of an incident that is there already."""
    kept = [one for one in history if one.at_ms > mark.at_ms - HISTORY_S * 1000]
    same = [one for one in kept if _key(one) == _key(mark)]
    if any(abs(mark.at_ms - one.at_ms) < INCIDENT_S * 1000 for one in same):
        return tuple(kept)
    if len(same) >= OF_ONE_MAX:
        kept.remove(same[0])
    return (*kept, mark)[-HISTORY_MAX:]


def times(history: Sequence[Mark], mark: Mark, within_s: float) -> int:
    """How often it was so within this time before the mark, itself counted."""
    since_ms = mark.at_ms - within_s * 1000
    return sum(_key(one) == _key(mark) and since_ms <= one.at_ms <= mark.at_ms for one in history)


def _key(mark: Mark) -> tuple[str, ...]:
    return (mark.kind, mark.fault, mark.subject, mark.where)
