"""resource_config.json is made anew when it would tell something else, and only then."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.test_plan import act, acts, counts
from tests.core.world import SmallWorld, group_spec, large_cluster
from tocsin.core.members import Members
from tocsin.core.resource_config import Told, resource_config, retold
from tocsin.model.cluster import Health, Node, NodeStatus


@settings(max_examples=40, deadline=None)
@given(st.lists(acts(), max_size=8), counts)
def test_what_is_told_is_the_cluster_as_it_is(story: list[tuple[str, int]], workers: int) -> None:
    world = SmallWorld(group_spec("controller-machine", 1), group_spec("worker-group-1", workers))
    told: Told | None = None
    members = Members()
    for verb, number in story:
        act(world, verb, number)
        if world.cluster is None:
            return
        members = members | world.nodes if members.keys() <= world.nodes.keys() else Members(world.nodes)
        told = retold(told, world.cluster, members)
        assert told.text == resource_config(world.cluster, members.values())


@dataclass
class Change:
    node: dict[str, Any]
    shows: bool


@pytest.mark.parametrize(
    "change",
    [
        Change({"status": NodeStatus.RUNNING, "joined": True}, shows=False),
        Change({"health": Health.UNHEALTHY, "fault": "X"}, shows=False),
        Change({"status": NodeStatus.SHUTTING_DOWN}, shows=True),
        Change({"status": NodeStatus.FAILURE}, shows=True),
        Change({"address": "10.0.0.1"}, shows=True),
    ],
    ids=["runs", "sick", "leaves", "failed", "moved"],
)
def test_only_what_shows_makes_it_anew(change: Change) -> None:
    cluster, members = large_cluster(20)
    before = retold(None, cluster, members)
    node: Node = next(iter(members.values()))
    changed = members | {node.instance_id: replace(node, **change.node)}
    after = retold(before, replace(cluster, launches=99), changed)
    assert (after.text is not before.text) == change.shows
    assert after.text == resource_config(cluster, changed.values())


def test_another_type_of_a_group_shows() -> None:
    cluster, members = large_cluster(2)
    before = retold(None, cluster, members)
    groups = tuple(replace(one, spec=one.spec | {"InstanceType": "ml.p5.48xlarge"}) for one in cluster.groups)
    after = json.loads(retold(before, replace(cluster, groups=groups), members).text)
    assert {one["InstanceType"] for one in after["InstanceGroups"]} == {"ml.p5.48xlarge"}
