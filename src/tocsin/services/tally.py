"""What the router counts by rule and target, under the names by which CloudWatch counts it. /metrics reads it.

Bounded: of what comes beyond the limit only the sum is known. Counted once a batch, so that it costs next to nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tocsin.core.histogram import Histogram
from tocsin.model.delivery import Delivery, Refused, by_target
from tocsin.model.names import API_DESTINATION, Scope, target_kind
from tocsin.model.rule import Rule

# Rules, and rules with a target, that are counted by themselves: some 5 MB here, and as many lines of /metrics.
PLACES_COUNTED_MAX = 10_000

# Whose: scope, bus, rule, and a target's id, or none where it is about the rule.
Place = tuple[Scope, str, str, str]
OTHERS: Place = (Scope("", ""), "", "", "")

# Deliveries that came to an end, and how long they took together.
ENDED, ENDED_MS = "Ended", "EndedMilliseconds"


class Tally:
    def __init__(self) -> None:
        self.counts: dict[Place, Counter[str]] = {}
        self.latency_s = Histogram()

    def matched(self, scope: Scope, bus: str, keys: Iterable[str]) -> None:
        """`keys` are those of rules, one for each event that it matched."""
        for key, count in Counter(keys).items():
            name = key.rstrip("\0").removeprefix(f"{bus}/")  # a schedule's own pattern is told apart by a NUL
            self._of((scope, bus, name, ""))["MatchedEvents"] += count

    def made(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        """All that were handed to their targets, whatever came of it."""
        for some in by_target(deliveries):
            counts = self._of(place_of(some[0].rule, some[0].target.id))
            counts["Invocations"] += len(some)
            if target_kind(some[0].target.arn) != API_DESTINATION:  # those end when the outbox says so
                counts[ENDED] += len(some)
                counts[ENDED_MS] += sum(max(0, now_ms - one.event.at_ms) for one in some)
        for at_ms, count in Counter(one.event.at_ms for one in deliveries).items():
            self.latency_s.observe(max(0, now_ms - at_ms) / 1000, count)

    def refused(self, some: Sequence[Refused], buried: int) -> None:
        """Deliveries to one target that came to nothing, of which so many went to its dead-letter queue."""
        counts = self._of(place_of(some[0].delivery.rule, some[0].delivery.target.id))
        counts["FailedInvocations"] += len(some)
        counts["DeadLetterInvocations"] += buried
        counts["InvocationsFailedToBeSentToDlq"] += len(some) - buried

    def _of(self, place: Place) -> Counter[str]:
        counts = self.counts.get(place)
        if counts is None:
            known = place if len(self.counts) < PLACES_COUNTED_MAX else OTHERS
            counts = self.counts.setdefault(known, Counter())
        return counts


def place_of(rule: Rule, target_id: str) -> Place:
    return rule.scope, rule.bus, rule.name, target_id
