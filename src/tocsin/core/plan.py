"""Wanted + seen + policy + now -> what to record, what to do, and why it waits. Called by the fleet, again and again.

Level-triggered: a plan follows from what is, never from what just happened, so planning twice does no harm and a
crash between commit and step is mended by the next pass. Statuses move only along core/lifecycle.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import (
    Cluster,
    ClusterStatus,
    GroupStatus,
    Health,
    InstanceGroup,
    Node,
    NodeRecovery,
    NodeStatus,
    ScriptState,
)
from tocsin.model.machine import LinkSeen, MachineState
from tocsin.model.names import derived_instance_id, loopback_address

# Failure texts as real clusters show them (facts/hyperpod.md §3.3).
SCRIPT_FAILED = (
    "Lifecycle scripts did not run successfully. Ensure the scripts exist in provided S3 path, are accessible, and run "
    "without errors. Please see CloudWatch logs for lifecycle script execution details."
)
SCRIPT_TIMED_OUT = "Lifecycle scripts execution timed out"
PROVISION_FAILED = (
    'Instance {instance_id} failed to provision with the following error: "{message}" '
    "Note that multiple instances may be impacted."
)
REPLACEMENT_FAILED = "Instance replacement failed: {message}"
NEVER_CAME_UP = "The instance did not come up within {seconds:g} seconds."
ENDED_EARLY = "The instance ended before it joined the cluster."

# Fault types of our own, beside those of the health monitoring agent: what the fleet itself finds out.
FAULT_ENDED = "InstanceTerminated"
FAULT_SILENT = "InstanceUnreachable"


class Observed(Struct, frozen=True, kw_only=True):
    """What there is. `since` is when this server began to watch: no silence counts from before that."""

    machines: Mapping[str, MachineState]
    links: Mapping[str, LinkSeen]
    since: datetime


class Launch(Struct, frozen=True):
    """Start the node's machine, or boot it again."""

    node: Node


class Terminate(Struct, frozen=True):
    """End the node's machine and destroy what it stored."""

    node: Node


class RunLifecycle(Struct, frozen=True):
    """Have the node's agent run the lifecycle script."""

    node: Node


Step = Launch | Terminate | RunLifecycle


class Plan(Struct, frozen=True, kw_only=True):
    """`cluster` None: it is gone. `wake_at`: when time alone may change the answer. `waiting`: why it is not done."""

    cluster: Cluster | None
    nodes: dict[str, Node]
    steps: tuple[Step, ...]
    waiting: tuple[str, ...]
    wake_at: datetime | None


def plan(cluster: Cluster, nodes: Mapping[str, Node], seen: Observed, policy: FleetPolicy, now: datetime) -> Plan:
    """One pass: follow each node, pursue the operation under way, list the steps."""
    draft = Draft(cluster, dict(nodes), seen, policy, now)
    for node in nodes.values():
        _FOLLOW[node.status](draft, node)
    _PURSUE[cluster.status](draft)
    draft.list_steps()
    return draft.result()


def controller_group(cluster: Cluster) -> str:
    """The group whose nodes come first: Slurm's controller; "" when the orchestrator is Kubernetes.

    Named by SlurmConfig, else told by its name, else the first group of the request.
    """
    if "Eks" in (cluster.spec.get("Orchestrator") or {}):
        return ""
    for group in cluster.groups:
        if (group.spec.get("SlurmConfig") or {}).get("NodeType") == "Controller":
            return group.name
    named = [group.name for group in cluster.groups if "controller" in group.name.lower()]
    return named[0] if named else cluster.groups[0].name


