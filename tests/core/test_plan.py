"""The planner: what a cluster goes through, and the laws that hold whatever is asked for and whatever breaks."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import BEGIN, SmallWorld, group_spec, later
from tocsin.core.batches import CODES, DELETE, REBOOT, REPLACE, batch
from tocsin.core.plan import FAULT_ENDED, FAULT_SILENT, Reboot, controller_group
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import ClusterStatus, GroupStatus, Health, NodeStatus
from tocsin.model.errors import Conflict, Validation
from tocsin.model.machine import MachineState
from tocsin.model.times import iso_ms

CONTROLLER, WORKER = "controller-machine", "worker-group-1"


def two_groups(**more: Any) -> SmallWorld:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2), **more)
    world.settle()
    return world


def test_a_cluster_comes_up_with_its_controller_first() -> None:
    world = two_groups()
    assert world.statuses == ["Creating", "InService"]
    assert world.scripts == [CONTROLLER, WORKER, WORKER]
    assert {group.status for group in world.living.groups} == {GroupStatus.IN_SERVICE}


def test_a_script_that_fails_rolls_the_creation_back_to_failed_with_a_message() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2))
    world.broken = {CONTROLLER}
    world.settle()
    assert world.statuses == ["Creating", "RollingBack", "Failed"]
    assert "Lifecycle scripts did not run successfully" in world.living.failure_message
    assert world.nodes == {}
    assert world.machines == {}
    assert WORKER not in world.scripts


def test_a_failed_growth_goes_back_to_what_was_and_says_why() -> None:
    world = two_groups()
    members = set(world.nodes)
    world.broken = {WORKER}
    world.request_update(InstanceGroups=[group_spec(WORKER, 4)])
    world.settle()
    assert world.statuses == ["Creating", "InService", "Updating", "RollingBack", "InService"]
    assert set(world.nodes) == members
    assert world.living.failure_message
    assert [group.target for group in world.living.groups] == [1, 2]


def test_nothing_is_taken_away_while_an_addition_may_still_fail() -> None:
    world = two_groups()
    members = set(world.nodes)
    world.broken = {"new"}
    world.request_update(InstanceGroups=[group_spec("new", 1)], InstanceGroupsToDelete=[WORKER])
    world.settle()
    assert world.statuses[-2:] == ["RollingBack", "InService"]
    assert set(world.nodes) == members


def test_a_deleted_group_stays_in_view_until_it_is_gone() -> None:
    world = two_groups()
    world.request_update(InstanceGroupsToDelete=[WORKER])
    doomed = world.living.groups[1]
    assert (doomed.name, doomed.status, doomed.target) == (WORKER, GroupStatus.DELETING, 0)
    world.settle()
    assert [group.name for group in world.living.groups] == [CONTROLLER]
    assert len(world.nodes) == 1


def test_the_highest_places_shrink_first_and_the_sick_before_them() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 3), NodeRecovery="None")
    world.settle()
    sick = next(node for node in world.running(WORKER) if node.index == 1)
    world.kill(sick.instance_id)
    world.settle()
    world.request_update(InstanceGroups=[group_spec(WORKER, 2)])
    world.settle()
    assert sorted(node.index for node in world.running(WORKER)) == [2, 3]


def test_a_dead_node_is_replaced_at_its_place_under_a_new_id() -> None:
    world = two_groups()
    old = next(node for node in world.running(WORKER) if node.index == 2)
    world.kill(old.instance_id)
    world.turn()
    assert world.nodes[old.instance_id].health is Health.UNHEALTHY
    assert world.nodes[old.instance_id].fault == FAULT_ENDED
    world.settle()
    assert world.statuses == ["Creating", "InService"]
    new = next(node for node in world.running(WORKER) if node.index == 2)
    assert new.replaces == old.instance_id
    assert old.instance_id not in world.nodes


def test_without_recovery_a_dead_node_is_left_and_reported() -> None:
    world = two_groups(NodeRecovery="None")
    old = world.running(WORKER)[0]
    world.kill(old.instance_id)
    world.settle()
    left = world.nodes[old.instance_id]
    assert (left.status, left.health) == (NodeStatus.FAILURE, Health.UNHEALTHY)
    assert len(world.nodes) == 3


def test_a_node_that_was_given_up_and_answers_again_is_healthy() -> None:
    world = two_groups(NodeRecovery="None")
    node = world.running(WORKER)[0]
    link = world.links[node.instance_id]
    world.links[node.instance_id] = replace(link, connected=False, since=world.now)
    world.now += later(world.policy.link_lost_grace_s)
    world.turn()
    assert world.nodes[node.instance_id].fault == FAULT_SILENT
    world.links[node.instance_id] = replace(link, since=world.now, heard=world.now)
    world.turn()
    assert world.nodes[node.instance_id].health is Health.HEALTHY


def test_a_link_that_is_back_in_time_is_no_fault() -> None:
    world = two_groups()
    node = world.running(WORKER)[0]
    world.links[node.instance_id] = replace(world.links[node.instance_id], connected=False, since=world.now)
    world.now += later(world.policy.link_lost_grace_s * 0.9)
    made = world.made()
    assert made.nodes[node.instance_id].health is Health.HEALTHY
    assert made.wake_at == world.links[node.instance_id].since + later(world.policy.link_lost_grace_s)


def test_a_stopped_machine_is_booted_and_is_no_fault() -> None:
    world = two_groups()
    world.links, world.since = {}, world.now
    world.machines = dict.fromkeys(world.machines, MachineState.STOPPED)
    world.settle()
    assert set(world.machines.values()) == {MachineState.RUNNING}
    assert all(node.status is NodeStatus.RUNNING for node in world.nodes.values())
    assert len(world.scripts) == 3, "the lifecycle script does not run again"


def test_a_replacement_that_keeps_failing_degrades_its_group_and_heals_with_its_script() -> None:
    world = two_groups()
    world.broken = {WORKER}
    world.kill(world.running(WORKER)[0].instance_id)
    while world.status_of(WORKER) != "Degraded":
        world.pass_time()
    assert world.living.status is ClusterStatus.IN_SERVICE
    failed = [node for node in world.nodes.values() if node.status is NodeStatus.FAILURE]
    assert len(failed) == 1
    assert failed[0].message.startswith("Instance replacement failed: ")
    assert world.scripts.count(WORKER) == 2 + world.policy.degraded_after_attempts
    world.broken = set()
    world.settle()
    assert world.status_of(WORKER) == "InService"
    assert len(world.running(WORKER)) == 2


def test_the_controller_is_replaced_whatever_else_is() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 4), policy=FleetPolicy(replacements_at_once_max=1))
    world.settle()
    for instance_id in sorted(world.nodes, key=lambda key: world.nodes[key].group, reverse=True):
        world.kill(instance_id)
    world.settle()
    assert len(world.running(CONTROLLER)) == 1
    assert len(world.running(WORKER)) == 4


def test_an_operation_fails_rather_than_wait_for_a_controller_that_stays_away() -> None:
    world = two_groups(NodeRecovery="None")
    world.kill(world.running(CONTROLLER)[0].instance_id)
    world.settle()
    world.request_update(InstanceGroups=[group_spec(WORKER, 3)])
    world.settle()
    assert world.statuses[-2:] == ["RollingBack", "InService"]
    assert FAULT_ENDED in world.living.failure_message


def test_deletion_ends_everything_from_any_status() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2))
    world.turn()
    world.request_delete()
    world.settle()
    assert world.cluster is None
    assert world.machines == {}


def test_one_operation_at_a_time() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1))
    with pytest.raises(Conflict):
        world.request_update(NodeRecovery="None")
    world.request_delete()
    with pytest.raises(Conflict):
        world.request_delete()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({}, Validation),
        ({"InstanceGroupsToDelete": ["nobody"]}, Validation),
        ({"InstanceGroupsToDelete": [CONTROLLER, WORKER]}, Validation),
        ({"InstanceGroups": [group_spec(WORKER, 1)], "InstanceGroupsToDelete": [WORKER]}, Validation),
        ({"InstanceGroups": [group_spec(WORKER, 1, InstanceType="ml.p5.48xlarge")]}, Validation),
        ({"InstanceGroups": [group_spec("new", 1), group_spec("new", 2)]}, Validation),
        ({"InstanceGroups": [group_spec("new", 1, LifeCycleConfig={"OnCreate": "x"})]}, Validation),
        ({"InstanceGroups": [group_spec("new", 1, MinInstanceCount=1)]}, Validation),
    ],
)
def test_an_update_that_cannot_be_is_refused_and_changes_nothing(request_: dict[str, Any], error: type) -> None:
    world = two_groups()
    before = world.cluster
    with pytest.raises(error):
        world.request_update(**request_)
    assert world.cluster == before


@pytest.mark.parametrize(
    ("groups", "first"),
    [
        ([group_spec("a", 1), group_spec("b", 1)], "a"),
        ([group_spec("workers", 1), group_spec("my-controller", 1)], "my-controller"),
        ([group_spec("controller", 1), group_spec("b", 1, SlurmConfig={"NodeType": "Controller"})], "b"),
    ],
)
def test_the_controller_group_is_told_by_config_name_or_place(groups: list[dict[str, Any]], first: str) -> None:
    assert controller_group(SmallWorld(*groups).living) == first


# batch operations


def test_a_reboot_keeps_the_instance_and_runs_no_script() -> None:
    world = two_groups()
    node = world.running(WORKER)[0]
    made = world.request_batch(REBOOT, node.instance_id)
    assert (made.done, made.refused) == ((node.instance_id,), ())
    world.turn()
    rebooting = world.nodes[node.instance_id]
    assert (rebooting.status, rebooting.joined, rebooting.health) == (NodeStatus.PENDING, True, Health.HEALTHY)
    world.settle()
    assert world.statuses == ["Creating", "InService"]
    assert world.reboots == [node.instance_id]
    assert len(world.scripts) == 3
    back = world.nodes[node.instance_id]
    assert (back.status, back.why, back.rebooting, back.repair_at) == (NodeStatus.RUNNING, "", False, None)


def test_a_reboot_that_nobody_saw_taken_is_taken_again() -> None:
    world = two_groups()
    node = world.running(WORKER)[0]
    world.request_batch(REBOOT, node.instance_id)
    made = world.made()
    assert [step for step in made.steps if isinstance(step, Reboot)]
    world.nodes = dict(made.nodes)  # committed, and then the server fell
    assert [step for step in world.made().steps if isinstance(step, Reboot)]


def test_a_node_that_stays_away_from_its_reboot_is_unhealthy_and_replaced() -> None:
    world = two_groups()
    node = world.running(WORKER)[0]
    world.request_batch(REBOOT, node.instance_id)
    world.turn()
    world.kill(node.instance_id)
    world.turn()
    assert (world.nodes[node.instance_id].health, world.nodes[node.instance_id].fault) == ("Unhealthy", FAULT_ENDED)
    world.settle()
    assert node.instance_id not in world.nodes
    assert [one.replaces for one in world.running(WORKER) if one.replaces] == [node.instance_id]


def test_a_replacement_that_was_asked_for_goes_ahead_whatever_node_recovery_says() -> None:
    world = two_groups(NodeRecovery="None")
    node = world.running(WORKER)[0]
    assert world.request_batch(REPLACE, node.instance_id).done == (node.instance_id,)
    world.settle()
    [new] = [one for one in world.running(WORKER) if one.replaces]
    assert (new.replaces, new.index) == (node.instance_id, node.index)
    assert world.scripts.count(WORKER) == 3
    assert world.statuses == ["Creating", "InService"]


def test_deleted_nodes_leave_and_their_group_wants_fewer() -> None:
    world = two_groups()
    first, second = sorted(world.running(WORKER), key=lambda node: node.index)
    world.request_batch(DELETE, first.instance_id)
    world.settle()
    assert world.statuses == ["Creating", "InService", "Updating", "InService"]
    assert [node.instance_id for node in world.running(WORKER)] == [second.instance_id]
    assert [group.target for group in world.living.groups] == [1, 1]


def test_repairs_that_were_asked_for_keep_to_the_budget() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 4), policy=FleetPolicy(replacements_at_once_max=2))
    world.settle()
    ids = [node.instance_id for node in world.running(WORKER)]
    world.request_batch(REBOOT, *ids[:2])
    world.request_batch(REPLACE, *ids[2:])
    made = world.made()
    assert sum(node.status is NodeStatus.PENDING for node in made.nodes.values()) == 2
    assert f"{ids[3]} waits to be replaced: 2 repairs are under way" in made.waiting
    world.settle()
    assert world.replacing_most == 2
    assert sorted(world.reboots) == sorted(ids[:2])
    assert len(world.running(WORKER)) == 4


def test_nodes_that_cannot_be_had_are_refused_one_by_one() -> None:
    world = two_groups()
    [controller] = world.running(CONTROLLER)
    one, two = world.running(WORKER)
    world.request_batch(REPLACE, one.instance_id)
    ghost = "i-00000000000000000"
    for operation, codes in CODES.items():
        made = batch(
            operation, world.living, world.nodes, {"NodeIds": [ghost, controller.instance_id, one.instance_id]}, BEGIN
        )
        assert [refused.code for refused in made.refused] == [codes["NotFound"], codes["WrongStatus"], codes["InUse"]]
        assert f"active replacement operation (started: {iso_ms(world.now)})" in made.refused[2].message
        assert (made.done, made.cluster, dict(made.nodes)) == ((), world.living, world.nodes)
    assert world.request_batch(REBOOT, two.instance_id, ghost, two.instance_id).done == (two.instance_id,)


def test_batch_operations_want_a_cluster_at_rest_and_something_to_do() -> None:
    world = SmallWorld(group_spec(WORKER, 1))
    for request in ({"NodeIds": ["i-00000000000000000"]}, {}, {"NodeLogicalIds": ["a-b"]}):
        with pytest.raises(Validation):
            batch(REBOOT, world.living, world.nodes, request, BEGIN)
        world.settle()
    with pytest.raises(Validation, match="at most 25"):
        batch(REPLACE, world.living, world.nodes, {"NodeIds": [f"i-{n:017}" for n in range(26)]}, BEGIN)


counts = st.integers(min_value=0, max_value=4)


BATCHES = {"reboot": REBOOT, "replace": REPLACE, "delete": DELETE}


@st.composite
def acts(draw: st.DrawFn) -> tuple[str, Any]:
    batches = ["reboot", "replace", "delete"]
    verb = draw(st.sampled_from(["kill", "scale", "drop", "add", "break", "mend", "turn", "pass", *batches]))
    return verb, draw(st.integers(0, 9)) if verb in ("kill", *batches) else draw(counts)


def act(world: SmallWorld, verb: str, number: int) -> None:
    names = [group.name for group in world.living.groups]
    asks: dict[str, dict[str, Any]] = {
        "scale": {"InstanceGroups": [group_spec(names[-1], number)]},
        "drop": {"InstanceGroupsToDelete": [names[-1]]},
        "add": {"InstanceGroups": [group_spec(f"group-{number}", number)]},
    }
    if verb in asks:
        try:
            world.request_update(**asks[verb])
        except (Conflict, Validation):
            return
    elif verb in BATCHES and world.nodes:
        with contextlib.suppress(Validation):
            world.request_batch(BATCHES[verb], sorted(world.nodes)[number % len(world.nodes)])
    elif verb == "kill" and world.machines:
        world.kill(sorted(world.machines)[number % len(world.machines)])
    elif verb == "break":
        world.broken = set(names[-1:])
    elif verb == "mend":
        world.broken = set()
    elif verb == "turn":
        world.turn()
    else:
        for _ in range(number):
            world.pass_time()


@settings(max_examples=150, deadline=None)
@given(st.lists(acts(), max_size=12), counts)
@example(
    [("kill", 4), ("kill", 1), ("break", 0), ("turn", 0), ("delete", 1), ("pass", 2), ("scale", 2), ("pass", 2)], 2
)
@example(
    [
        *(("kill", 4), ("kill", 0), ("delete", 1), ("pass", 3), ("kill", 2), ("scale", 3), ("turn", 0), ("kill", 3)),
    ],
    3,
)
def test_whatever_happens_a_faultless_world_settles_as_wanted(story: list[tuple[str, int]], workers: int) -> None:
    policy = FleetPolicy(replacements_at_once_max=2)
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), policy=policy)
    for verb, number in story:
        act(world, verb, number)
    world.broken = set()
    world.settle()
    assert world.replacing_most <= policy.replacements_at_once_max + 1, "one more for the controller"
    assert world.made().steps == ()
    assert world.living.status in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED)
    for group in world.living.groups:
        alive = world.running(group.name)
        left = [one for one in world.nodes.values() if one.group == group.name and one.status is NodeStatus.FAILURE]
        assert not left, "what failed is tried again until it is well"
        assert len({node.index for node in alive}) == len(alive) == group.wanted, "no place is taken twice"
    assert set(world.machines) == set(world.nodes)
    if world.living.status is ClusterStatus.FAILED:
        assert world.living.failure_message


@settings(max_examples=60, deadline=None)
@given(st.lists(acts(), max_size=8))
def test_planning_twice_is_planning_once(story: list[tuple[str, int]]) -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2))
    for verb, number in story:
        act(world, verb, number)
    assert world.made() == world.made()


@settings(max_examples=60, deadline=None)
@given(counts, counts, counts, st.booleans())
def test_a_rollback_restores_what_was(workers: int, more: int, added: int, drop: bool) -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), group_spec("other", 1))
    world.settle()
    was, members = world.living, set(world.nodes)
    world.broken = {WORKER, "new"}
    grown = [group_spec(WORKER, workers + more + 1), group_spec("new", added)]
    also = {"NodeRecovery": "None", "ClusterRole": "arn:aws:iam::111122223333:role/other"}
    world.request_update(InstanceGroups=grown, **also, **({"InstanceGroupsToDelete": ["other"]} if drop else {}))
    assert world.living.spec["ClusterRole"] == also["ClusterRole"]
    world.settle()
    assert world.statuses[-2:] == ["RollingBack", "InService"]
    now = world.living
    assert (now.groups, now.node_recovery, now.spec, now.former) == (was.groups, was.node_recovery, was.spec, None)
    assert set(world.nodes) == members == set(world.machines)
