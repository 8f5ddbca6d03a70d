"""Volumes and network interfaces on nodes: AttachClusterNodeVolume, DetachClusterNodeVolume,
AttachClusterNodeNetworkInterface. What is attached is kept with its node; no machine here can act on it."""

import asyncio
from collections.abc import Callable
from typing import Any

from tocsin.core.attachments import (
    demand_eks,
    demand_fit,
    demand_free,
    volume_of,
    with_interface,
    with_volume,
    without_volume,
)
from tocsin.core.commit import World
from tocsin.doors.door import Context, Handler
from tocsin.model.attachment import Volume
from tocsin.model.cluster import Node
from tocsin.model.errors import ResourceNotFound
from tocsin.model.names import Scope
from tocsin.services.fleet import Fleet

# The tail of an attachment's id, as EC2 draws it: 17 hexadecimal digits.
_ID_DIGITS = 17
UNHEEDED = "kept but not acted on: the machines here have no EC2 to take it from"


def attachment_operations(fleet: Fleet, chance: Callable[[int], bytes]) -> dict[str, Handler]:
    """`chance` gives so many random bytes."""
    desk = _Attachments(fleet, chance)
    return {
        "AttachClusterNodeVolume": desk.attach_volume,
        "DetachClusterNodeVolume": desk.detach_volume,
        "AttachClusterNodeNetworkInterface": desk.attach_interface,
    }


class _Attachments:
    def __init__(self, fleet: Fleet, chance: Callable[[int], bytes]) -> None:
        self._fleet = fleet
        self._chance = chance
        self._attaching = asyncio.Lock()  # whether a thing is free is asked, and it is taken, in one

    async def attach_volume(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The operation is begun when it is answered, as on AWS: Status is attaching."""
        volume_id = request["VolumeId"]
        world, node = self._found(context.scope, request["ClusterArn"], request["NodeId"])
        demand_eks(world.cluster)
        demand_fit(world.cluster, node)
        async with self._attaching:
            demand_free(volume_id, self._nodes(context.scope))
            what = f"AttachClusterNodeVolume {volume_id}"
            _, node = await self._fleet.amend(
                node.instance_id, lambda one: with_volume(one, volume_id, context.now), what, UNHEEDED
            )
        return _answer(world, node, volume_of(node, volume_id), "attaching")

    async def detach_volume(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        volume_id = request["VolumeId"]
        world, node = self._found(context.scope, request["ClusterArn"], request["NodeId"])
        demand_eks(world.cluster)
        volume = volume_of(node, volume_id)
        what = f"DetachClusterNodeVolume {volume_id}"
        await self._fleet.amend(node.instance_id, lambda one: without_volume(one, volume_id), what)
        return _answer(world, node, volume, "detaching")

    async def attach_interface(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        interface_id = request["NetworkInterfaceId"]
        attachment_id = f"eni-attach-{self._chance(_ID_DIGITS).hex()[:_ID_DIGITS]}"
        world, node = self._found(context.scope, request["ClusterName"], request["NodeId"])
        demand_fit(world.cluster, node)
        async with self._attaching:
            demand_free(interface_id, self._nodes(context.scope))
            await self._fleet.amend(
                node.instance_id,
                lambda one: with_interface(one, interface_id, attachment_id, context.now),
                f"AttachClusterNodeNetworkInterface {interface_id}",
                UNHEEDED,
            )
        return {
            "ClusterArn": world.cluster.arn,
            "NodeId": node.instance_id,
            "NetworkInterfaceId": interface_id,
            "AttachmentId": attachment_id,
        }

    def _found(self, scope: Scope, cluster: str, instance_id: str) -> tuple[World, Node]:
        """Raises ResourceNotFound."""
        world = self._fleet.world_of(scope, cluster)
        node = world.nodes.get(instance_id)
        if node is None:
            raise ResourceNotFound(f"Node {instance_id} does not exist in cluster {world.cluster.name}.")
        return world, node

    def _nodes(self, scope: Scope) -> list[Node]:
        return [node for world in self._fleet.worlds(scope) for node in world.nodes.values()]


def _answer(world: World, node: Node, volume: Volume, status: str) -> dict[str, Any]:
    return {
        "ClusterArn": world.cluster.arn,
        "NodeId": node.instance_id,
        "VolumeId": volume.id,
        "AttachTime": volume.attached_at,
        "Status": status,
        "DeviceName": volume.device,
    }
