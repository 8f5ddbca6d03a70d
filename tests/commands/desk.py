"""Run Command assembled for tests, over whatever store, clock, nodes and links they have."""

import itertools
from pathlib import Path

from tocsin.backends.folders import BucketFolders
from tocsin.ports import Clock, NodeLinks, Nodes, Store
from tocsin.services.commands import CommandLimits, Commands, Documents, Drafting, Hearing, Output, Telling
from tocsin.services.extensions import Extensions


def commands_over(
    store: Store, clock: Clock, nodes: Nodes, links: NodeLinks, limits: CommandLimits | None = None
) -> Commands:
    """Without topics to tell and buckets to write to."""
    numbers, buckets, telling = itertools.count(1), BucketFolders(Path("/nowhere")), Telling(nodes, None)
    drafting = Drafting(
        store=store,
        nodes=nodes,
        documents=Documents(store),
        buckets=buckets,
        new_id=lambda now_ms: f"{next(numbers):08d}-0000-7000-8000-{now_ms:012d}",
    )
    return Commands(
        store=store,
        clock=clock,
        nodes=nodes,
        links=links,
        drafting=drafting,
        telling=telling,
        hearing=Hearing(store, clock, nodes, telling, Output(store, clock, buckets)),
        limits=limits,
    )


def extensions_over(store: Store, clock: Clock, nodes: Nodes, links: NodeLinks, commands: Commands) -> Extensions:
    return Extensions(store, nodes, commands, links, clock, health_s=60.0)
