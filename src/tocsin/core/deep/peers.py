"""Who reaches for whom in a check, and who sums up with whom: what a node does stays the same in a group of thousands.

core/plan/deep.py asks for each node that is to be checked.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# Nodes that one reaches for, and that reach for it. All pairs of thousands would be a check without end, with results
# that fit no report; who is cut off is seen by these as well.
PEERS_MAX = 32
# Nodes that sum up together: the sum goes round all of them in turn.
RING_MAX = 128


def peers_of(place: int, nodes: Sequence[T]) -> tuple[T, ...]:
    """The others that the node at this place reaches for: all, or so many all around. As many reach for it."""
    others = len(nodes) - 1
    count = min(others, PEERS_MAX)
    return tuple(nodes[(place + 1 + step * others // count) % len(nodes)] for step in range(count))


def ring_of(place: int, nodes: Sequence[T]) -> tuple[T, ...]:
    """Those that the node at this place sums up with, itself among them: all, or parts that are of one size."""
    parts = -(-len(nodes) // RING_MAX)
    part = ((place + 1) * parts - 1) // len(nodes)
    return tuple(nodes[part * len(nodes) // parts : (part + 1) * len(nodes) // parts])
