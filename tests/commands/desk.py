"""Run Command assembled for tests, over whatever store, clock, nodes and links they have."""

import itertools

from tocsin.ports import Clock, NodeLinks, Nodes, Store
from tocsin.services.commands import CommandLimits, Commands, Documents, Drafting


def commands_over(
    store: Store, clock: Clock, nodes: Nodes, links: NodeLinks, limits: CommandLimits | None = None
) -> Commands:
    numbers = itertools.count(1)
    drafting = Drafting(
        store=store,
        nodes=nodes,
        documents=Documents(store),
        new_id=lambda now_ms: f"{next(numbers):08d}-0000-7000-8000-{now_ms:012d}",
    )
    return Commands(store=store, clock=clock, nodes=nodes, links=links, drafting=drafting, limits=limits)
