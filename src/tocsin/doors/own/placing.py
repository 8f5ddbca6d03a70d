"""Which node is meant: an instance id, or a name where only one cluster has a node of that name."""

from starlette.responses import Response

from tocsin.core.commit import World
from tocsin.doors.own.asking import refuse
from tocsin.model.cluster import Node
from tocsin.model.names import Scope
from tocsin.services.fleet import Fleet


def placed(fleet: Fleet, scope: Scope, name: str) -> tuple[World, Node] | Response:
    """The node and its cluster, or the refusal. Names: worker-2, or first/worker-2 with the cluster's."""
    found = fleet.node(name)
    if found and found[0].cluster.scope == scope:
        return found
    named = [
        (world, node)
        for world in fleet.worlds(scope)
        for node in world.nodes.values()
        if name in (node.name, f"{world.cluster.name}/{node.name}")
    ]
    if len(named) == 1:
        return named[0]
    if not named:
        return refuse(f"There is no node {name}: `tocsin status` lists them.", 404)
    ids = ", ".join(f"{world.cluster.name}/{name} ({node.instance_id})" for world, node in named)
    return refuse(f"There are several nodes {name}: say which, {ids}.", 409)
