"""Deep health checks, as decisions: who is checked on request, what the results amount to, how they are told. Pure."""

from tocsin.core.deep.floors import FLOORS, Floor
from tocsin.core.deep.judge import BASELINE_KEPT_MAX, BASELINE_MIN, FAULTS, Judged, failing, grown, judge
from tocsin.core.deep.peers import PEERS_MAX, RING_MAX, peers_of, ring_of
from tocsin.core.deep.start import finished, start
from tocsin.core.deep.wording import verdict_lines

__all__ = [
    "BASELINE_KEPT_MAX",
    "BASELINE_MIN",
    "FAULTS",
    "FLOORS",
    "PEERS_MAX",
    "RING_MAX",
    "Floor",
    "Judged",
    "failing",
    "finished",
    "grown",
    "judge",
    "peers_of",
    "ring_of",
    "start",
    "verdict_lines",
]
