"""How long things took: observations counted into buckets, as Prometheus wants them. Kept by who measures, read by
/metrics."""

from bisect import bisect_left

# Seconds. From one turn of the event loop to what somebody would call an outage.
LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    """`counts` holds one number for each bound, and one for all beyond the last."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCIES_S) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(LATENCIES_S, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many were not above it), the last bound being infinite."""
        found, total = list[tuple[str, float]](), 0
        for bound, count in zip((*map(str, LATENCIES_S), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found
