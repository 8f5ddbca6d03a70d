"""Clusters, instance groups and nodes, as the fleet keeps them. Statuses and their spelling are AWS's.

A group carries its request members as they came (`spec`), so that it is described back exactly; the fields beside it
are the ones decisions are made on.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.attachment import Interface, Volume
from tocsin.model.deep import DeepCheck, DeepState
from tocsin.model.health import GpuReset, Known, Mark, Mended, ResetEnd
from tocsin.model.names import cluster_arn, cluster_log_group
from tocsin.model.operation import Operation
from tocsin.model.records import Record
from tocsin.model.times import epoch_ms


class ClusterStatus(StrEnum):
    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


class GroupStatus(StrEnum):
    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    DELETING = "Deleting"


class NodeStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    FAILURE = "Failure"
    SHUTTING_DOWN = "ShuttingDown"
    SYSTEM_UPDATING = "SystemUpdating"
    DEEP_HEALTH_CHECK = "DeepHealthCheckInProgress"


class NodeRecovery(StrEnum):
    AUTOMATIC = "Automatic"
    NONE = "None"


class Health(StrEnum):
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


class Repair(StrEnum):
    """What shall be done with a node. Spelled as RepairAction in events."""

    REBOOT = "Reboot"
    REPLACE = "Replace"


class ScriptState(StrEnum):
    """Where the lifecycle script of a node stands. NONE: the group has none."""

    NONE = "none"
    WAITING = "waiting"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SoftwareUpdateStatus(StrEnum):
    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_COMPLETE = "RollbackComplete"


UPDATE_OPEN = (
    SoftwareUpdateStatus.PENDING,
    SoftwareUpdateStatus.IN_PROGRESS,
    SoftwareUpdateStatus.ROLLBACK_IN_PROGRESS,
)
UPDATE_BACK = (
    SoftwareUpdateStatus.ROLLBACK_IN_PROGRESS,
    SoftwareUpdateStatus.ROLLBACK_COMPLETE,
    SoftwareUpdateStatus.FAILED,
)


class Image(Struct, frozen=True, kw_only=True):
    """What a node's root volume is made from. `n` counts a group's updates: an update to the same image is one too."""

    id: str = ""
    release: str = ""
    n: int = 0


class SoftwareUpdate(Struct, frozen=True, kw_only=True):
    """A group's software update, under way or the last there was. `before` is what a rollback goes back to.

    `config` is the DeploymentConfig. `in_batch`: a batch was begun and is not through; `baked_until` ends the wait
    after it. `why` says what it was begun for.
    """

    status: SoftwareUpdateStatus
    image: Image
    before: Image
    config: dict[str, Any] = field(default_factory=dict)
    in_batch: bool = False
    baked_until: datetime | None = None
    why: str = ""

    @property
    def open(self) -> bool:
        """Still to be carried out, there or back."""
        return self.status in UPDATE_OPEN

    @property
    def wanted(self) -> Image:
        """The image nodes are meant to have: what AWS calls desired, which a rollback swaps with the current one."""
        return self.before if self.status in UPDATE_BACK else self.image


class InstanceGroup(Struct, frozen=True, kw_only=True):
    """`image` is what its nodes run when no update is under way, `updates` how many were ever begun.

    `update_since`: times of its schedule before this are over. `waiting_since`: it waits for its minimum since then;
    if that takes too long it goes back to `fallback` instances, and `message` says so. `baselines` are what its nodes
    reached in the deep health checks they passed, by metric, the last ones last.
    """

    name: str
    target: int
    status: GroupStatus
    spec: dict[str, Any]
    restricted: bool = False
    image: Image = Image()
    update: SoftwareUpdate | None = None
    updates: int = 0
    update_since: datetime | None = None
    waiting_since: datetime | None = None
    fallback: int = 0
    message: str = ""
    baselines: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def minimum(self) -> int:
        """How many instances it wants before it counts as being in service; 0: it does not wait."""
        return int(self.spec.get("MinInstanceCount") or 0)

    @property
    def wanted_image(self) -> Image:
        """The image of the nodes to come."""
        update = self.update
        waiting = update is None or not update.open or update.status is SoftwareUpdateStatus.PENDING
        return self.image if update is None or waiting else update.wanted

    @property
    def wanted(self) -> int:
        """How many instances there should be: none in a group that failed or goes, whatever was asked for."""
        return 0 if self.status in (GroupStatus.FAILED, GroupStatus.DELETING) else self.target

    @property
    def instance_type(self) -> str:
        return str(self.spec.get("InstanceType", ""))

    @property
    def lifecycle(self) -> dict[str, str]:
        """LifeCycleConfig as requested: SourceS3Uri, OnCreate; empty when there is none."""
        config: dict[str, str] = self.spec.get("LifeCycleConfig") or {}
        return config


class Former(Struct, frozen=True, kw_only=True):
    """What an update may change of a cluster beside its groups, as it was."""

    node_recovery: NodeRecovery | None
    spec: dict[str, Any]


class Cluster(Record, frozen=True, kw_only=True):
    """A cluster. `spec` holds the request members beside name, groups, tags and NodeRecovery.

    `before` are the groups as they stood when the operation under way began, and `former` what the cluster itself was
    told until then: what RollingBack goes back to.
    `launches` counts the instances ever ordered; instance ids are derived from it. `operations` are those of a cluster
    with continuous provisioning, the oldest first.
    """

    kind: ClassVar[str] = "cluster"

    id: str
    name: str
    status: ClusterStatus
    created_at: datetime
    groups: tuple[InstanceGroup, ...]
    node_recovery: NodeRecovery | None = None
    failure_message: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    before: tuple[InstanceGroup, ...] = ()
    former: Former | None = None
    launches: int = 0
    operations: tuple[Operation, ...] = ()

    @property
    def key(self) -> str:
        """Names are unique among the clusters of a scope, so the name is the key."""
        return self.name

    @property
    def arn(self) -> str:
        return cluster_arn(self.scope, self.id)

    @property
    def log_group(self) -> str:
        return cluster_log_group(self.name, self.id)

    @property
    def reverting(self) -> bool:
        """Whether what it rolls back is a software update: its nodes stay, on the image they had."""
        back = SoftwareUpdateStatus.ROLLBACK_IN_PROGRESS
        return any(group.update is not None and group.update.status is back for group in self.groups)

    @property
    def continuous(self) -> bool:
        """NodeProvisioningMode Continuous: what can be had is had, what fails is tried again, nothing rolls back."""
        return self.spec.get("NodeProvisioningMode") == "Continuous"


class Node(Record, frozen=True, kw_only=True):
    """An instance of a group. `index` is its place in the group (1-based), taken over by its replacement.

    `joined` is set when it first runs: from then on it counts in CurrentCount. `replaces` names the instance it
    stands in for, `attempts` how many instances in a row failed at this place, `retry_at` when the next may try.

    `logical_id` stays the same through all replacements; only clusters with continuous provisioning have it.
    `repair` is what somebody wants done with it, for the reason `why`, asked for at `repair_at`: the planner takes it
    up within its budget. `reboot_due`: its machine is to be rebooted; `rebooted_at`: that was done, and it is on its
    way back. `image` is what its root volume is made from; `runs` counts the runs of its lifecycle script beyond the
    first, `tries` those of the update under way.
    `faults` is what its agent found and what is not over, `mended` what was done about faults at this place before;
    `history` is what befell this very machine: a replacement has none.
    `advice` is what a person is told to do about it, `due` what will be done once jobs and budgets let it.
    `reset` is the reset of its GPUs that is under way, `reset_end` how the last one ended (None: it was given up, or
    there was none), and `resets` whether its agent can make one.
    `deep` is its deep health check: the one that is due or under way, else the last. `volumes` and `interfaces` are
    what clients attached to it.
    """

    kind: ClassVar[str] = "node"

    cluster_id: str
    group: str
    index: int
    instance_id: str
    instance_type: str
    address: str
    status: NodeStatus
    launched_at: datetime
    script: ScriptState
    message: str = ""
    health: Health = Health.HEALTHY
    fault: str = ""
    joined: bool = False
    replaces: str = ""
    attempts: int = 0
    retry_at: datetime | None = None
    logical_id: str = ""
    repair: Repair | None = None
    why: str = ""
    repair_at: datetime | None = None
    reboot_due: bool = False
    rebooted_at: datetime | None = None
    faults: tuple[Known, ...] = ()
    mended: tuple[Mended, ...] = ()
    history: tuple[Mark, ...] = ()
    advice: str = ""
    due: Repair | None = None
    reset: GpuReset | None = None
    reset_end: ResetEnd | None = None
    resets: bool = False
    image: Image = Image()
    updated_at: datetime | None = None
    runs: int = 0
    tries: int = 0
    deep: DeepCheck | None = None
    volumes: tuple[Volume, ...] = ()
    interfaces: tuple[Interface, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.cluster_id}/{self.instance_id}"

    @property
    def rebooting(self) -> bool:
        """On its way down and up again: a member all the while, with the id and the disk it had."""
        return self.reboot_due or self.rebooted_at is not None

    @property
    def prepared(self) -> bool:
        """Its lifecycle script has run on the root volume that it has now, or its group has none."""
        return self.script in (ScriptState.NONE, ScriptState.SUCCEEDED)

    @property
    def reset_work(self) -> str:
        """The name of the reset that is under way: a node does each once."""
        assert self.reset is not None, "only a reset that is under way has a name"
        return f"gpu-reset/{self.instance_id}/{epoch_ms(self.reset.at)}"

    @property
    def deep_due(self) -> bool:
        return self.deep is not None and self.deep.state is DeepState.DUE

    @property
    def deep_work(self) -> str:
        """The name of this node's deep health check: a node does each once."""
        return f"deep/{self.instance_id}/{self.deep.n if self.deep else 0}"

    @property
    def name(self) -> str:
        """The instance name of resource_config.json (facts/hyperpod.md §6)."""
        return f"{self.group}-{self.index}"

    @property
    def script_work(self) -> str:
        """The name of this node's lifecycle script run: one for each root volume that the instance ever had."""
        return f"lifecycle/{self.instance_id}/{self.runs}" if self.runs else f"lifecycle/{self.instance_id}"


class NodeCursor(Record, frozen=True, kw_only=True):
    """The number of the last report of a node that was committed: what came again is known by it."""

    kind: ClassVar[str] = "node-cursor"

    instance_id: str
    n: int

    @property
    def key(self) -> str:
        return self.instance_id


def cursor_of(node: Node) -> NodeCursor:
    """Where a node's reports begin: nothing heard yet."""
    return NodeCursor(scope=node.scope, instance_id=node.instance_id, n=0, revision=0)


def nodes_prefix(cluster_id: str) -> str:
    """Key prefix of a cluster's nodes."""
    return f"{cluster_id}/"
