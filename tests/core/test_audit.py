"""The audit: a sound world is left in peace, and each law is missed when it is broken, by its name."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from tests.core.world import BEGIN, SCOPE, SmallWorld, group_spec
from tocsin.core.announce import announce
from tocsin.core.audit import World, audit, unrest
from tocsin.core.tell import line, tell
from tocsin.model.cluster import (
    Cluster,
    ClusterStatus,
    GroupStatus,
    Health,
    Image,
    Node,
    NodeCursor,
    NodeStatus,
    SoftwareUpdate,
    SoftwareUpdateStatus,
)
from tocsin.model.cluster_event import ClusterEvent, EventLevel, ResourceType
from tocsin.model.event import Journaled
from tocsin.model.logs import LogEvent
from tocsin.model.machine import MachineState
from tocsin.model.operation import Counts, Operation, Scaling
from tocsin.model.outbound import Outbound, RetryPolicy
from tocsin.model.rule import Rule, RuleState, Target
from tocsin.model.story import Chapter, StoryLine

CONTROLLER, WORKER = "controller-machine", "worker-group-1"
RULE = Rule(
    scope=SCOPE,
    name="all",
    pattern='{"source": ["aws.sagemaker"]}',
    targets=(Target(id="log", arn="arn:aws:logs:us-west-2:111122223333:log-group:g", spec={}),),
)
OWED = (RULE.arn, "log")


class Recorder(SmallWorld):
    """A small world that announces and tells as the fleet does."""

    def __init__(self, *groups: dict[str, Any], **more: Any) -> None:
        self.journal: list[Journaled] = []
        self.story: list[StoryLine] = []
        super().__init__(*groups, **more)
        self._note(None, {})

    def turn(self) -> bool:
        cluster, nodes = self.cluster, self.nodes
        moved = super().turn()
        self._note(cluster, nodes)
        return moved

    def ask(self, act: Callable[[], None]) -> None:
        cluster, nodes = self.cluster, self.nodes
        act()
        self._note(cluster, nodes)

    def _note(self, cluster: Cluster | None, nodes: dict[str, Node]) -> None:
        if (cluster, nodes) == (self.cluster, self.nodes):
            return
        self.cluster = replace(self.cluster, revision=len(self.journal) + 1) if self.cluster else None
        self.nodes = {
            key: node if node == nodes.get(key) else replace(node, revision=node.revision + 1)
            for key, node in self.nodes.items()
        }
        for event in announce(cluster, self.cluster, nodes, self.nodes, self.now):
            self.journal.append(Journaled(seq=len(self.journal) + 1, event=event))
        self.story += tell(cluster, self.cluster, nodes, self.nodes, self.now)

    def world(self, **changes: Any) -> World:
        lines = tuple(
            LogEvent(id=one.seq, stream="s", at_ms=one.event.at_ms, ingested_ms=0, message=one.event.body.decode())
            for one in self.journal
        )
        world = World(
            clusters=(self.cluster,) if self.cluster else (),
            nodes=tuple(self.nodes.values()),
            cursors=tuple(NodeCursor(scope=SCOPE, instance_id=one, n=3) for one in self.nodes),
            journal=tuple(self.journal),
            routed=len(self.journal),
            rules=(RULE,),
            delivered={OWED: lines},
            story=tuple(self.story),
            machines=self.machines,
        )
        return replace(world, **changes)


def told() -> Recorder:
    """A cluster that was made, lost a worker, grew and shrank, and is in service."""
    recorder = Recorder(group_spec(CONTROLLER, 1), group_spec(WORKER, 2), NodeRecovery="Automatic")
    recorder.settle()
    recorder.kill(recorder.running(WORKER)[0].instance_id)
    recorder.settle()
    recorder.ask(lambda: recorder.request_update(InstanceGroups=[group_spec(WORKER, 3)]))
    recorder.settle()
    return recorder


RECORDER = told()
GOOD = RECORDER.world()
[CLUSTER] = GOOD.clusters
NODE = next(node for node in GOOD.nodes if node.replaces)
OTHER = next(node for node in GOOD.nodes if node.instance_id != NODE.instance_id and node.group == WORKER)


def laws(world: World) -> set[str]:
    return {note.law for note in audit(world)}


def test_a_sound_world_is_left_in_peace_at_every_moment() -> None:
    assert audit(GOOD) == []
    assert unrest(GOOD) == []
    recorder = Recorder(group_spec(CONTROLLER, 1), group_spec(WORKER, 2))
    while recorder.turn():
        assert audit(recorder.world()) == []
    recorder.ask(recorder.request_delete)
    assert {note.law for note in unrest(recorder.world())} >= {"an operation comes to its end"}
    recorder.settle()
    assert recorder.cluster is None
    assert audit(recorder.world()) == []
    assert audit(World(clusters=(), nodes=())) == []


def test_a_failed_cluster_is_sound_and_settled() -> None:
    recorder = Recorder(group_spec(CONTROLLER, 1), group_spec(WORKER, 2))
    recorder.broken = {WORKER}
    recorder.settle()
    assert recorder.statuses[-1] == "Failed"
    assert (audit(recorder.world()), unrest(recorder.world())) == ([], [])


def cluster(**changes: Any) -> World:
    return replace(GOOD, clusters=(replace(CLUSTER, **changes),))


def node(**changes: Any) -> World:
    """The replacement of the good world, changed."""
    return replace(GOOD, nodes=tuple(replace(one, **changes) if one is NODE else one for one in GOOD.nodes))


def groups(**changes: Any) -> tuple[Any, ...]:
    return (CLUSTER.groups[0], replace(CLUSTER.groups[1], **changes))


OPERATION = Operation(
    id="one", created_at=BEGIN, scalings=(Scaling(group=WORKER, original=Counts(), desired=Counts(target=2)),)
)
UPDATE = SoftwareUpdate(status=SoftwareUpdateStatus.PENDING, image=Image(n=1), before=Image())
STEP = ClusterEvent(
    scope=SCOPE,
    cluster_id=CLUSTER.id,
    n=1,
    id="never told",
    at=BEGIN,
    resource_type=ResourceType.CLUSTER,
    level=EventLevel.INFO,
    description="it is said",
)

BROKEN: dict[str, list[World]] = {
    # clusters
    "a cluster's name is its own": [replace(GOOD, clusters=(CLUSTER, replace(CLUSTER, id="zzzzzzzzzzzz")))],
    "a cluster's id is its own": [replace(GOOD, clusters=(CLUSTER, replace(CLUSTER, name="other")))],
    "a group's name is its own in the cluster": [cluster(groups=groups(name=CONTROLLER))],
    "no such group in a cluster that is InService": [
        cluster(groups=groups(status=GroupStatus.UPDATING)),
        cluster(groups=groups(status=GroupStatus.DELETING)),
    ],
    "no such group in a cluster that is Failed": [cluster(status=ClusterStatus.FAILED, failure_message="why")],
    "no such group in a cluster that is Deleting": [cluster(status=ClusterStatus.DELETING)],
    "a cluster has groups": [cluster(groups=())],
    "who fails says why": [
        cluster(status=ClusterStatus.FAILED),
        cluster(status=ClusterStatus.ROLLING_BACK),
        node(status=NodeStatus.FAILURE, health=Health.UNHEALTHY, fault="x"),
    ],
    "an update knows where to go back to": [cluster(status=ClusterStatus.UPDATING)],
    "what is over is not gone back to": [cluster(before=CLUSTER.groups)],
    # nodes
    "an instance id is its own": [node(instance_id=OTHER.instance_id)],
    "an address is its own in the cluster": [node(address=OTHER.address)],
    "two nodes share no place": [node(index=OTHER.index)],
    "a node belongs to a living cluster": [node(cluster_id="zzzzzzzzzzzz"), replace(GOOD, clusters=())],
    "a node belongs to a group of its cluster": [node(group="unheard-of")],
    "an instance was ordered by its cluster": [node(instance_id="i-00000000000000001"), cluster(launches=1)],
    "who is replaced leaves": [node(replaces=OTHER.instance_id)],
    "places count from 1": [node(index=0)],
    "who runs has joined": [node(joined=False)],
    "who is on the way in has not joined": [node(status=NodeStatus.PENDING)],
    "who reboots is pending": [node(reboot_due=True)],
    "who runs and is unhealthy has faults": [node(health=Health.UNHEALTHY, fault="x")],
    "who runs has run its script": [node(script="started")],
    "who is unhealthy has faults, failed, reboots or leaves": [node(health=Health.UNHEALTHY, fault="x")],
    "who is unhealthy has a fault": [node(fault="x"), node(health=Health.UNHEALTHY)],
    "only members turn unhealthy": [node(joined=False, health=Health.UNHEALTHY, fault="x")],
    "a member that fails is unhealthy": [node(status=NodeStatus.FAILURE, message="why")],
    "only who failed on its way in is tried again": [node(joined=True, retry_at=BEGIN)],
    "reports are counted for living nodes only": [
        replace(GOOD, cursors=(NodeCursor(scope=SCOPE, instance_id="i-00000000000000001", n=1),))
    ],
    "a machine belongs to a node": [
        replace(GOOD, machines={**RECORDER.machines, "i-00000000000000001": MachineState.DEAD})
    ],
    # operations
    "one operation at a time scales a group": [cluster(operations=(OPERATION, replace(OPERATION, id="other")))],
    "an operation's id is its own": [cluster(operations=(OPERATION, OPERATION))],
    "only continuous provisioning has scaling operations": [cluster(operations=(OPERATION,))],
    "a logical node is one instance at a time": [
        replace(GOOD, nodes=tuple(replace(one, logical_id="same") for one in GOOD.nodes))
    ],
    "software is updated while the cluster is SystemUpdating": [cluster(groups=groups(update=UPDATE))],
    "a node is updated with its cluster": [node(status=NodeStatus.SYSTEM_UPDATING)],
    "steps are kept of living clusters": [replace(GOOD, steps=(STEP,))],
    "steps are numbered without gap": [replace(GOOD, steps=(STEP, replace(STEP, n=3)))],
    "a step and its event commit together": [replace(GOOD, steps=(STEP,))],
    # journal and story
    "the journal grows": [replace(GOOD, journal=GOOD.journal[::-1])],
    "an event is journaled once": [replace(GOOD, journal=(*GOOD.journal, replace(GOOD.journal[-1], seq=99)))],
    "the router stays within the journal": [replace(GOOD, routed=99)],
    "events tell every status once and in order": [
        replace(GOOD, journal=tuple(one for one in GOOD.journal if b'"InService"' not in one.event.body[:600])),
        replace(GOOD, journal=(*GOOD.journal, replace(GOOD.journal[-1], seq=99))),
    ],
    "a status and its event commit together": [
        cluster(status=ClusterStatus.UPDATING, before=CLUSTER.groups),
        replace(GOOD, journal=()),
        replace(GOOD, journal=GOOD.journal[:-1]),
        replace(GOOD, clusters=(), nodes=()),
    ],
    "health is told when it turns": [
        replace(GOOD, journal=(*GOOD.journal, *(replace(one, seq=99) for one in GOOD.journal if one.seq == 3)))
    ],
    "health and its event commit together": [node(health=Health.UNHEALTHY, fault="x", status=NodeStatus.FAILURE)],
    "the story tells every status": [
        replace(GOOD, story=()),
        replace(GOOD, story=(*RECORDER.story, line(CLUSTER, BEGIN, Chapter.STATUS, "InService → Failed"))),
        replace(GOOD, story=tuple(one for one in RECORDER.story if one.chapter is not Chapter.STATUS)),
    ],
}


@pytest.mark.parametrize(("law", "world"), [(law, world) for law, worlds in BROKEN.items() for world in worlds])
def test_what_is_broken_is_named(law: str, world: World) -> None:
    assert law in laws(world)


def test_what_was_not_looked_at_is_not_judged() -> None:
    assert audit(replace(GOOD, delivered=None, story=None, machines=None)) == []


def test_a_journal_whose_beginning_is_forgotten_is_judged_on_the_rest() -> None:
    for begin in range(len(GOOD.journal)):
        assert audit(replace(GOOD, journal=GOOD.journal[begin:])) == []


# Deliveries.


def delivered(*places: int, **changes: Any) -> World:
    """The good world with these events delivered, in this order."""
    lines = tuple(
        LogEvent(id=number, stream="s", at_ms=0, ingested_ms=0, message=GOOD.journal[place - 1].event.body.decode())
        for number, place in enumerate(places)
    )
    return replace(GOOD, delivered={OWED: lines}, **changes)


EVERY = tuple(range(1, len(GOOD.journal) + 1))


def test_deliveries_are_those_that_the_rules_owe_up_to_the_router() -> None:
    assert audit(delivered(*EVERY)) == []
    assert audit(delivered(*EVERY[:2], routed=2)) == []
    assert audit(delivered(routed=0)) == []
    off = replace(RULE, state=RuleState.DISABLED)
    assert audit(delivered(rules=(off,))) == []
    picky = replace(RULE, pattern='{"detail": {"ClusterStatus": ["Creating"]}}')
    assert audit(delivered(1, rules=(picky,))) == []


@pytest.mark.parametrize(
    ("law", "world"),
    [
        ("what is routed is delivered", delivered(*EVERY[1:])),
        ("what is routed is delivered", delivered(*EVERY[:-1])),
        ("an event is delivered once", delivered(*EVERY, 1)),
        ("only what is owed is delivered", delivered(*EVERY, routed=1)),
        ("only what is owed is delivered", delivered(1, rules=(replace(RULE, state=RuleState.DISABLED),))),
        ("deliveries keep the journal's order", delivered(2, 1, *EVERY[2:])),
    ],
)
def test_a_delivery_too_few_or_too_many_is_named(law: str, world: World) -> None:
    assert law in laws(world)


def test_a_line_that_is_no_event_is_named() -> None:
    line = LogEvent(id=99, stream="s", at_ms=0, ingested_ms=0, message="{}")
    assert GOOD.delivered is not None
    assert laws(replace(GOOD, delivered={OWED: (*GOOD.delivered[OWED], line)})) == {"only events are delivered"}


def test_deliveries_that_were_shaped_are_counted() -> None:
    target = replace(RULE.targets[0], spec={"InputPath": "$.detail"})
    lines = tuple(
        LogEvent(id=one, stream="s", at_ms=0, ingested_ms=0, message=f"event {one}") for one in range(len(EVERY))
    )
    shaped = replace(GOOD, rules=(replace(RULE, targets=(target,)),))
    assert audit(replace(shaped, delivered={OWED: lines})) == []
    assert laws(replace(shaped, delivered={OWED: lines[1:]})) == {"what is routed is delivered"}


def test_what_other_rules_decided_before_is_not_judged() -> None:
    half = len(EVERY) // 2
    assert audit(delivered(*EVERY[half:], rules_since=half)) == []
    assert audit(delivered(*EVERY, rules_since=half)) == []
    assert laws(delivered(*EVERY[half + 1 :], rules_since=half)) == {"what is routed is delivered"}


# Rest.


@pytest.mark.parametrize(
    ("law", "world"),
    [
        ("every event is routed", replace(GOOD, routed=1)),
        ("a group has what it wants", replace(GOOD, nodes=GOOD.nodes[1:])),
        ("a group has what it wants", cluster(groups=groups(target=9))),
        ("a node comes up, or goes", node(status=NodeStatus.PENDING)),
        ("a node comes up, or goes", node(status=NodeStatus.FAILURE, message="why")),
        ("a node has a machine that runs", replace(GOOD, machines={})),
        ("an operation comes to its end", cluster(status=ClusterStatus.UPDATING)),
    ],
)
def test_what_is_not_settled_is_named(law: str, world: World) -> None:
    assert law in {note.law for note in unrest(world)}


def test_a_sick_node_that_is_to_be_left_alone_is_settled() -> None:
    recorder = Recorder(group_spec(CONTROLLER, 1), NodeRecovery="None")
    recorder.settle()
    [sick] = recorder.running(CONTROLLER)
    recorder.kill(sick.instance_id)
    recorder.settle()
    assert recorder.nodes[sick.instance_id].health is Health.UNHEALTHY
    assert (audit(recorder.world()), unrest(recorder.world())) == ([], [])


def test_the_recorder_saw_what_it_should() -> None:
    """Else the good world would be good for nothing."""
    details = [orjson.loads(one.event.body)["detail"] for one in GOOD.journal]
    statuses = [one["ClusterStatus"] for one in details if "ClusterStatus" in one]
    assert statuses == ["Creating", "InService", "Updating", "InService"]
    assert [one["HealthSummary"]["HealthStatus"] for one in details if "HealthSummary" in one] == [
        "Unhealthy",
        "Healthy",
    ]


# What goes outside.


OUTSIDE = Target(id="out", arn="arn:aws:events:us-west-2:111122223333:api-destination/d/u", spec={})
IDS = [entry.event.id for entry in GOOD.journal]


def owed(name: str, **changes: Any) -> Outbound:
    made = Outbound(
        scope=RULE.scope,
        lane="l",
        id=name,
        carrier="api-destination",
        origin=RULE.arn,
        body="",
        about={"arn": OUTSIDE.arn},
        first_ms=0,
        due_ms=0,
    )
    return replace(made, **changes)


def sent_out(carried: list[str], buried: list[str], *left: Outbound) -> World:
    rule = replace(RULE, targets=(*RULE.targets, OUTSIDE))
    return replace(
        GOOD,
        rules=(rule,),
        outbounds=left,
        carried={(RULE.arn, "out"): carried},
        buried={(RULE.arn, OUTSIDE.arn): buried},
    )


def test_what_goes_outside_is_delivered_given_up_or_still_owed() -> None:
    assert audit(sent_out(IDS, [])) == []
    assert audit(sent_out(IDS[:2], IDS[2:3], *map(owed, IDS[3:]))) == []
    assert audit(sent_out([*IDS, *IDS], IDS)) == [], "at least once"
    assert laws(sent_out(IDS[1:], [])) == {"what is routed is delivered, given up or owed"}


FAILED = {"attempts": 1, "revision": 2, "last_code": "c", "last_error": "e"}


@pytest.mark.parametrize(
    ("law", "left"),
    [
        ("a delivery is owed once", (owed("x"), owed("x", first_ms=1, due_ms=1))),
        ("nothing is tried more often than its policy says", (owed("x", **FAILED, retry=RetryPolicy(attempts_max=1)),)),
        ("nothing is due before it was owed", (owed("x", first_ms=2, due_ms=1),)),
        ("nothing is due when it is too old", (owed("x", due_ms=86_400_001),)),
        ("who failed says why", (owed("x", **{**FAILED, "last_error": ""}),)),
        ("each attempt that failed was kept", (owed("x", **{**FAILED, "revision": 3}),)),
    ],
)
def test_a_delivery_that_cannot_come_to_an_end_is_named(law: str, left: tuple[Outbound, ...]) -> None:
    assert law in laws(replace(GOOD, outbounds=left))
    assert audit(replace(GOOD, outbounds=(owed("x"), owed("y", **FAILED, due_ms=1000)))) == []


def test_what_is_owed_is_no_rest() -> None:
    assert "nothing is owed to the outside" in {note.law for note in unrest(replace(GOOD, outbounds=(owed("x"),)))}
