"""The whole world at one moment -> what is broken in it. Called by tests and by whoever doubts a data directory.

`audit` names what must never be seen, at no moment and after no crash; `unrest` names what must be over once nobody
asks, nothing fails and time has passed. Both know records, journal, story and deliveries; how they were read, not.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec
from msgspec import Struct, field

from tocsin.core.announce import NODE_HEALTH, SOURCE, STATE_CHANGE
from tocsin.core.lifecycle import CLUSTER_MOVES
from tocsin.core.routing import BusName, RuleIndex, route
from tocsin.core.tell import status_words
from tocsin.model.cluster import (
    Cluster,
    ClusterStatus,
    GroupStatus,
    Health,
    Node,
    NodeCursor,
    NodeRecovery,
    NodeStatus,
    ScriptState,
)
from tocsin.model.event import Journaled
from tocsin.model.logs import LogEvent
from tocsin.model.machine import MachineState
from tocsin.model.names import derived_instance_id
from tocsin.model.rule import Rule
from tocsin.model.story import Chapter, StoryLine

# (rule ARN, target id): what each target of a rule was sent.
Owed = tuple[str, str]


class World(Struct, frozen=True, kw_only=True):
    """What there is. What was not looked at is None, and not judged.

    `journal` is all that is kept of it, in order; `routed` where the router stands in it. `rules_since` is the place
    after which the rules and their log groups are as they are now: what came before was routed by others. `delivered`
    holds the lines of each target's stream.
    """

    clusters: tuple[Cluster, ...]
    nodes: tuple[Node, ...]
    cursors: tuple[NodeCursor, ...] = ()
    journal: tuple[Journaled, ...] = ()
    routed: int = 0
    rules: tuple[Rule, ...] = ()
    rules_since: int = 0
    delivered: Mapping[Owed, tuple[LogEvent, ...]] | None = None
    story: tuple[StoryLine, ...] | None = None
    machines: Mapping[str, MachineState] | None = None


class Note(Struct, frozen=True):
    """`law` is the sentence that does not hold, `about` whom it concerns, `what` is seen instead."""

    law: str
    about: str
    what: str = ""


def audit(world: World) -> list[Note]:
    """What is broken; nothing in a sound world, whenever one looks."""
    return [note for check in _CHECKS for note in check(world)]


def unrest(world: World) -> list[Note]:
    """What is not settled yet. Empty once the fleet and the bus have done all there is to do."""
    notes = [note for cluster in world.clusters for note in _unrest_of(cluster, world)]
    last = world.journal[-1].seq if world.journal else 0
    if world.routed < last:
        notes.append(Note("every event is routed", "the router", f"stands at {world.routed} of {last}"))
    return notes


# Clusters.

_GROUPS_OF: dict[ClusterStatus, frozenset[GroupStatus]] = {
    ClusterStatus.IN_SERVICE: frozenset({GroupStatus.IN_SERVICE, GroupStatus.DEGRADED}),
    ClusterStatus.FAILED: frozenset({GroupStatus.FAILED}),
    ClusterStatus.DELETING: frozenset({GroupStatus.DELETING}),
}


def _clusters(world: World) -> Iterable[Note]:
    names = ((one.scope, one.name) for one in world.clusters)
    yield from _twins("a cluster's name is its own", names)
    yield from _twins("a cluster's id is its own", (one.arn for one in world.clusters))
    for cluster in world.clusters:
        about, status = cluster.name, cluster.status
        yield from _twins("a group's name is its own in the cluster", ((about, group.name) for group in cluster.groups))
        lawful = _GROUPS_OF.get(status)
        for group in cluster.groups:
            if lawful is not None and group.status not in lawful:
                yield Note(f"no such group in a cluster that is {status}", about, f"{group.name} is {group.status}")
        if not cluster.groups:
            yield Note("a cluster has groups", about)
        if status in (ClusterStatus.FAILED, ClusterStatus.ROLLING_BACK) and not cluster.failure_message:
            yield Note("who fails says why", about, f"{status} without FailureMessage")
        if status in (ClusterStatus.UPDATING, ClusterStatus.SYSTEM_UPDATING) and not cluster.before:
            yield Note("an update knows where to go back to", about)
        if status in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED, ClusterStatus.DELETING) and cluster.before:
            yield Note("what is over is not gone back to", about, f"{status} keeps groups of before")


# Nodes.


def _nodes(world: World) -> Iterable[Note]:
    homes = {(cluster.scope, cluster.id): cluster for cluster in world.clusters}
    yield from _twins("an instance id is its own", (node.instance_id for node in world.nodes))
    yield from _twins("an address is its own in the cluster", ((node.cluster_id, node.address) for node in world.nodes))
    staying = (node for node in world.nodes if node.status is not NodeStatus.SHUTTING_DOWN)
    yield from _twins("two nodes share no place", ((node.cluster_id, node.name) for node in staying))
    for node in world.nodes:
        cluster = homes.get((node.scope, node.cluster_id))
        if cluster is None:
            yield Note("a node belongs to a living cluster", node.instance_id, f"{node.cluster_id} is not there")
            continue
        if node.group not in {group.name for group in cluster.groups}:
            yield Note("a node belongs to a group of its cluster", node.instance_id, node.group)
        yield from _node_itself(node)
    yield from _ordered(world, homes.values())
    yield from _replaced(world)


def _ordered(world: World, clusters: Iterable[Cluster]) -> Iterable[Note]:
    lawful = {derived_instance_id(one.id, number) for one in clusters for number in range(1, one.launches + 1)}
    for node in world.nodes:
        if node.instance_id not in lawful:
            yield Note("an instance was ordered by its cluster", node.instance_id, f"not among those of {node.name}")


def _replaced(world: World) -> Iterable[Note]:
    nodes = {node.instance_id: node for node in world.nodes}
    for node in world.nodes:
        old = nodes.get(node.replaces)
        if old is not None and old.status is not NodeStatus.SHUTTING_DOWN:
            yield Note("who is replaced leaves", old.instance_id, f"{old.status}, replaced by {node.instance_id}")


def _node_itself(node: Node) -> Iterable[Note]:
    """What the members of one record say of each other."""
    status, sick = node.status, node.health is Health.UNHEALTHY
    lawful = {
        "places count from 1": node.index >= 1,
        "who runs has joined": status is not NodeStatus.RUNNING or node.joined,
        "who is on the way in has not joined": status is not NodeStatus.PENDING or not node.joined,
        "who runs is healthy": status is not NodeStatus.RUNNING or not sick,
        "who runs has run its script": status is not NodeStatus.RUNNING
        or node.script in (ScriptState.NONE, ScriptState.SUCCEEDED),
        "who is unhealthy has failed or leaves": not sick or status in (NodeStatus.FAILURE, NodeStatus.SHUTTING_DOWN),
        "who is unhealthy has a fault": sick == bool(node.fault),
        "only members turn unhealthy": not sick or node.joined,
        "who fails says why": status is not NodeStatus.FAILURE or bool(node.message),
        "a member that fails is unhealthy": status is not NodeStatus.FAILURE or node.joined == sick,
        "only a replacement is tried again": node.retry_at is None or bool(node.replaces),
    }
    return [Note(law, node.instance_id, f"{status}, {node.health}") for law, holds in lawful.items() if not holds]


def _node_cursors(world: World) -> Iterable[Note]:
    known = {(node.scope, node.instance_id) for node in world.nodes}
    for cursor in world.cursors:
        if (cursor.scope, cursor.instance_id) not in known:
            yield Note("reports are counted for living nodes only", cursor.instance_id, f"stands at {cursor.n}")


def _machines(world: World) -> Iterable[Note]:
    known = {node.instance_id for node in world.nodes}
    for instance_id, state in (world.machines or {}).items():
        if instance_id not in known:
            yield Note("a machine belongs to a node", instance_id, f"it is {state}")


# The journal: what was announced follows from what happened.


class _Summary(Struct):
    status: str = field(name="HealthStatus", default="")


class _Detail(Struct):
    arn: str = field(name="ClusterArn", default="")
    status: str = field(name="ClusterStatus", default="")
    instance_id: str = field(name="InstanceId", default="")
    health: _Summary | None = field(name="HealthSummary", default=None)


class _Announced(Struct):
    id: str
    source: str
    detail_type: str = field(name="detail-type")
    detail: msgspec.Raw


_envelope = msgspec.json.Decoder(_Announced).decode
_detail = msgspec.json.Decoder(_Detail).decode


def _journal(world: World) -> Iterable[Note]:
    for one, two in pairwise(world.journal):
        if one.seq >= two.seq:
            yield Note("the journal grows", str(two.seq), f"stands behind {one.seq}")
    yield from _twins("an event is journaled once", ((one.event.scope, one.event.id) for one in world.journal))
    if world.journal and world.routed > world.journal[-1].seq:
        yield Note("the router stays within the journal", "the router", f"stands at {world.routed}")


def _announced(world: World, detail_type: str) -> list[_Detail]:
    """Our own events of a type, in the order of the journal."""
    envelopes = (_envelope(entry.event.body) for entry in world.journal)
    return [_detail(one.detail) for one in envelopes if (one.source, one.detail_type) == (SOURCE, detail_type)]


def _histories(world: World) -> dict[str, list[ClusterStatus | None]]:
    """The statuses of each cluster as they were announced, by ARN. They begin with None unless that is forgotten."""
    whole = not world.journal or world.journal[0].seq == 1
    histories: dict[str, list[ClusterStatus | None]] = {}
    for detail in _announced(world, STATE_CHANGE):
        histories.setdefault(detail.arn, [None] if whole else []).append(ClusterStatus(detail.status))
    return histories


def _state_changes(world: World) -> Iterable[Note]:
    living = {cluster.arn: cluster for cluster in world.clusters}
    histories = _histories(world)
    for arn, statuses in histories.items():
        for before, after in pairwise(statuses):
            if after not in CLUSTER_MOVES[before]:
                yield Note("events tell every status once and in order", arn, f"{before} → {after}")
        now, last = living[arn].status if arn in living else None, statuses[-1]
        if last != now and not (now is None and None in CLUSTER_MOVES[last]):
            yield Note("a status and its event commit together", arn, f"told {last}, is {now}")
    for arn in living.keys() - histories.keys():
        if not world.journal or world.journal[0].seq == 1:
            yield Note("a status and its event commit together", arn, "nothing was told")


def _health_events(world: World) -> Iterable[Note]:
    told: dict[str, list[str]] = defaultdict(list)
    for detail in _announced(world, NODE_HEALTH):
        told[detail.instance_id].append(detail.health.status if detail.health else "")
    for instance_id, healths in told.items():
        if any(one == two for one, two in pairwise(healths)):
            yield Note("health is told when it turns", instance_id, " → ".join(healths))
    for node in world.nodes:
        last = told[node.instance_id][-1:] or [Health.HEALTHY]
        if last != [node.health]:
            yield Note("health and its event commit together", node.instance_id, f"told {last[0]}, is {node.health}")


def _told(world: World) -> Iterable[Note]:
    """The story has every status, in the words of core/tell, and no other."""
    if world.story is None:
        return
    living = {cluster.arn for cluster in world.clusters}
    words: dict[str, list[str]] = defaultdict(list)
    for line in world.story:
        if line.chapter is Chapter.STATUS and not line.what.startswith("group "):
            words[line.cluster_id].append(line.what)
    for arn, statuses in _histories(world).items():
        whole = statuses if arn in living else [*statuses, None]
        expected = [status_words(before, after) for before, after in pairwise(whole)]
        found = words[arn.rpartition("/")[2]]
        if found[-len(expected) :] != expected or (statuses[0] is None and found != expected):
            yield Note("the story tells every status", arn, f"{found} instead of {expected}")


# Deliveries.


def _deliveries(world: World) -> Iterable[Note]:
    if world.delivered is None:
        return
    owed = _owed(world)
    places = {entry.event.body.decode(): entry.seq for entry in world.journal}
    first = world.journal[0].seq if world.journal else world.routed + 1
    for target in {**owed, **world.delivered}:
        name = " ".join(target)
        expected = owed.get(target, [])
        lines = sorted(world.delivered.get(target, ()), key=lambda line: line.id)
        sent = [places.get(line.message, 0) for line in lines]
        # What the journal has forgotten, or other rules decided, is not judged; but nothing comes out of nowhere.
        judged = [seq for seq in sent if seq > world.rules_since]
        if 0 in sent and first == 1:
            yield Note("only events are delivered", name, f"{sent.count(0)} lines are none")
        for seq, times in Counter(sent).items():
            if seq and times > 1:
                yield Note("an event is delivered once", name, f"{seq} came {times} times")
        if missing := sorted(set(expected) - set(judged)):
            yield Note("what is routed is delivered", name, f"{missing} did not come")
        if surplus := sorted(set(judged) - set(expected)):
            yield Note("only what is owed is delivered", name, f"{surplus} came")
        if sorted(judged) != judged:
            yield Note("deliveries keep the journal's order", name, f"{judged}")


def _owed(world: World) -> dict[Owed, list[int]]:
    """The places of the events that each target is owed by now."""
    by_bus: dict[BusName, list[Rule]] = defaultdict(list)
    for rule in world.rules:
        by_bus[rule.scope, rule.bus].append(rule)
    indexes = {bus: RuleIndex.of(rules) for bus, rules in by_bus.items()}
    owed: dict[Owed, list[int]] = defaultdict(list)
    for entry in world.journal:
        rules = indexes.get((entry.event.scope, entry.event.bus))
        if rules is None or not world.rules_since < entry.seq <= world.routed:
            continue
        deliveries, _unfit = route(entry.event, rules, ingested_at="")
        for one in deliveries:
            owed[one.rule.arn, one.target.id].append(entry.seq)
    return owed


_CHECKS: Sequence[Callable[[World], Iterable[Note]]] = (
    _clusters,
    _nodes,
    _node_cursors,
    _machines,
    _journal,
    _state_changes,
    _health_events,
    _told,
    _deliveries,
)


def _twins(law: str, keys: Iterable[Hashable]) -> Iterable[Note]:
    return [Note(law, str(key), f"{times} of them") for key, times in Counter(keys).items() if times > 1]


# Rest.


def _unrest_of(cluster: Cluster, world: World) -> Iterable[Note]:
    about, members = cluster.name, [node for node in world.nodes if node.cluster_id == cluster.id]
    if cluster.status not in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED):
        yield Note("an operation comes to its end", about, cluster.status)
        return
    for group in cluster.groups:
        there = sum(node.group == group.name for node in members)
        if there != group.wanted:
            yield Note("a group has what it wants", about, f"{there} of {group.wanted} in {group.name}")
    for node in members:
        yield from _unrest_at(node, cluster, world.machines)


def _unrest_at(node: Node, cluster: Cluster, machines: Mapping[str, MachineState] | None) -> Iterable[Note]:
    left = cluster.node_recovery is NodeRecovery.NONE and node.status is NodeStatus.FAILURE
    if node.status is not NodeStatus.RUNNING and not left:
        yield Note("a node comes up, or goes", node.instance_id, f"{node.status} {node.message}")
    if machines is not None and not left and machines.get(node.instance_id) is not MachineState.RUNNING:
        yield Note("a node has a machine that runs", node.instance_id, str(machines.get(node.instance_id)))
