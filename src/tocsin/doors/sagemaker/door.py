"""HyperPod's operations. Requests that change a cluster go to the fleet, which flips the status before it answers."""

from collections.abc import Callable, Mapping
from typing import Any

from tocsin.core.commit import World
from tocsin.doors.door import Context, Door
from tocsin.doors.sagemaker.attachments import attachment_operations
from tocsin.doors.sagemaker.batches import batch_operations
from tocsin.doors.sagemaker.describe import cluster_members, cluster_summary, node_members, node_summary
from tocsin.doors.sagemaker.events import event_operations
from tocsin.doors.sagemaker.extensions import extension_operations
from tocsin.doors.sagemaker.governance import governance_operations
from tocsin.doors.sagemaker.listing import sorted_page, within
from tocsin.doors.sagemaker.operations import operations_of
from tocsin.doors.sagemaker.tagging import Tagging
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.errors import ResourceNotFound, Validation
from tocsin.model.names import cluster_id
from tocsin.ports import Packages, Store
from tocsin.services.extensions import Extensions
from tocsin.services.fleet import Fleet

Labels = Callable[[str], Mapping[str, str]]


def sagemaker_door(
    store: Store,
    fleet: Fleet,
    chance: Callable[[int], bytes],
    extensions: Extensions,
    packages: Packages,
    labels: Labels,
) -> Door:
    """`chance` gives so many random bytes, `labels` those of an instance's host."""
    operations = _SageMaker(fleet, chance, labels)
    tagging = Tagging(store, fleet)
    return Door(
        service="sagemaker",
        operations={
            "CreateCluster": operations.create_cluster,
            "DescribeCluster": operations.describe_cluster,
            "ListClusters": operations.list_clusters,
            "UpdateCluster": operations.update_cluster,
            "UpdateClusterSoftware": operations.update_cluster_software,
            "DeleteCluster": operations.delete_cluster,
            "ListClusterNodes": operations.list_cluster_nodes,
            "DescribeClusterNode": operations.describe_cluster_node,
            "AddTags": tagging.add,
            "ListTags": tagging.list,
            "DeleteTags": tagging.delete,
            **batch_operations(fleet),
            **attachment_operations(fleet, chance),
            **operations_of(fleet),
            **event_operations(fleet),
            **governance_operations(store, fleet, chance),
            **extension_operations(store, fleet, extensions, packages, chance),
        },
    )


class _SageMaker:
    def __init__(self, fleet: Fleet, chance: Callable[[int], bytes], labels: Labels) -> None:
        self._labels = labels
        self._fleet = fleet
        self._chance = chance

    async def create_cluster(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = await self._fleet.create(context.scope, request, cluster_id(self._chance(12)))
        return {"ClusterArn": cluster.arn}

    async def update_cluster(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"ClusterArn": (await self._fleet.update(context.scope, request)).arn}

    async def update_cluster_software(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"ClusterArn": (await self._fleet.update_software(context.scope, request)).arn}

    async def delete_cluster(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"ClusterArn": (await self._fleet.delete(context.scope, request)).arn}

    async def describe_cluster(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        world = self._fleet.world_of(context.scope, request["ClusterName"])
        return cluster_members(world.cluster, world.nodes.values())

    async def list_clusters(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        plan_arn = request.get("TrainingPlanArn")
        clusters = [
            world.cluster
            for world in self._fleet.worlds(context.scope)
            if request.get("NameContains", "") in world.cluster.name
            and within(world.cluster.created_at, request)
            and (not plan_arn or any(group.spec.get("TrainingPlanArn") == plan_arn for group in world.cluster.groups))
        ]
        taken, token = sorted_page(
            clusters, request, "ListClusters", created=lambda one: one.created_at, name=lambda one: one.name
        )
        return {"ClusterSummaries": [cluster_summary(cluster) for cluster in taken], "NextToken": token}

    async def list_cluster_nodes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        world = self._fleet.world_of(context.scope, request["ClusterName"])
        nodes = [
            node
            for node in world.nodes.values()
            if request.get("InstanceGroupNameContains", "") in node.group and within(node.launched_at, request)
        ]
        taken, token = sorted_page(
            nodes,
            request,
            f"ListClusterNodes/{world.cluster.id}",
            created=lambda one: one.launched_at,
            name=lambda one: one.name,
        )
        logical = bool(request.get("IncludeNodeLogicalIds"))
        summaries = [node_summary(node, self._labels(node.instance_id), logical=logical) for node in taken]
        return {"ClusterNodeSummaries": summaries, "NextToken": token}

    async def describe_cluster_node(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        world = self._fleet.world_of(context.scope, request["ClusterName"])
        if ("NodeId" in request) == ("NodeLogicalId" in request):
            raise Validation("Specify exactly one of NodeId and NodeLogicalId.")
        if "NodeLogicalId" in request and not world.cluster.continuous:
            raise Validation("NodeLogicalId is known only for clusters with NodeProvisioningMode Continuous.")
        node = _found(world, request)
        if node is None:
            asked = request.get("NodeId") or request["NodeLogicalId"]
            raise ResourceNotFound(f"Node {asked} does not exist in cluster {world.cluster.name}.")
        group = next((group for group in world.cluster.groups if group.name == node.group), None)
        return {"NodeDetails": node_members(node, group, self._labels(node.instance_id))}


def _found(world: World, request: dict[str, Any]) -> Node | None:
    """By its own id; by its logical id the instance that stands for it now."""
    if "NodeId" in request:
        return world.nodes.get(request["NodeId"])
    named = [node for node in world.nodes.values() if node.logical_id == request["NodeLogicalId"]]
    return max(named, key=lambda node: node.status is not NodeStatus.SHUTTING_DOWN, default=None)
