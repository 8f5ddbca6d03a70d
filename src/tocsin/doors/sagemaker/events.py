"""ListClusterEvents and DescribeClusterEvent: the Cluster Events of clusters with continuous provisioning."""

from typing import Any

from tocsin.doors.door import Context, Handler
from tocsin.doors.sagemaker.listing import sorted_page, within
from tocsin.doors.sagemaker.operations import continuous_world
from tocsin.model.cluster import Cluster
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.errors import ResourceNotFound
from tocsin.services.fleet import Fleet

# Members of a request that an event has to agree with.
_FILTERS = {
    "InstanceGroupName": "group",
    "NodeId": "instance_id",
    "ResourceType": "resource_type",
    "OperationId": "operation_id",
}


def event_operations(fleet: Fleet) -> dict[str, Handler]:
    events = _Events(fleet)
    return {"ListClusterEvents": events.list_cluster_events, "DescribeClusterEvent": events.describe_cluster_event}


class _Events:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def list_cluster_events(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = continuous_world(self._fleet, context, request, "ListClusterEvents").cluster
        wanted = {attribute: request[name] for name, attribute in _FILTERS.items() if name in request}
        events = [
            event
            for event in await self._fleet.events_of(cluster)
            if all(getattr(event, name) == value for name, value in wanted.items())
            and within(event.at, request, "EventTime")
        ]
        taken, token = sorted_page(
            events,
            request,
            f"ListClusterEvents/{cluster.id}",
            created=lambda event: event.at,
            name=lambda event: f"{event.n:010}",
            order="Descending",
        )
        return {"Events": [_summary(cluster, event) for event in taken], "NextToken": token}

    async def describe_cluster_event(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = continuous_world(self._fleet, context, request, "DescribeClusterEvent").cluster
        for event in await self._fleet.events_of(cluster):
            if event.id == request["EventId"]:
                return {"EventDetails": _summary(cluster, event) | {"EventDetails": {"EventMetadata": event.metadata}}}
        raise ResourceNotFound(f"Event {request['EventId']} does not exist in cluster {cluster.name}.")


def _summary(cluster: Cluster, event: ClusterEvent) -> dict[str, Any]:
    return {
        "EventId": event.id,
        "ClusterArn": cluster.arn,
        "ClusterName": cluster.name,
        "InstanceGroupName": event.group or None,
        "InstanceId": event.instance_id or None,
        "ResourceType": event.resource_type,
        "EventTime": event.at,
        "Description": event.description,
        "EventLevel": event.level,
        "OperationId": event.operation_id or None,
    }
