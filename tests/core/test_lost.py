"""Lost nodes are replaced within bounds of their own, whatever dies in which order; what is held back is named, and who
answers again is well whatever is held back."""

from collections import Counter
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.test_heal import REBOOT, REPLACE, SickWorld, under_repair
from tests.core.world import later
from tocsin.core.faults import HealthPolicy
from tocsin.core.plan import FAULT_SILENT
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.machine import MachineState

NO_ROOM = HealthPolicy(lost_cluster_percent_max=0, lost_floor=0)


class GroupedWorld(SickWorld):
    """Each group is a failure domain, by which it counts the most repairs at a time."""

    def rack_of(self, node: Node) -> str:
        return node.group


def workers(world: SickWorld) -> list[Node]:
    """The controller's own node waits for no budget: here they are of the first group."""
    return [node for node in world.members if node.group != "group-1"]


def fall_silent(world: SickWorld, *nodes: Node) -> None:
    """Their links close and stay closed; their machines run."""
    for node in nodes:
        link = world.links[node.instance_id]
        world.links[node.instance_id] = replace(link, connected=False, since=world.now)
    world.now += later(world.policy.link_lost_grace_s)
    world.turn()


def answer_again(world: SickWorld, instance_id: str) -> None:
    link = world.links[instance_id]
    world.links[instance_id] = replace(link, connected=True, since=world.now, heard=world.now)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    racks=st.integers(0, 4),
    struck=st.lists(st.tuples(st.integers(0, 15), st.sampled_from([REBOOT, REPLACE, None])), max_size=16),
    percents=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)),
    floor=st.integers(1, 3),
)
@example(counts=(1, 5), racks=1, struck=[(0, REPLACE), (1, None)], percents=(29, 0, 0), floor=1)
def test_the_bounds_of_lost_nodes_hold_at_once_and_all_are_replaced_in_the_end(
    counts: tuple[int, int],
    racks: int,
    struck: list[tuple[int, tuple[str, int] | None]],
    percents: tuple[int, int, int],
    floor: int,
) -> None:
    """Of those that die (None) beside others that are sick: the sick ones' own bounds let one begin at a time."""
    whole, ours, domain = percents
    policy = HealthPolicy(
        cluster_percent_max=0,
        lost_cluster_percent_max=whole,
        lost_group_percent_max=ours,
        lost_domain_percent_max=domain,
        lost_floor=floor,
        replacements_max=100,
    )
    world = SickWorld(1, *counts, health=policy)
    world.racks = racks
    world.policy = replace(world.policy, replacements_at_once_max=100)
    sizes, groups = Counter(map(world.rack_of, world.members)), Counter(node.group for node in world.members)
    for number, what in struck:
        node = workers(world)[number % len(workers(world))]
        if what:
            world.strike(node, what)
        else:
            world.kill(node.instance_id)
    made = world.made()
    for key, budget in made.held.items():
        assert budget in ("cluster", "group", "domain")
        assert any(reason.startswith(f"{key} waits ") and "may be" in reason for reason in made.waiting)
    world.settle()
    assert world.repairing_most <= max(floor, int((1 + sum(counts)) * whole / 100), 1)
    for rack, most in world.repairing_of.items():
        assert not racks or most <= max(floor, int(sizes[rack] * domain / 100), 1)
    assert Counter(node.group for node in world.members) == groups
    assert {(node.status, node.health) for node in world.members} == {(NodeStatus.RUNNING, Health.HEALTHY)}
    assert world.made().held == {}


@settings(max_examples=40, deadline=None)
@given(silent=st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True), order=st.randoms(use_true_random=False))
def test_without_any_room_who_answers_again_is_healthy_at_once(silent: list[int], order: Random) -> None:
    world = SickWorld(1, 5, health=NO_ROOM)
    lost = [workers(world)[number] for number in silent]
    fall_silent(world, *lost)
    keys = {node.instance_id for node in lost}
    assert world.made().held == dict.fromkeys(keys, "cluster")
    for key in order.sample(sorted(keys), len(keys)):
        assert world.nodes[key].fault == FAULT_SILENT
        answer_again(world, key)
        world.turn()
        assert (world.nodes[key].status, world.nodes[key].health) == (NodeStatus.RUNNING, Health.HEALTHY)
    assert world.made().held == {}
    assert set(world.nodes) >= keys


