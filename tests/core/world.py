"""A world of numbers for the planner: machines start, agents answer, scripts end at once, unless told otherwise."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tests.faults.table import CATALOGUE
from tocsin.core import requests
from tocsin.core.batches import Batch, batch
from tocsin.core.lifecycle import cluster_may_move, group_may_move, node_may_move
from tocsin.core.members import Changing, Members
from tocsin.core.plan import Launch, Observed, Plan, Reboot, ResetGpus, RunLifecycle, Terminate, plan, taken
from tocsin.core.plan.order import order
from tocsin.core.policy import FleetPolicy
from tocsin.core.software import update_software
from tocsin.model.cluster import Cluster, Node, NodeStatus, ScriptState
from tocsin.model.machine import LinkSeen, MachineState
from tocsin.model.names import Scope

SCOPE = Scope("111122223333", "us-west-2")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PASSES_MAX = 300
QUIET_WAKES = 10  # more times in a row than there are deadlines a cluster can wait for


def group_spec(name: str, count: int, **more: Any) -> dict[str, Any]:
    return {
        "InstanceGroupName": name,
        "InstanceCount": count,
        "InstanceType": "ml.t3.medium",
        "ExecutionRole": "arn:aws:iam::111122223333:role/hyperpod",
        "LifeCycleConfig": {"SourceS3Uri": "s3://bucket/config/", "OnCreate": "on_create.sh"},
        **more,
    }


class SmallWorld:
    """One cluster. Scripts of groups in `broken` fail; every pass checks that statuses move lawfully."""

    def __init__(self, *groups: dict[str, Any], policy: FleetPolicy | None = None, **request: Any) -> None:
        self.now = self.since = BEGIN
        self.policy = policy or FleetPolicy()
        asked = {"ClusterName": "small", "InstanceGroups": list(groups), **request}
        self.cluster: Cluster | None = requests.create(asked, scope=SCOPE, cluster_id="abcdefghijkl", now=BEGIN)
        self.nodes: dict[str, Node] = {}
        self.machines: dict[str, MachineState] = {}
        self.links: dict[str, LinkSeen] = {}
        self.broken: set[str] = set()
        self.alarms: frozenset[str] = frozenset()
        self.statuses: list[str] = ["Creating"]
        self.scripts: list[str] = []
        self.reboots: list[str] = []
        self.replacing_most = 0

    @property
    def living(self) -> Cluster:
        assert self.cluster is not None
        return self.cluster

    def made(self) -> Plan:
        seen = Observed(machines=self.machines, links=self.links, since=self.since, alarms=self.alarms)
        return plan(self.living, self.nodes, seen, self.policy, self.now, catalogue=CATALOGUE)

    def turn(self) -> bool:
        """Plan once, record it, take its steps. False when there is nothing left to do."""
        made = self.made()
        still = made.cluster == self.cluster and made.nodes == self.nodes
        self._record(made)
        for step in made.steps:
            match step:
                case Launch(node):
                    self._come_up(node)
                case Terminate(node):
                    self.machines.pop(node.instance_id, None)
                    self.links.pop(node.instance_id, None)
                case RunLifecycle(node):
                    self._run_script(node)
                case Reboot(node):
                    self._reboot(node)
                case ResetGpus(node):  # the agent is told, and answers when a test says so
                    self._hand_over(node, node.reset_work)
            trace = taken(step, self.now)
            if trace:
                self.nodes[trace.instance_id] = trace
        return not still or bool(made.steps)

    def settle(self) -> None:
        """Turn until neither another look nor the time that is waited for changes anything."""
        quiet = 0
        for _ in range(PASSES_MAX):
            if self.cluster is None or quiet > QUIET_WAKES:
                return
            if self.turn():
                quiet = 0
                continue
            quiet += 1
            self.pass_time()
        raise AssertionError(f"not settled after {PASSES_MAX} passes: {self.made()}")

    def pass_time(self) -> None:
        """Move on to the next time the plan waits for, with every agent giving signs of life, and turn."""
        wake_at = self.made().wake_at
        if wake_at is not None and wake_at > self.now:
            self.now = wake_at
        self.beat()
        self.turn()

    def step(self) -> None:
        """Turn; where that changes nothing, let time pass."""
        if not self.turn():
            self.pass_time()

    def skip_to(self, moment: datetime) -> None:
        """It is later, and all agents gave signs of life meanwhile."""
        self.now = moment
        self.beat()
        self.turn()

    def beat(self) -> None:
        self.links = {
            key: replace(link, heard=self.now) if link.connected else link for key, link in self.links.items()
        }

    def kill(self, instance_id: str) -> None:
        """kill -9 of the agent: its machine is dead and its link closed."""
        self.machines[instance_id] = MachineState.DEAD
        self.links[instance_id] = LinkSeen(connected=False, since=self.now, heard=self.now)

    def request_update(self, **request: Any) -> None:
        asked = {"ClusterName": "small", **request}
        self._ask(requests.update(self.living, asked, self.now, self.nodes.values()))

    def _ask(self, cluster: Cluster) -> None:
        self._check_groups(cluster)
        self.cluster = cluster
        self.statuses.append(cluster.status)

    def _check_groups(self, after: Cluster) -> None:
        groups = {group.name: group.status for group in self.living.groups}
        for group in after.groups:
            assert group_may_move(groups.get(group.name), group.status), (groups, group)

    def request_software(self, **request: Any) -> None:
        self._ask(update_software(self.living, {"ClusterName": "small", **request}))

    def request_batch(self, operation: str, *ids: str) -> Batch:
        made = batch(operation, self.living, self.nodes, {"ClusterName": "small", "NodeIds": list(ids)}, self.now)
        if made.cluster.status != self.living.status:
            self.statuses.append(made.cluster.status)
        self.cluster, self.nodes = made.cluster, dict(made.nodes)
        return made

    def request_delete(self) -> None:
        self.cluster = requests.delete(self.living)
        self.statuses.append(self.cluster.status)

    def running(self, group: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.group == group and node.status is NodeStatus.RUNNING]

    def status_of(self, group: str) -> str:
        return next(one.status for one in self.living.groups if one.name == group)

    def _record(self, made: Plan) -> None:
        status = made.cluster.status if made.cluster else None
        assert cluster_may_move(self.living.status, status, continuous=self.living.continuous)
        if made.cluster:
            self._check_groups(made.cluster)
        for key in self.nodes.keys() | made.nodes.keys():
            old, new = self.nodes.get(key), made.nodes.get(key)
            assert node_may_move(old.status if old else None, new.status if new else None), (old, new)
        if made.cluster and made.cluster.status != self.living.status:
            self.statuses.append(made.cluster.status)
        self.cluster, self.nodes = made.cluster, dict(made.nodes)
        pending = [one for one in self.nodes.values() if one.status is NodeStatus.PENDING]
        self.replacing_most = max(self.replacing_most, sum(bool(one.replaces) or one.rebooting for one in pending))

    def _come_up(self, node: Node) -> None:
        self.machines[node.instance_id] = MachineState.RUNNING
        self.links[node.instance_id] = LinkSeen(connected=True, since=self.now, heard=self.now)

    def _reboot(self, node: Node) -> None:
        """Down and up in no time."""
        self.reboots.append(node.instance_id)
        self._come_up(node)

    def _hand_over(self, node: Node, work: str) -> None:
        link = self.links[node.instance_id]
        self.links[node.instance_id] = replace(link, ordered=link.ordered | {work})

    def _run_script(self, node: Node) -> None:
        self.scripts.append(node.group)
        self._hand_over(node, node.script_work)
        ended = ScriptState.FAILED if node.group in self.broken else ScriptState.SUCCEEDED
        self.nodes[node.instance_id] = replace(self.nodes[node.instance_id], script=ended)


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def large_cluster(nodes: int) -> tuple[Cluster, Members]:
    """A cluster of so many nodes, ordered all at once, in two groups."""
    half = nodes // 2
    groups = [group_spec("controller-machine", nodes - half), group_spec("worker-group-1", half)]
    asked = {"ClusterName": "large", "InstanceGroups": groups}
    cluster = requests.create(asked, scope=SCOPE, cluster_id="abcdefghijkl", now=BEGIN)
    members = Changing({})
    for group in cluster.groups:
        for index in range(1, group.target + 1):
            cluster, node = order(cluster, group, index, members, BEGIN)
            members[node.instance_id] = node
    return cluster, Members(members)
