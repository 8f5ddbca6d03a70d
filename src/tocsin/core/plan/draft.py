"""The plan while it is being made: the cluster and nodes as they will be recorded, and the steps that follow.

Both halves of the planner, following nodes and pursuing operations, write into one draft.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from tocsin.core.faults import Catalogue, HealthPolicy
from tocsin.core.members import Changing, Members, passing, stays
from tocsin.core.plan.order import order
from tocsin.core.plan.steps import Launch, Observed, Plan, Reboot, RunLifecycle, Step, Terminate
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Cluster, ClusterStatus, InstanceGroup, Node, NodeStatus, ScriptState
from tocsin.model.machine import MachineState


def controller_group(cluster: Cluster) -> str:
    """The group whose nodes come first: Slurm's controller; "" when the orchestrator is Kubernetes.

    Where no group is named as such, the first of the request.
    """
    if "Eks" in (cluster.spec.get("Orchestrator") or {}):
        return ""
    return named_controller_group(cluster) or cluster.groups[0].name


def named_controller_group(cluster: Cluster) -> str:
    """The group that is Slurm's controller by its SlurmConfig, else by its name; "" when there is none."""
    if "Eks" in (cluster.spec.get("Orchestrator") or {}):
        return ""
    for group in cluster.groups:
        if (group.spec.get("SlurmConfig") or {}).get("NodeType") == "Controller":
            return group.name
    return next((group.name for group in cluster.groups if "controller" in group.name.lower()), "")


_MOVED_BY_NEWS = (NodeStatus.PENDING, NodeStatus.SHUTTING_DOWN)


