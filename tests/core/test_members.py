"""What is known of a cluster's nodes at a glance is what looking at all of them would tell, whatever was done to them;
and a plan that looks only at those of whom there is something to see is the plan that looks at everybody."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_plan import act, acts, counts
from tests.core.world import SCOPE, SmallWorld, group_spec
from tests.faults.table import CATALOGUE
from tocsin.core import layers
from tocsin.core.members import Changing, Members, calm, passing, stays
from tocsin.core.plan import Observed, Plan, plan
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Node, NodeStatus, Repair, ScriptState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("i-1", "i-2", "i-3", "i-4")


def node(
    key: str, group: str, status: NodeStatus, repair: Repair | None, advice: str, address: str, *, joined: bool
) -> Node:
    return Node(
        scope=SCOPE,
        cluster_id="c",
        group=group,
        index=1,
        instance_id=key,
        instance_type="ml.t3.medium",
        address=address,
        status=status,
        launched_at=BEGIN,
        script=ScriptState.NONE,
        repair=repair,
        advice=advice,
        joined=joined,
    )


NODES = st.builds(
    node,
    st.sampled_from(KEYS),
    st.sampled_from(["a", "b"]),
    st.sampled_from(list(NodeStatus)),
    st.sampled_from([None, Repair.REPLACE]),
    st.sampled_from(["", "look"]),
    st.sampled_from(["127.64.0.1", "127.64.0.2"]),
    joined=st.booleans(),
)
STEPS = st.lists(NODES | st.sampled_from(KEYS), max_size=6)


def changed(before: Members, steps: list[Node | str]) -> Members:
    made = Changing(before)
    for step in steps:
        if isinstance(step, Node):
            made[step.instance_id] = step
        elif step in made:
            del made[step]
    return Members(made)


def check(members: Members, everybody: dict[str, Node], news: frozenset[str]) -> None:
    assert dict(members) == everybody
    assert len(members) == len(everybody)
    fresh = Members(everybody)
    assert members == fresh
    assert members.stirred() == fresh.stirred()
    stirred = {key for key, one in everybody.items() if not calm(one) and not passing(one)}
    assert {one.instance_id for one in members.stirred()} == stirred
    assert {one.instance_id for one in members.restless()} == {key for key, one in everybody.items() if not calm(one)}
    staying = [one for one in everybody.values() if stays(one)]
    glance = members.glance
    assert +glance.sizes == Counter(one.group for one in staying)
    assert +glance.joined == Counter(one.group for one in staying if one.joined)
    assert +glance.coming == Counter(one.group for one in staying if passing(one))
    assert +glance.leaving == Counter(one.group for one in everybody.values() if not stays(one))
    assert +glance.running == Counter(one.group for one in everybody.values() if one.status is NodeStatus.RUNNING)
    assert dict(members.glance.addresses) == Counter(one.address for one in everybody.values())
    assert members.glance.nameless == len(everybody)
    looked_at = [one.instance_id for one in members.stirred_or(news)]
    assert sorted(looked_at) == sorted(stirred | (news & everybody.keys()))


@given(st.lists(STEPS, max_size=6), st.frozensets(st.sampled_from(KEYS)), st.sampled_from([0, 1, 2, 256]))
def test_members_are_known_at_a_glance_as_they_change(
    stages: list[list[Node | str]], news: frozenset[str], above_max: int
) -> None:
    kept, layers.ABOVE_MAX = layers.ABOVE_MAX, above_max
    try:
        known: list[tuple[Members, dict[str, Node]]] = [(Members(), {})]
        for steps in stages:
            members = changed(known[-1][0], steps)
            known.append((members, dict(members)))
        for members, everybody in known:  # none of them was changed by those that were made of it
            check(members, everybody, news)
        for before, _ in known:
            last = known[-1][0]
            differing = [key for key in KEYS if before.get(key) is not last.get(key)]
            assert sorted(last.differing(before)) == differing
            assert (last == before) == (dict(last) == dict(before))
    finally:
        layers.ABOVE_MAX = kept


class NewsWorld(SmallWorld):
    """A world as the fleet has it: members go along from plan to plan, and of those that are calm or pass only who has
    news is looked at, until the time comes for which the last plan waited, or somebody asks for something else. Every
    plan is held against that of a full look."""

    def __init__(self, *groups: dict[str, Any], **more: Any) -> None:
        super().__init__(*groups, **more)
        self.members = Members()
        self.wake_at: datetime | None = self.now
        self.seen_last: dict[str, Any] = {}
        self.planned = self.cluster

    def made(self) -> Plan:
        full = super().made()
        steps = {key: one for key, one in self.nodes.items() if self.members.get(key) is not one}
        self.members = changed(self.members, [*steps.values(), *(key for key in self.members if key not in self.nodes)])
        everybody = self.cluster is not self.planned or (self.wake_at is not None and self.now >= self.wake_at)
        news = None if everybody else frozenset(self._news())
        seen = Observed(machines=self.machines, links=self.links, since=self.since, alarms=self.alarms, news=news)
        made = plan(self.living, self.members, seen, self.policy, self.now, catalogue=CATALOGUE)
        assert (made.cluster, made.nodes) == (full.cluster, full.nodes)
        assert sorted(map(repr, made.steps)) == sorted(map(repr, full.steps))
        times = (full.wake_at,) if everybody else (made.wake_at, self.wake_at)
        self.wakes_next = min(filter(None, times), default=None)
        assert self.wakes_next is None or full.wake_at is None or self.wakes_next <= full.wake_at
        assert self.wakes_next is not None or full.wake_at is None
        return full

    def _look(self) -> dict[str, Any]:
        keys = {*self.nodes, *self.machines, *self.links}
        return {key: (self.nodes.get(key), self.machines.get(key), self.links.get(key)) for key in keys}

    def _news(self) -> Iterator[str]:
        now = self._look()
        yield from (key for key in {*now, *self.seen_last} if now.get(key) != self.seen_last.get(key))

    def _record(self, made: Plan) -> None:
        self.seen_last, self.wake_at = self._look(), self.wakes_next
        super()._record(made)
        self.planned = self.cluster


@settings(max_examples=150, deadline=None)
@given(st.lists(acts(), max_size=10), counts, st.booleans())
def test_a_plan_that_looks_at_news_is_the_plan_that_looks_at_everybody(
    story: list[tuple[str, int]], workers: int, continuous: bool
) -> None:
    mode = {"NodeProvisioningMode": "Continuous"} if continuous else {}
    groups = group_spec("controller-machine", 1), group_spec("worker-group-1", workers)
    world = NewsWorld(*groups, policy=FleetPolicy(replacements_at_once_max=2), **mode)
    for verb, number in story:
        act(world, verb, number)
    world.broken = set()
    world.settle()