class Draft:
    """The plan while it is being made."""

    def __init__(
        self, cluster: Cluster, nodes: dict[str, Node], seen: Observed, policy: FleetPolicy, now: datetime
    ) -> None:
        self.cluster: Cluster = cluster
        self.gone = False
        self.nodes = nodes
        self._recorded = frozenset(nodes)
        self.seen = seen
        self.policy = policy
        self.now = now
        self._steps: list[Step] = []
        self._waiting: list[str] = []
        self._wake_at: datetime | None = None

    def result(self) -> Plan:
        return Plan(
            cluster=None if self.gone else self.cluster,
            nodes=self.nodes,
            steps=tuple(self._steps),
            waiting=tuple(self._waiting),
            wake_at=self._wake_at,
        )

    def set(self, node: Node, **changes: object) -> None:
        self.nodes[node.instance_id] = replace(node, **changes)

    def end(self, node: Node) -> None:
        """Have the node shut down. One that this very plan added was never there."""
        if node.instance_id in self._recorded:
            self.set(node, status=NodeStatus.SHUTTING_DOWN)
        else:
            del self.nodes[node.instance_id]

    def move(self, status: ClusterStatus, groups: Iterable[InstanceGroup], **changes: object) -> None:
        self.cluster = replace(self.cluster, status=status, groups=tuple(groups), **changes)

    def wait(self, reason: str) -> None:
        self._waiting.append(reason)

    def expired(self, since: datetime, seconds: float) -> bool:
        """Whether the time is over; when not, the plan is to be made again at its end."""
        end = max(since, self.seen.since) + timedelta(seconds=seconds)
        if self.now >= end:
            return True
        self._wake_at = end if self._wake_at is None else min(self._wake_at, end)
        return False

    def of(self, group: InstanceGroup) -> list[Node]:
        """The group's nodes that are meant to stay."""
        return [
            node
            for node in self.nodes.values()
            if node.group == group.name and node.status is not NodeStatus.SHUTTING_DOWN
        ]

    def add(self, group: InstanceGroup, index: int, *, replaces: str = "", attempts: int = 0) -> None:
        """A new node at a place of the group. Its id follows from the cluster's count of launches: never twice."""
        number = self.cluster.launches + 1
        instance_id = derived_instance_id(self.cluster.id, number)
        self.cluster = replace(self.cluster, launches=number)
        self.nodes[instance_id] = Node(
            scope=self.cluster.scope,
            revision=0,
            cluster_id=self.cluster.id,
            group=group.name,
            index=index,
            instance_id=instance_id,
            instance_type=group.instance_type,
            address=self._free_address(instance_id),
            status=NodeStatus.PENDING,
            launched_at=self.now,
            script=ScriptState.WAITING if group.lifecycle else ScriptState.NONE,
            replaces=replaces,
            attempts=attempts,
        )

    def _free_address(self, instance_id: str) -> str:
        taken = {node.address for node in self.nodes.values()}
        tries = (loopback_address(instance_id, attempt) for attempt in range(len(taken) + 1))
        return next((address for address in tries if address not in taken), loopback_address(instance_id))

    def list_steps(self) -> None:
        """Steps follow from the nodes as they now stand and from what is seen of them."""
        for node in self.nodes.values():
            machine = self.seen.machines.get(node.instance_id)
            if node.status is NodeStatus.SHUTTING_DOWN:
                if machine not in (None, MachineState.ENDING):
                    self._steps.append(Terminate(node))
            elif node.status is not NodeStatus.FAILURE:
                self._list_running_steps(node, machine)

    def _list_running_steps(self, node: Node, machine: MachineState | None) -> None:
        if machine is MachineState.STOPPED or (machine is None and node.status is NodeStatus.PENDING):
            self._steps.append(Launch(node))
        link = self.seen.links.get(node.instance_id)
        due = node.script in (ScriptState.WAITING, ScriptState.STARTED)
        if not due or link is None or not link.connected or node.script_work in link.ordered:
            return
        if self.controller_ready(node):
            self._steps.append(RunLifecycle(node))
        else:
            self.wait(f"{node.name} waits for the nodes of {controller_group(self.cluster)}, which come first")

    def controller_ready(self, node: Node) -> bool:
        """Whether the node may run its script: the controller's nodes go first, and must all be there."""
        first = controller_group(self.cluster)
        if first in ("", node.group):
            return True
        group = next(group for group in self.cluster.groups if group.name == first)
        ready = [member for member in self.of(group) if member.status is NodeStatus.RUNNING]
        return len(ready) >= group.wanted


# Following nodes: from what is seen of machine and agent to the node's status.


def _follow_pending(draft: Draft, node: Node) -> None:
    machine = draft.seen.machines.get(node.instance_id)
    link = draft.seen.links.get(node.instance_id)
    if node.script is ScriptState.FAILED:
        _fail_provision(draft, node, node.message or SCRIPT_FAILED)
    elif machine is MachineState.DEAD:
        _fail_provision(draft, node, ENDED_EARLY)
    elif link is not None and link.connected and node.script in (ScriptState.NONE, ScriptState.SUCCEEDED):
        draft.set(node, status=NodeStatus.RUNNING, joined=True, message="", attempts=0, retry_at=None)
    elif link is None or not link.connected:
        timeout = draft.policy.launch_timeout_s
        if draft.expired(node.launched_at if link is None else link.since, timeout):
            _fail_provision(draft, node, NEVER_CAME_UP.format(seconds=timeout))


def _fail_provision(draft: Draft, node: Node, message: str) -> None:
    text = REPLACEMENT_FAILED.format(message=message) if node.replaces else message
    policy = draft.policy
    pause = min(policy.replacement_pause_s * 2.0**node.attempts, policy.replacement_pause_max_s)
    retry_at = draft.now + timedelta(seconds=pause) if node.replaces else None
    draft.set(node, status=NodeStatus.FAILURE, message=text, retry_at=retry_at)


