"""Scaling operations of clusters with continuous provisioning: begun by requests, carried on by the planner.

A later operation on a group supersedes the one before; an operation is done when its groups have what they want.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tocsin.core.members import Glance, Members
from tocsin.model.cluster import Cluster, InstanceGroup, Node
from tocsin.model.names import derived_uuid
from tocsin.model.operation import Counts, Operation, OperationStatus, Scaling

OPERATIONS_KEPT_MAX = 100  # of one cluster, those that are over; the oldest go
# Instances and nodes that they name, all together: two checks of everybody in a cluster of 10,000. They are in the
# cluster's record, which is written at each of its changes.
NAMED_MAX = 20_000


def begun(
    before: Cluster | None,
    after: Cluster,
    nodes: Iterable[Node],
    now: datetime,
    *,
    token: str = "",
    asked: str = "",
    added: tuple[tuple[str, str], ...] = (),
    failed: tuple[dict[str, Any], ...] = (),
) -> Cluster:
    """The cluster with an operation for what a request changed of its counts; as it is, where that is nothing."""
    old = {group.name: group for group in before.groups} if before else {}
    there = Counter(node.group for node in nodes if node.joined)
    scalings = tuple(
        Scaling(
            group=group.name,
            original=_counts(old.get(group.name), there[group.name]),
            desired=Counts(target=group.target, minimum=group.minimum or None),
        )
        for group in after.groups
        if _sizes(old.get(group.name)) != _sizes(group)
    )
    if not scalings:
        return after
    touched = {scaling.group for scaling in scalings}
    known = tuple(_ended(operation, touched, OperationStatus.SUPERSEDED) for operation in after.operations)
    number = len(known) + after.launches  # with the time, never the same twice
    new = Operation(
        id=derived_uuid(after.arn, "operation", now.isoformat(), number),
        created_at=now,
        scalings=scalings,
        token=token,
        asked=asked,
        added=added,
        failed=failed,
    )
    return replace(after, operations=kept((*known, new)))


def _sizes(group: InstanceGroup | None) -> tuple[int, int] | None:
    return (group.target, group.minimum) if group else None


def _counts(group: InstanceGroup | None, current: int) -> Counts:
    if group is None:
        return Counts(current=0, target=0)
    return Counts(current=current, target=group.target, minimum=group.minimum or None)


def _ended(operation: Operation, groups: set[str], status: OperationStatus) -> Operation:
    """What is in progress in these groups ends so."""
    scalings = tuple(
        replace(scaling, status=status)
        if scaling.group in groups and scaling.status is OperationStatus.IN_PROGRESS
        else scaling
        for scaling in operation.scalings
    )
    return replace(operation, scalings=scalings)


def kept(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """The newest, as far as there is room; those in progress whatever their age, which are no more than there are
    groups, and one check."""
    room, found = NAMED_MAX, []
    for age, operation in enumerate(reversed(operations)):
        room -= operation.names
        if operation.status is OperationStatus.IN_PROGRESS or (age < OPERATIONS_KEPT_MAX and room >= 0):
            found.append(operation)
    return tuple(reversed(found))


def progressed(cluster: Cluster, members: Members) -> tuple[Operation, ...]:
    """The operations as they stand with these nodes."""
    open_ = {
        scaling.group
        for operation in cluster.operations
        for scaling in operation.scalings
        if scaling.status is OperationStatus.IN_PROGRESS
    }
    if not open_:
        return cluster.operations
    settled = open_ - _unsettled(cluster, members.glance)
    return tuple(_ended(operation, settled, OperationStatus.DONE) for operation in cluster.operations)


def _unsettled(cluster: Cluster, glance: Glance) -> set[str]:
    """Groups that have another number of nodes that joined than they want, or nodes that still leave."""
    short = {group.name for group in cluster.groups if glance.joined[group.name] != group.wanted}
    return short | {name for name, count in glance.leaving.items() if count}


def active(cluster: Cluster, group: str) -> Operation | None:
    """The operation under way in a group."""
    for operation in reversed(cluster.operations):
        for scaling in operation.scalings:
            if scaling.group == group and scaling.status is OperationStatus.IN_PROGRESS:
                return operation
    return None
