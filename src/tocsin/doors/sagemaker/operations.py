"""Operations of clusters: deep health checks, and what only continuous provisioning has: scaling, and nodes added by
the batch."""

from typing import Any

from tocsin.core.commit import World
from tocsin.doors.door import Context, Handler
from tocsin.doors.sagemaker.listing import sorted_page, within
from tocsin.model.cluster import Cluster
from tocsin.model.errors import ResourceNotFound, Validation
from tocsin.model.operation import Counts, GroupCheck, Operation, Scaling
from tocsin.services.fleet import Fleet


def operations_of(fleet: Fleet) -> dict[str, Handler]:
    operations = _Operations(fleet)
    return {
        "BatchAddClusterNodes": operations.batch_add_cluster_nodes,
        "ListClusterOperations": operations.list_cluster_operations,
        "StartClusterHealthCheck": operations.start_cluster_health_check,
        "DescribeClusterOperation": operations.describe_cluster_operation,
    }


def continuous_world(fleet: Fleet, context: Context, request: dict[str, Any], operation: str) -> World:
    """The cluster asked for. Raises Validation, as AWS does, when its provisioning is not continuous."""
    world = fleet.world_of(context.scope, request["ClusterName"])
    if not world.cluster.continuous:
        raise Validation(f"{operation} is supported only for clusters with NodeProvisioningMode Continuous.")
    return world


class _Operations:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def batch_add_cluster_nodes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._fleet.add_nodes(context.scope, request)
        added = [
            {"NodeLogicalId": logical, "InstanceGroupName": group, "Status": status}
            for logical, group, status in made.added
        ]
        return {"Successful": added, "Failed": list(made.failed)}

    async def list_cluster_operations(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self._fleet.world_of(context.scope, request["ClusterName"]).cluster
        operations = [
            one
            for one in cluster.operations
            if request.get("Status", one.status) == one.status
            and request.get("Type", one.type) == one.type
            and within(one.created_at, request)
        ]
        taken, token = sorted_page(
            operations,
            request,
            f"ListClusterOperations/{cluster.id}",
            created=lambda one: one.created_at,
            name=lambda one: one.id,
            order="Descending",
        )
        return {"ClusterOperationSummaries": [_summary(cluster, one) for one in taken], "NextToken": token}

    async def describe_cluster_operation(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self._fleet.world_of(context.scope, request["ClusterName"]).cluster
        found = next((one for one in cluster.operations if one.id == request["OperationId"]), None)
        if found is None:
            raise ResourceNotFound(f"Operation {request['OperationId']} does not exist in cluster {cluster.name}.")
        if found.checks:
            return _summary(cluster, found) | {"DeepHealthCheckDetails": [_check(one) for one in found.checks]}
        return _summary(cluster, found) | {"ScalingDetails": [_details(one) for one in found.scalings]}

    async def start_cluster_health_check(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"ClusterArn": (await self._fleet.check_health(context.scope, request)).arn}


def _summary(cluster: Cluster, operation: Operation) -> dict[str, Any]:
    return {
        "OperationId": operation.id,
        "ClusterArn": cluster.arn,
        "Type": operation.type,
        "Status": operation.status,
        "CreationTime": operation.created_at,
    }


def _check(check: GroupCheck) -> dict[str, Any]:
    return {
        "InstanceGroupName": check.group,
        "InstanceIds": list(check.instances),
        "DeepHealthChecks": list(check.kinds),
    }


def _details(scaling: Scaling) -> dict[str, Any]:
    return {
        "InstanceGroupName": scaling.group,
        "Status": scaling.status,
        "Original": _counts(scaling.original),
        "Desired": _counts(scaling.desired),
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {"CurrentCount": counts.current, "TargetCount": counts.target, "MinCount": counts.minimum}