def _follow_running(draft: Draft, node: Node) -> None:
    fault = _fault(draft, node)
    if fault:
        message = f"The instance is unhealthy: {fault}."
        draft.set(node, status=NodeStatus.FAILURE, health=Health.UNHEALTHY, fault=fault, message=message)


def _fault(draft: Draft, node: Node) -> str:
    """The fault type the fleet itself finds in a node that should run; "" when it is alive."""
    machine = draft.seen.machines.get(node.instance_id)
    if machine in (None, MachineState.DEAD, MachineState.ENDING):
        return FAULT_ENDED
    link = draft.seen.links.get(node.instance_id)
    policy = draft.policy
    if link is None:
        silent = draft.expired(node.launched_at, policy.reconnect_grace_s)
    elif link.connected:
        silent = draft.expired(link.heard, policy.heartbeat_timeout_s)
    else:
        silent = draft.expired(link.since, policy.link_lost_grace_s)
    return FAULT_SILENT if silent else ""


def _follow_failure(draft: Draft, node: Node) -> None:
    """A node that was given up for lost and answers again is healthy. A failed provision stays failed."""
    link = draft.seen.links.get(node.instance_id)
    if node.joined and link is not None and link.connected and not _fault(draft, node):
        draft.set(node, status=NodeStatus.RUNNING, health=Health.HEALTHY, fault="", message="")


def _follow_shutting_down(draft: Draft, node: Node) -> None:
    if node.instance_id not in draft.seen.machines:
        del draft.nodes[node.instance_id]


_FOLLOW: dict[NodeStatus, Callable[[Draft, Node], None]] = {
    NodeStatus.PENDING: _follow_pending,
    NodeStatus.RUNNING: _follow_running,
    NodeStatus.FAILURE: _follow_failure,
    NodeStatus.SHUTTING_DOWN: _follow_shutting_down,
    NodeStatus.SYSTEM_UPDATING: _follow_running,
    NodeStatus.DEEP_HEALTH_CHECK: _follow_running,
}


# Pursuing operations: from the cluster's status and nodes to the next status.


def _pursue_creating(draft: Draft) -> None:
    _mend(draft)
    _fill(draft)
    failed = _hopeless(draft)
    if failed is not None:
        groups = [replace(group, status=GroupStatus.FAILED) for group in draft.cluster.groups]
        _roll_back(draft, groups, failed)
    elif _provisioning(draft):
        draft.wait(f"{_provisioning(draft)} of {len(draft.nodes)} instances are being provisioned")
    else:
        draft.move(ClusterStatus.IN_SERVICE, _settled(draft.cluster.groups))


def _pursue_updating(draft: Draft) -> None:
    """Additions first: as long as one may fail, nothing is taken away that a rollback would want back."""
    _mend(draft)
    _fill(draft)
    failed = _hopeless(draft)
    if failed is not None:
        _roll_back(draft, _restored(draft.cluster), failed)
    elif _provisioning(draft):
        draft.wait(f"{_provisioning(draft)} of {len(draft.nodes)} instances are being provisioned")
    elif not _shrinking(draft):
        draft.move(ClusterStatus.IN_SERVICE, _settled(draft.cluster.groups), before=())


def _pursue_rolling_back(draft: Draft) -> None:
    if draft.cluster.before:
        if not _shrinking(draft):
            _mend(draft)
            draft.move(ClusterStatus.IN_SERVICE, _settled(draft.cluster.groups), before=())
    elif not _shrinking(draft):
        draft.move(ClusterStatus.FAILED, draft.cluster.groups)


def _pursue_in_service(draft: Draft) -> None:
    _mend(draft)
    _fill(draft)
    degraded = {node.group for node in draft.nodes.values() if _worn_out(draft, node)}
    status = {True: GroupStatus.DEGRADED, False: GroupStatus.IN_SERVICE}
    groups = tuple(replace(group, status=status[group.name in degraded]) for group in draft.cluster.groups)
    draft.cluster = replace(draft.cluster, groups=groups)


def _pursue_deleting(draft: Draft) -> None:
    draft.gone = not _shrinking(draft)


def _pursue_failed(draft: Draft) -> None:
    _shrinking(draft)


_PURSUE: dict[ClusterStatus, Callable[[Draft], None]] = {
    ClusterStatus.CREATING: _pursue_creating,
    ClusterStatus.UPDATING: _pursue_updating,
    ClusterStatus.SYSTEM_UPDATING: _pursue_updating,
    ClusterStatus.ROLLING_BACK: _pursue_rolling_back,
    ClusterStatus.IN_SERVICE: _pursue_in_service,
    ClusterStatus.DELETING: _pursue_deleting,
    ClusterStatus.FAILED: _pursue_failed,
}


