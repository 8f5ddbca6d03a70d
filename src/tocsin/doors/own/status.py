"""The health probes, and the state of everything at a glance."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tocsin import __version__
from tocsin.core.commit import World
from tocsin.doors.own.asking import INT64_LARGEST, answer, number, scope_of
from tocsin.doors.sagemaker.describe import cluster_members, node_summary
from tocsin.model.cluster import Node
from tocsin.model.errors import StoreUnavailable
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.fleet import Fleet


class Status:
    def __init__(self, fleet: Fleet, bus: Bus, store: Store) -> None:
        self._fleet = fleet
        self._bus = bus
        self._store = store

    async def alive(self, _request: Request) -> Response:
        return answer({"status": "ok", "version": __version__})

    async def ready(self, _request: Request) -> Response:
        """Ready means that the writer commits."""
        try:
            await self._store.ping()
        except StoreUnavailable as error:
            return answer({"status": "unavailable", "reason": str(error)}, 503)
        return answer({"status": "ok"})

    async def status(self, request: Request) -> Response:
        """All clusters, or the one named by `cluster`. With `nodes_max`, those of more nodes show no calm ones."""
        scope = scope_of(request)
        named = request.query_params.get("cluster", "")
        nodes_max = number(request, "nodes_max", INT64_LARGEST)
        worlds = [world for world in self._fleet.worlds(scope) if named in ("", world.cluster.name, world.cluster.id)]
        clusters = [_cluster(world, nodes_max) for world in worlds]
        return answer({"account": scope.account, "region": scope.region, "clusters": clusters, "bus": self._bus.counts})


def _cluster(world: World, nodes_max: int) -> dict[str, Any]:
    members = cluster_members(world.cluster, world.nodes.values())
    shown = world.nodes.values() if len(world.nodes) <= nodes_max else world.nodes.restless()[:nodes_max]
    nodes = [
        node_summary(node)
        | {"Health": node.health, "Name": node.name, "Script": node.script, "Replaces": node.replaces}
        | _attached(node)
        for node in shown
    ]
    return members | {"Nodes": nodes, "NodesLeftOut": len(world.nodes) - len(nodes), "Waiting": world.waiting}


def _attached(node: Node) -> dict[str, Any]:
    """What clients attached, which no operation of AWS's tells."""
    if not node.volumes and not node.interfaces:
        return {}
    volumes = [{"VolumeId": one.id, "DeviceName": one.device, "AttachTime": one.attached_at} for one in node.volumes]
    interfaces = [
        {"NetworkInterfaceId": one.id, "AttachmentId": one.attachment_id, "AttachTime": one.attached_at}
        for one in node.interfaces
    ]
    return {"Volumes": volumes, "NetworkInterfaces": interfaces}
