"""The whole world at one moment -> what is broken in it. Called by tests and by whoever doubts a data directory.

`audit` names what must never be seen, at no moment and after no crash; `unrest` names what must be over once nobody
asks, nothing fails and time has passed. Both know records, journal, story and deliveries; how they were read, not.
"""

from collections.abc import Callable, Iterable, Sequence

from tocsin.core.audit.commands import commands, commands_told
from tocsin.core.audit.deliveries import deliveries
from tocsin.core.audit.history import health_events, journal, state_changes, told
from tocsin.core.audit.operations import operations, software, steps
from tocsin.core.audit.outside import outbounds, settled
from tocsin.core.audit.records import clusters, machines, node_cursors, nodes
from tocsin.core.audit.rest import unrest
from tocsin.core.audit.world import Note, Owed, World

__all__ = ["Note", "Owed", "World", "audit", "unrest"]

_CHECKS: Sequence[Callable[[World], Iterable[Note]]] = (
    clusters,
    nodes,
    node_cursors,
    machines,
    operations,
    software,
    steps,
    journal,
    state_changes,
    health_events,
    told,
    deliveries,
    outbounds,
    settled,
    commands,
    commands_told,
)


def audit(world: World) -> list[Note]:
    """What is broken; nothing in a sound world, whenever one looks."""
    return [note for check in _CHECKS for note in check(world)]
