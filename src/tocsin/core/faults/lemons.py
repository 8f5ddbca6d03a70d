"""Lemons: machines that are taken out again and again. What befell one within four weeks, in points.

The signals are those that Meta found to tell lemon nodes (facts/health.md §4.1), as far as they can be known here.
heal.py asks before it mends, outlook.py tells. A hundred faults at once are one: history.py counts incidents.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tocsin.core.faults.history import HISTORY_S
from tocsin.core.faults.policy import HealthPolicy
from tocsin.model.health import Mark, MarkKind

# What a mark counts. A machine that dies takes jobs with it, and a repair that did not last is the surest sign.
POINTS = {MarkKind.SEEN: 0, MarkKind.XID: 1, MarkKind.OUT: 1, MarkKind.LOST: 2, MarkKind.AGAIN: 2}
WORDS = {
    MarkKind.XID: "driver errors",
    MarkKind.OUT: "taken out",
    MarkKind.LOST: "lost",
    MarkKind.AGAIN: "repairs that did not last",
}
WEEKS = int(HISTORY_S // (7 * 86_400))


class Score(Struct, frozen=True, kw_only=True):
    """`limit`: from so many points on it is a lemon; 0: nothing is one. `counts` are those of its marks, by kind."""

    points: int
    limit: int
    counts: dict[MarkKind, int]
    since_ms: int = 0

    @property
    def lemon(self) -> bool:
        return 0 < self.limit <= self.points

    @property
    def why(self) -> str:
        """In words, what makes it one; "" when it is none."""
        told = ", ".join(f"{words}: {self.counts[kind]}" for kind, words in WORDS.items() if kind in self.counts)
        return f"this machine is a lemon: {self.points} points within {WEEKS} weeks ({told})" if self.lemon else ""


def score(history: Sequence[Mark], policy: HealthPolicy, now_ms: int) -> Score:
    """By what befell the machine within the time that is looked back."""
    since_ms = now_ms - HISTORY_S * 1000
    recent = [one for one in history if one.at_ms > since_ms and POINTS[one.kind]]
    counts = Counter(one.kind for one in recent)
    points = sum(POINTS[kind] * count for kind, count in counts.items())
    return Score(
        points=points,
        limit=policy.lemon_points,
        counts=dict(counts),
        since_ms=min((one.at_ms for one in recent), default=0),
    )