class Draft:
    """The plan while it is being made."""

    def __init__(
        self,
        cluster: Cluster,
        nodes: Mapping[str, Node],
        seen: Observed,
        policy: FleetPolicy,
        health: HealthPolicy,
        catalogue: Catalogue,
        now: datetime,
    ) -> None:
        self.cluster: Cluster = cluster
        self._was = cluster
        self.gone = False
        self._recorded = Members(nodes)
        self.nodes = Changing(self._recorded)
        self.seen = seen
        self.policy = policy
        self.health = health
        self.catalogue = catalogue
        self.now = now
        self._steps: list[Step] = []
        self._waiting: list[str] = []
        self.held: dict[str, str] = {}  # by instance: the budget that holds its repair back
        self._wake_at: datetime | None = None
        self._ready = True  # whether scripts may run outside the controller group; asked for with the steps
        self._behind = 0  # nodes whose scripts wait for the controller group

    def result(self) -> Plan:
        return Plan(
            cluster=None if self.gone else self.cluster,
            nodes=Members(self.nodes),
            steps=tuple(self._steps),
            waiting=tuple(self._waiting),
            held=self.held,
            wake_at=self._wake_at,
        )

    def set(self, node: Node, **changes: object) -> None:
        self.nodes[node.instance_id] = replace(node, **changes)

    def was(self, node: Node) -> NodeStatus | None:
        """The status the node has on record: a plan takes it at most one step of the law further."""
        recorded = self._recorded.get(node.instance_id)
        return recorded.status if recorded else None

    def end(self, node: Node) -> None:
        """Have the node shut down. One that this very plan added was never there."""
        if node.instance_id in self._recorded:
            self.set(node, status=NodeStatus.SHUTTING_DOWN)
        else:
            del self.nodes[node.instance_id]

    def move(self, status: ClusterStatus, groups: Iterable[InstanceGroup], **changes: object) -> None:
        self.cluster = replace(self.cluster, status=status, groups=tuple(groups), **changes)

    def step(self, step: Step) -> None:
        self._steps.append(step)

    def wait(self, reason: str) -> None:
        self._waiting.append(reason)

    def expired(self, since: datetime, seconds: float) -> bool:
        """Whether the time is over; when not, the plan is to be made again at its end."""
        end = max(since, self.seen.since) + timedelta(seconds=seconds)
        if self.now >= end:
            return True
        self._wake(end)
        return False

    def wake_ms(self, at_ms: int) -> None:
        """Plan again at this time; 0: there is none."""
        if at_ms:
            self._wake(datetime.fromtimestamp(at_ms / 1000, UTC))

    def _wake(self, at: datetime) -> None:
        self._wake_at = at if self._wake_at is None else min(self._wake_at, at)

    def restless(self) -> list[Node]:
        """The nodes to be looked at: in a large cluster most run, and nothing is new of them."""
        news = self.seen.news
        return list(self.nodes.values() if news is None else self.nodes.stirred_or(news))

    def moved(self) -> list[Node]:
        """Of the restless those that may be elsewhere by now. One on its way in or out is moved by what is seen of it,
        or by time: without news it is where it was."""
        news = self.seen.news
        if news is None:
            return self.restless()
        return [node for node in self.restless() if node.status not in _MOVED_BY_NEWS or node.instance_id in news]

    def size(self, group: InstanceGroup) -> int:
        """How many nodes of the group are meant to stay."""
        return self.nodes.glance.sizes[group.name]

    def of(self, group: InstanceGroup) -> list[Node]:
        """The group's nodes that are meant to stay."""
        return [node for node in self.nodes.values() if node.group == group.name and stays(node)]

    def add(self, group: InstanceGroup, index: int, *, replaces: str = "", attempts: int = 0) -> None:
        """A new node at a place of the group. Its id follows from the cluster's count of launches: never twice.

        A replacement inherits what was mended at its place.
        """
        before = self.nodes.get(replaces)
        self.cluster, node = order(self.cluster, group, index, self.nodes, self.now, before=before, attempts=attempts)
        self.nodes[node.instance_id] = node

    def list_steps(self) -> None:
        """Steps follow from the nodes as they now stand and from what is seen of them."""
        first = controller_group(self.cluster)
        self._ready = _controller_ready(self.cluster, first, self.nodes)
        for node in self._turned(first):
            machine = self.seen.machines.get(node.instance_id)
            if node.status is NodeStatus.SHUTTING_DOWN:
                if machine not in (None, MachineState.ENDING):
                    self._steps.append(Terminate(node))
            elif node.reboot_due:
                self._steps.append(Reboot(node))
            elif node.status is not NodeStatus.FAILURE and self._wanted(node):
                self._list_running_steps(node, machine, first)
            elif node.joined and machine is MachineState.STOPPED:
                self._steps.append(Launch(node))  # given up for lost, then put to rest: it may be well when it is back
        coming = self.nodes.glance.coming
        behind = self._behind + (0 if self._ready else coming.total() - coming[first])
        if behind:
            self.wait(f"{behind} instances wait for the nodes of {first}, which come first")

    def _turned(self, first: str) -> list[Node]:
        """Those whose steps may be others than at the last plan: who is not at rest, who has news, whom this plan has
        changed. Everybody, as long as some are on their way in, once scripts may run that had to wait, and when the
        cluster turns to something else."""
        news, was = self.seen.news, self._was
        opened = self._ready and not _controller_ready(was, controller_group(was), self._recorded)
        turned = (was.status, was.reverting) != (self.cluster.status, self.cluster.reverting)
        if news is None or (self.nodes.glance.coming.total() and (opened or turned)):
            return list(self.nodes.values())
        return list(self.nodes.stirred_or(news | self.nodes.touched))

    def _wanted(self, node: Node) -> bool:
        """Whether the node is to be helped up: not one on its way into what is being taken back."""
        taken_back = self.cluster.status is ClusterStatus.ROLLING_BACK and not self.cluster.reverting
        return node.joined or not taken_back

    def _list_running_steps(self, node: Node, machine: MachineState | None, first: str) -> None:
        if machine is MachineState.STOPPED or (machine is None and node.status is NodeStatus.PENDING):
            self._steps.append(Launch(node))
        if node.script not in (ScriptState.WAITING, ScriptState.STARTED) or node.rebooting:
            return
        link = self.seen.links.get(node.instance_id)
        if link is None or not link.connected or node.script_work in link.ordered:
            return
        if self._ready or node.group == first or (node.joined and self._controller_lost(first)):
            self._steps.append(RunLifecycle(node))
        elif not passing(node):
            self._behind += 1

    def _controller_lost(self, first: str) -> bool:
        """Whether no node of the controller group is on its way: a member that is updated does not wait for one that is
        lost and left so."""
        rest = (NodeStatus.RUNNING, NodeStatus.FAILURE)
        others = (node for node in self.nodes.stirred() if node.group == first)
        return not self.nodes.glance.coming[first] and all(node.status in rest for node in others)


def _controller_ready(cluster: Cluster, first: str, members: Members) -> bool:
    """Whether scripts may run outside the controller group: its nodes go first, and must all be there; with continuous
    provisioning one of them is enough."""
    if not first:
        return True
    group = next(group for group in cluster.groups if group.name == first)
    return members.glance.running[first] >= (min(1, group.wanted) if cluster.continuous else group.wanted)
