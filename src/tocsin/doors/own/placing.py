"""Which node is meant: an instance id, or a name where only one cluster has a node of that name.

One that leaves has handed its name to its replacement.
"""

from collections.abc import Iterable

from starlette.responses import Response

from tocsin.core.commit import World
from tocsin.doors.own.asking import refuse
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.names import Scope
from tocsin.services.fleet import Fleet


def called(worlds: Iterable[World], name: str) -> list[tuple[World, Node]]:
    """Those of that name. Who leaves only where nobody else has it."""
    named = [
        (world, node)
        for world in worlds
        for node in world.nodes.values()
        if name in (node.name, f"{world.cluster.name}/{node.name}")
    ]
    return [one for one in named if one[1].status is not NodeStatus.SHUTTING_DOWN] or named


def placed(fleet: Fleet, scope: Scope, name: str) -> tuple[World, Node] | Response:
    """The node and its cluster, or the refusal. Names: worker-2, or first/worker-2 with the cluster's."""
    found = fleet.node(name)
    if found and found[0].cluster.scope == scope:
        return found
    named = called(fleet.worlds(scope), name)
    if len(named) == 1:
        return named[0]
    if not named:
        return refuse(f"There is no node {name}: `tocsin status` lists them.", 404)
    ids = ", ".join(f"{world.cluster.name}/{name} ({node.instance_id})" for world, node in named)
    return refuse(f"There are several nodes {name}: say which, {ids}.", 409)
