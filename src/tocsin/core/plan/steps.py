"""What the planner is given and what it gives: observations in, steps and a plan out."""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from tocsin.core.members import Members
from tocsin.model.cluster import Cluster, Node
from tocsin.model.machine import LinkSeen, MachineState
from tocsin.model.scheduling import Ran


class Observed(Struct, frozen=True, kw_only=True):
    """What there is. `since` is when this server began to watch: no silence counts from before that.

    `news` are the instances of which something has changed since the last plan. The others that run are left in peace,
    until the time comes at which the plan said it wants to be made again; then, `news` None, everybody is looked at.
    `alarms` are the names of the alarms that are in ALARM, `free` the instances without jobs (None: nobody knows),
    `idle` are those that the workload manager sees without jobs, of those whose faults wait for that.
    `reached` says which instances the workload manager reaches, of those that it knows.
    `looked_at` are the sick instances that rules' commands look at or may yet, and since when (None: nobody would).
    `jobs` is what the workload manager said of nodes with errors of applications (None: it is not asked).
    `domain` tells the failure domain of an instance ("": its machine tells none).
    """

    machines: Mapping[str, MachineState]
    links: Mapping[str, LinkSeen]
    since: datetime
    news: frozenset[str] | None = None
    alarms: frozenset[str] = frozenset()
    free: frozenset[str] | None = None
    idle: frozenset[str] = frozenset()
    reached: Mapping[str, bool] = {}
    looked_at: Mapping[str, datetime] | None = None
    jobs: Mapping[str, Ran] | None = None
    domain: Callable[[str], str] = lambda _: ""


class Launch(Struct, frozen=True):
    """Start the node's machine, or boot it again."""

    node: Node


class Terminate(Struct, frozen=True):
    """End the node's machine and destroy what it stored."""

    node: Node


class RunLifecycle(Struct, frozen=True):
    """Have the node's agent run the lifecycle script."""

    node: Node


class Reboot(Struct, frozen=True):
    """Take the node's machine down and up again."""

    node: Node


class RunDeep(Struct, frozen=True):
    """Have the node's agent check it in depth: `peers` of its group answer it, `ring` are checked with it."""

    node: Node
    peers: tuple[Node, ...]
    ring: tuple[Node, ...] = ()


class ResetGpus(Struct, frozen=True):
    """Have the node's agent reset the GPUs that its record names."""

    node: Node


class Answer(Struct, frozen=True):
    """Have the node's agent answer those that are checked; `work` names the occasion."""

    node: Node
    work: str


Step = Launch | Terminate | RunLifecycle | Reboot | RunDeep | ResetGpus | Answer


class Plan(Struct, frozen=True, kw_only=True):
    """`cluster` None: it is gone. `wake_at`: when time alone may change the answer. `waiting`: why it is not done.

    `held` are the instances whose repairs a budget holds back, and which: cluster, group, domain.
    """

    cluster: Cluster | None
    nodes: Members
    steps: tuple[Step, ...]
    waiting: tuple[str, ...]
    held: dict[str, str]
    wake_at: datetime | None