def _fill(draft: Draft) -> None:
    """Add the nodes that groups lack, each at the lowest free place."""
    for group in draft.cluster.groups:
        taken = {node.index for node in draft.of(group)}
        free = (index for index in range(1, group.wanted + 1) if index not in taken)
        for index, _ in zip(free, range(group.wanted - len(draft.of(group))), strict=False):
            draft.add(group, index)


def _hopeless(draft: Draft) -> Node | None:
    """The node for which the operation under way cannot succeed.

    Either it failed on the way in (a replacement is tried again instead), or others wait for it and it stays away.
    """
    failed = [node for node in draft.nodes.values() if node.status is NodeStatus.FAILURE]
    lost = [node for node in failed if not node.joined and not node.replaces]
    if not lost and _provisioning(draft):
        first = controller_group(draft.cluster)
        left = draft.cluster.node_recovery is NodeRecovery.NONE
        lost = [node for node in failed if node.group == first and (left or _worn_out(draft, node))]
    return lost[0] if lost else None


def _roll_back(draft: Draft, groups: Iterable[InstanceGroup], failed: Node) -> None:
    """Turn back, in a step of its own: RollingBack is always seen, however short it is."""
    message = PROVISION_FAILED.format(instance_id=failed.instance_id, message=failed.message)
    draft.move(ClusterStatus.ROLLING_BACK, groups, failure_message=message)
    _shrinking(draft)


def _provisioning(draft: Draft) -> int:
    """How many nodes of the operation are still on their way in."""
    return sum(1 for node in draft.nodes.values() if node.status is NodeStatus.PENDING and not node.replaces)


def _shrinking(draft: Draft) -> bool:
    """Begin to end what groups have too much, and say whether anything is still ending."""
    for group in draft.cluster.groups:
        for node in _surplus(draft.of(group), group.wanted):
            draft.end(node)
    ending = [node for node in draft.nodes.values() if node.status is NodeStatus.SHUTTING_DOWN]
    if ending:
        draft.wait(f"{len(ending)} instances are shutting down")
    return bool(ending)


def _surplus(nodes: list[Node], target: int) -> list[Node]:
    """Which nodes go when there are too many: those that never joined, then the sick, then the highest places."""
    ranked = sorted(nodes, key=lambda node: (node.joined, node.health is Health.HEALTHY, -node.index))
    return ranked[: max(0, len(nodes) - target)]


def _settled(groups: Iterable[InstanceGroup]) -> list[InstanceGroup]:
    """The groups of a finished operation: the deleted ones are gone, the others in service."""
    return [
        replace(group, status=GroupStatus.IN_SERVICE) for group in groups if group.status is not GroupStatus.DELETING
    ]


def _restored(cluster: Cluster) -> list[InstanceGroup]:
    """The groups as they stood before the operation; those it added are on their way out."""
    old = {group.name for group in cluster.before}
    added = [replace(group, target=0, status=GroupStatus.DELETING) for group in cluster.groups if group.name not in old]
    return [*cluster.before, *added]


def _mend(draft: Draft) -> None:
    """Replace what is unhealthy, and what failed while replacing, within the budget. Only if recovery is wanted."""
    if draft.cluster.node_recovery is NodeRecovery.NONE:
        return
    # Where a group has too many nodes anyway, its sick ones go without replacement.
    groups = {group.name: group for group in draft.cluster.groups if len(draft.of(group)) <= group.wanted}
    first = controller_group(draft.cluster)
    pending = [node for node in draft.nodes.values() if node.status is NodeStatus.PENDING]
    under_way = sum(1 for node in pending if node.replaces and node.group != first)
    for node in list(draft.nodes.values()):
        if node.group not in groups or not _to_replace(draft, node):
            continue
        if node.group != first:
            if under_way >= draft.policy.replacements_at_once_max:
                draft.wait(f"{node.instance_id} waits to be replaced: {under_way} replacements are under way")
                continue
            under_way += 1
        draft.end(node)
        attempts = 0 if node.joined else node.attempts + 1
        draft.add(groups[node.group], node.index, replaces=node.instance_id, attempts=attempts)


def _to_replace(draft: Draft, node: Node) -> bool:
    """A member that is unhealthy, or a replacement that failed once its pause is over."""
    if node.status is not NodeStatus.FAILURE:
        return False
    return node.joined or (node.retry_at is not None and draft.expired(node.retry_at, 0))


def _worn_out(draft: Draft, node: Node) -> bool:
    """A place where replacements fail again and again."""
    failed = node.status is NodeStatus.FAILURE and not node.joined
    return failed and node.attempts + 1 >= draft.policy.degraded_after_attempts