@pytest.mark.parametrize(
    ("bounds", "budget", "words"),
    [
        (
            HealthPolicy(lost_group_percent_max=100, lost_domain_percent_max=100),
            "cluster",
            "4 of 13 nodes of the cluster are under repair, and 34 % may be",
        ),
        (
            HealthPolicy(lost_cluster_percent_max=100, lost_domain_percent_max=100, lost_group_percent_max=25),
            "group",
            "3 of 12 nodes of group group-2 are under repair, and 25 % may be",
        ),
        (
            HealthPolicy(lost_cluster_percent_max=100, lost_group_percent_max=100),
            "domain",
            "3 of 7 nodes of failure domain rack-1 are under repair, and 50 % may be",
        ),
    ],
)
def test_what_is_held_back_is_named_with_the_bound_that_holds_it(bounds: HealthPolicy, budget: str, words: str) -> None:
    """A whole rack falls silent: a cut cable takes no more than its share of it."""
    world = SickWorld(1, 12, health=bounds)
    world.racks = 2
    world.policy = replace(world.policy, replacements_at_once_max=100)
    fall_silent(world, *[node for node in workers(world) if world.rack_of(node) == "rack-1"])
    made = world.made()
    [key, *others] = made.held
    assert made.held == dict.fromkeys([key, *others], budget)
    assert f"{key} waits to be replaced: {words}" in made.waiting
    node = world.nodes[key]
    assert world.outlook_of(node)["next"] == f"{key} waits to be replaced: {words}"
    begun = [one for one in world.nodes.values() if under_repair(one) or one.status is NodeStatus.SHUTTING_DOWN]
    assert key not in {one.instance_id for one in begun}


def test_the_controllers_node_waits_for_no_budget_and_counts_in_it() -> None:
    world = SickWorld(1, 4, health=replace(NO_ROOM, lost_floor=1))
    controller, worker = world.members[:2]
    for node in (controller, worker):
        world.kill(node.instance_id)
    world.turn()
    assert set(world.made().held) == {worker.instance_id}
    world.settle()
    assert {node.status for node in world.members} == {NodeStatus.RUNNING}


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    struck=st.sets(st.integers(0, 35), min_size=1),
    at_once=st.integers(1, 8),
)
@example(counts=[12], struck=set(range(12)), at_once=100)
@example(counts=[6, 12], struck=set(range(18)), at_once=100)
def test_a_group_that_is_only_the_first_is_replaced_by_and_by_and_holds_nobody_up(
    counts: list[int], struck: set[int], at_once: int
) -> None:
    """Nobody named it a controller's: it may be all the workers there are. The others wait for it, not it for them."""
    world = GroupedWorld(*counts, health=HealthPolicy(lost_floor=1))
    world.policy = replace(world.policy, replacements_at_once_max=at_once)
    world.repairing_of.clear()
    killed = {node.instance_id for index, node in enumerate(world.members) if index in struck}
    for instance_id in killed:
        world.kill(instance_id)
    world.settle()
    assert world.repairing_of["group-1"] <= min(max(1, counts[0] * 34 // 100), at_once)
    assert {node.status for node in world.members} == {NodeStatus.RUNNING}
    assert not killed & world.nodes.keys()


def test_without_any_room_one_node_of_the_first_group_is_replaced_for_the_others_wait_for_it() -> None:
    world = SickWorld(3, 2, health=NO_ROOM)
    dead = {node.instance_id for node in world.members if node.group == "group-1"}
    for instance_id in dead:
        world.kill(instance_id)
    world.turn()
    assert len(world.made().held) == 2
    world.settle()
    assert {node.status for node in world.members} == {NodeStatus.RUNNING}
    assert not dead & world.nodes.keys()


def test_what_a_person_asks_for_waits_for_no_bound_of_lost_nodes() -> None:
    world = SickWorld(1, 2, health=NO_ROOM)
    node = workers(world)[0]
    world.kill(node.instance_id)
    world.turn()
    assert set(world.made().held) == {node.instance_id}
    assert world.machines[node.instance_id] is MachineState.DEAD
    world.request_batch("BatchReplaceClusterNodes", node.instance_id)
    world.settle()
    assert node.instance_id not in world.nodes
    assert {one.health for one in world.members} == {Health.HEALTHY}


def test_where_nothing_is_recovered_a_lost_node_is_not_said_to_be_replaced() -> None:
    for recovery, told in (("None", "nothing: NodeRecovery is None (else: replace)"), ("Automatic", "replace")):
        world = SickWorld(1, 1, health=NO_ROOM, NodeRecovery=recovery)
        [node] = workers(world)
        world.kill(node.instance_id)
        world.turn()
        assert told in world.outlook_of(node)["next"]
