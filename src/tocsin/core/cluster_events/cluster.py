"""What is told about the cluster itself: its creation, its scaling operations, its deletion."""

from tocsin.core.cluster_events.said import ERROR, INFO, Said, of_cluster
from tocsin.model.cluster import Cluster, ClusterStatus
from tocsin.model.operation import Operation, OperationStatus


def cluster_begun(before: Cluster | None, after: Cluster) -> list[Said]:
    said = []
    if before is None:
        said.append(
            of_cluster(INFO, f"Cluster {after.name} creation started successfully", operation_id=_newest(after))
        )
        return said
    known = {operation.id for operation in before.operations}
    said += [
        of_cluster(INFO, f"Cluster {after.name} scaling started successfully", operation_id=operation.id)
        for operation in after.operations
        if operation.id not in known
    ]
    if before.status is not after.status and after.status is ClusterStatus.DELETING:
        said.append(of_cluster(INFO, f"Cluster {after.name} deletion started successfully"))
    return said


def cluster_ended(before: Cluster | None, after: Cluster) -> list[Said]:
    if before is None:
        return []
    said = [
        of_cluster(INFO, f"Cluster {after.name} scaling completed successfully", operation_id=operation.id)
        for operation in after.operations
        if operation.status is OperationStatus.DONE and _was(before, operation) is OperationStatus.IN_PROGRESS
    ]
    if before.status is ClusterStatus.CREATING and after.status is ClusterStatus.IN_SERVICE:
        said.insert(0, of_cluster(INFO, f"Cluster {after.name} creation completed successfully"))
    if before.status is not after.status and after.status is ClusterStatus.FAILED:
        said.append(of_cluster(ERROR, f"Cluster {after.name} creation failed", failure=after.failure_message))
    return said


def _newest(cluster: Cluster) -> str:
    return cluster.operations[-1].id if cluster.operations else ""


def _was(before: Cluster, operation: Operation) -> OperationStatus | None:
    return next((one.status for one in before.operations if one.id == operation.id), None)
