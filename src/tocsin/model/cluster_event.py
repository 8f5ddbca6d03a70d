"""Cluster Events: every step of a cluster with continuous provisioning, kept for ListClusterEvents."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import field

from tocsin.model.records import Record


class EventLevel(StrEnum):
    INFO = "Info"
    WARN = "Warn"
    ERROR = "Error"


class ResourceType(StrEnum):
    CLUSTER = "Cluster"
    GROUP = "InstanceGroup"
    INSTANCE = "Instance"


class ClusterEvent(Record, frozen=True, kw_only=True):
    """One event. `n` counts the cluster's events from 1; `metadata` is AWS's EventMetadata, with one member."""

    kind: ClassVar[str] = "cluster-event"

    cluster_id: str
    n: int
    id: str
    at: datetime
    resource_type: ResourceType
    level: EventLevel
    description: str
    group: str = ""
    instance_id: str = ""
    operation_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """In the order of their numbers."""
        return f"{self.cluster_id}/{self.n:010}"


def events_prefix(cluster_id: str) -> str:
    """Key prefix of a cluster's events."""
    return f"{cluster_id}/"
