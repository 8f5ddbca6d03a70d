"""Before and after -> Cluster Events, of clusters with continuous provisioning. Called by core/commit.

One step is one event, with its metadata filled (facts/hyperpod.md §2.5, and §2.6 for what AWS's lack). Wording is that
of AWS's reference. What begins is told before what happened to nodes, and what is completed after it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from tocsin.core.cluster_events.cluster import cluster_begun, cluster_ended
from tocsin.core.cluster_events.groups import groups_begun, groups_ended
from tocsin.core.cluster_events.instances import instance_steps
from tocsin.core.cluster_events.said import Said
from tocsin.core.operations import active
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.cluster import Cluster, Node
from tocsin.model.cluster_event import ClusterEvent, EventLevel, ResourceType
from tocsin.model.names import derived_uuid
from tocsin.model.operation import Operation

EVENTS_KEPT_MAX = 500  # of one cluster; about as many as AWS lets one page through


def cluster_events(
    before: Cluster | None,
    after: Cluster | None,
    nodes_before: Mapping[str, Node],
    nodes_after: Mapping[str, Node],
    members: Mapping[str, Node],
    at: datetime,
    told: int,
) -> list[ClusterEvent]:
    """The events of a commit, numbered on from `told`. The nodes before and after are those that changed."""
    if after is None or not after.continuous:
        return []
    said = [
        *cluster_begun(before, after),
        *groups_begun(before, after, members),
        *(
            one
            for instance_id in dict.fromkeys((*nodes_before, *nodes_after))
            for one in instance_steps(after, nodes_before.get(instance_id), nodes_after.get(instance_id))
        ),
        *groups_ended(before, after, members),
        *cluster_ended(before, after),
    ]
    return [_event(before, after, one, at, told + number) for number, one in enumerate(said, 1)]


def _event(before: Cluster | None, cluster: Cluster, said: Said, at: datetime, n: int) -> ClusterEvent:
    operation = _under_way(before, cluster, said.group) if said.group else None
    return ClusterEvent(
        scope=cluster.scope,
        cluster_id=cluster.id,
        n=n,
        id=derived_uuid(cluster.arn, "event", n),
        at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        resource_type=said.resource_type,
        level=said.level,
        description=said.description,
        group=said.group,
        instance_id=said.instance_id,
        operation_id=said.operation_id or (operation.id if operation else ""),
        metadata={said.member: {name: value for name, value in said.metadata.items() if value not in (None, "")}},
    )


def _under_way(before: Cluster | None, cluster: Cluster, group: str) -> Operation | None:
    """The group's operation, or the one that this very commit ends: what ended it belongs to it."""
    return active(cluster, group) or (active(before, group) if before else None)


def keep(events: Iterable[ClusterEvent]) -> list[Change]:
    """Keep the events, and let go of those that are too old by as many."""
    changes: list[Change] = []
    for event in events:
        changes.append(Put(event))
        if event.n > EVENTS_KEPT_MAX:
            changes.append(Delete(_placeholder(event, event.n - EVENTS_KEPT_MAX)))
    return changes


def forget(cluster: Cluster, told: int) -> list[Change]:
    """Let go of all events of a cluster that is gone."""
    first = max(1, told - EVENTS_KEPT_MAX + 1)
    some = ClusterEvent(
        scope=cluster.scope,
        cluster_id=cluster.id,
        n=0,
        id="",
        at=cluster.created_at,
        resource_type=ResourceType.CLUSTER,
        level=EventLevel.INFO,
        description="",
    )
    return [Delete(_placeholder(some, n)) for n in range(first, told + 1)]


def _placeholder(like: ClusterEvent, n: int) -> ClusterEvent:
    """A record goes by its scope, key and revision; what is in it does not matter."""
    return ClusterEvent(
        scope=like.scope,
        cluster_id=like.cluster_id,
        n=n,
        id="",
        at=like.at,
        resource_type=like.resource_type,
        level=like.level,
        description="",
    )
