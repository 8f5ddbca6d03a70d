"""Task governance: the cluster policy by which jobs are ranked, and what compute a team may use. Kept, versioned.

A record holds its earlier versions, so that each can be described. Names are unique within a cluster and kind.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.names import arn
from tocsin.model.records import Record


class GovernanceStatus(StrEnum):
    """Of AWS's statuses those of what is kept and nothing more: each change is done when it is answered."""

    CREATED = "Created"
    UPDATED = "Updated"


class Version(Struct, frozen=True, kw_only=True):
    """`spec` holds the request members as they came."""

    number: int
    at: datetime
    spec: dict[str, Any]


class Governance(Record, frozen=True, kw_only=True):
    """`versions` is in order; the last one is in force."""

    resource: ClassVar[str]  # as ARNs name it

    id: str
    name: str
    cluster_arn: str
    versions: tuple[Version, ...]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.id

    @property
    def arn(self) -> str:
        return arn("sagemaker", self.scope, f"{self.resource}/{self.id}")

    @property
    def current(self) -> Version:
        return self.versions[-1]

    @property
    def created_at(self) -> datetime:
        return self.versions[0].at

    @property
    def status(self) -> GovernanceStatus:
        return GovernanceStatus.CREATED if self.current.number == 1 else GovernanceStatus.UPDATED


class SchedulerConfig(Governance, frozen=True, kw_only=True):
    kind: ClassVar[str] = "scheduler-config"
    resource: ClassVar[str] = "cluster-scheduler-config"


class ComputeQuota(Governance, frozen=True, kw_only=True):
    kind: ClassVar[str] = "compute-quota"
    resource: ClassVar[str] = "compute-quota"
