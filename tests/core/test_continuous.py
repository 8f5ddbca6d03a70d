"""Continuous provisioning in the planner: partial capacity, retries, minimums, operations, added nodes."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import SmallWorld, group_spec, later
from tocsin.core.additions import add_nodes
from tocsin.core.batches import DELETE, REBOOT, REPLACE
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import ClusterStatus, InstanceGroup, NodeStatus
from tocsin.model.errors import Conflict, Validation

CONTROLLER, WORKER = "controller-machine", "worker-group-1"
CONTINUOUS: dict[str, Any] = {"NodeProvisioningMode": "Continuous"}


def two_groups(workers: int = 2, **more: Any) -> SmallWorld:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), **CONTINUOUS, **more)
    world.settle()
    return world


def group(world: SmallWorld, name: str = WORKER) -> InstanceGroup:
    return next(one for one in world.living.groups if one.name == name)


def operations(world: SmallWorld) -> list[str]:
    return [operation.status for operation in world.living.operations]


def until_failing(world: SmallWorld) -> None:
    for _ in range(50):
        if any(node.status is NodeStatus.FAILURE for node in world.nodes.values()):
            return
        world.step()
    raise AssertionError("nothing failed")


def test_a_cluster_is_in_service_once_its_controller_runs_whatever_becomes_of_the_workers() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2), **CONTINUOUS)
    world.broken = {WORKER}
    until_failing(world)
    assert world.living.status == "InService"
    assert world.statuses == ["Creating", "InService"]
    assert (len(world.running(CONTROLLER)), len(world.running(WORKER))) == (1, 0)
    assert operations(world) == ["InProgress"]
    world.broken = set()
    world.settle()
    assert len(world.running(WORKER)) == 2
    assert operations(world) == ["Done"]
    assert world.statuses == ["Creating", "InService"]


def test_a_try_again_is_another_instance_of_the_same_logical_node() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 1), **CONTINUOUS)
    world.broken = {WORKER}
    until_failing(world)
    [failed] = [node for node in world.nodes.values() if node.group == WORKER]
    assert failed.retry_at is not None
    assert failed.retry_at - world.now <= later(world.policy.replacement_pause_s)
    world.broken = set()
    world.settle()
    [node] = world.running(WORKER)
    assert node.instance_id != failed.instance_id
    assert node.logical_id == failed.logical_id
    assert (node.replaces, node.attempts) == ("", 0)


def test_pauses_between_tries_grow_and_the_group_is_degraded() -> None:
    world = two_groups(0)
    world.broken = {WORKER}
    world.request_update(InstanceGroups=[group_spec(WORKER, 1)])
    pauses: dict[str, timedelta] = {}
    while group(world).status != "Degraded":
        world.step()
        for key, node in world.nodes.items():
            if node.retry_at and key not in pauses:
                pauses[key] = node.retry_at - world.now
    assert world.living.status == "InService"
    assert len(pauses) == world.policy.degraded_after_attempts
    assert list(pauses.values()) == sorted(set(pauses.values()))


def test_a_controller_whose_script_fails_fails_the_cluster() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 2), **CONTINUOUS)
    world.broken = {CONTROLLER}
    world.settle()
    assert world.statuses == ["Creating", "Failed"]
    assert "Lifecycle scripts did not run successfully" in world.living.failure_message
    assert world.nodes == {}


def test_a_login_group_is_waited_for_too() -> None:
    kinds = (("c", "Controller"), ("l", "Login"))
    world = SmallWorld(*(group_spec(name, 1, SlurmConfig={"NodeType": kind}) for name, kind in kinds), **CONTINUOUS)
    while not world.running("c"):
        world.turn()
    assert world.living.status == "Creating"
    world.settle()
    assert world.living.status == "InService"


def test_scaling_is_no_status_and_the_later_operation_supersedes_the_earlier() -> None:
    world = two_groups()
    world.broken = {WORKER}
    world.request_update(InstanceGroups=[group_spec(WORKER, 4)])
    world.turn()
    world.request_update(InstanceGroups=[group_spec(WORKER, 3), group_spec("new", 1)])
    assert operations(world) == ["Done", "Superseded", "InProgress"]
    assert len({operation.id for operation in world.living.operations}) == 3
    world.broken = set()
    world.settle()
    assert operations(world) == ["Done", "Superseded", "Done"]
    assert world.statuses[:2] == ["Creating", "InService"]
    assert set(world.statuses[2:]) == {"InService"}
    assert (len(world.running(WORKER)), len(world.running("new"))) == (3, 1)
    [scaling] = world.living.operations[1].scalings
    assert (scaling.original.current, scaling.original.target, scaling.desired.target) == (2, 2, 4)


def test_an_update_that_changes_no_count_is_no_operation() -> None:
    world = two_groups()
    world.request_update(NodeRecovery="None")
    assert operations(world) == ["Done"]


def test_a_deleted_group_stays_in_view_until_it_is_gone() -> None:
    world = two_groups()
    world.request_update(InstanceGroupsToDelete=[WORKER])
    assert group(world).status == "Deleting"
    world.settle()
    assert [one.name for one in world.living.groups] == [CONTROLLER]
    assert len(world.nodes) == 1
    assert operations(world)[-1] == "Done"


def test_a_group_waits_for_its_minimum_and_then_is_in_service_with_what_it_has() -> None:
    world = two_groups()
    world.broken = {WORKER}
    world.request_update(InstanceGroups=[group_spec(WORKER, 5, MinInstanceCount=3)])
    world.turn()
    assert group(world).status == "Updating"
    one = world.running(WORKER)[0]
    assert [refused.code for refused in world.request_batch(DELETE, one.instance_id).refused] == ["InvalidNodeStatus"]
    with pytest.raises(Conflict):
        world.request_software()
    world.broken = set()
    world.settle()
    assert group(world).status == "InService"
    assert len(world.running(WORKER)) == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_a_minimum_that_is_missed_for_three_hours_takes_the_group_back(workers: int) -> None:
    world = two_groups(workers)
    members = {node.instance_id for node in world.running(WORKER)}
    world.broken = {WORKER}
    world.request_update(InstanceGroups=[group_spec(WORKER, 5, MinInstanceCount=4)])
    world.turn()
    world.skip_to(world.now + timedelta(hours=2, minutes=59))
    assert group(world).status == "Updating"
    world.request_update(InstanceGroups=[group_spec(WORKER, 6, MinInstanceCount=4)])
    world.skip_to(world.now + timedelta(hours=2, minutes=59))
    assert group(world).status == "Updating", "an update begins the time anew"
    world.skip_to(world.now + timedelta(minutes=2))
    assert "Minimum capacity of 4 not reached" in group(world).message
    world.settle()
    assert (group(world).status, group(world).target, group(world).minimum) == ("InService", workers, 0)
    assert {node.instance_id for node in world.running(WORKER)} == members
    assert world.living.status == "InService"


def test_software_is_updated_while_a_group_scales() -> None:
    world = two_groups()
    world.request_software()
    world.turn()
    world.request_update(InstanceGroups=[group_spec(WORKER, 4)])
    assert world.living.status == "SystemUpdating"
    world.settle()
    assert world.living.status == "InService"
    assert len(world.running(WORKER)) == 4
    assert {node.image.n for node in world.running(WORKER)} == {1}


def test_logical_ids_outlive_replacements() -> None:
    world = two_groups()
    before = sorted(node.logical_id for node in world.running(WORKER))
    assert len(set(before)) == 2
    world.request_batch(REPLACE, world.running(WORKER)[0].instance_id)
    world.kill(world.running(CONTROLLER)[0].instance_id)
    world.settle()
    assert sorted(node.logical_id for node in world.running(WORKER)) == before


def test_a_cluster_becomes_continuous() -> None:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 1))
    world.settle()
    world.request_update(**CONTINUOUS)
    world.settle()
    assert world.statuses[-1] == "InService"
    assert all(node.logical_id for node in world.nodes.values())
    world.request_update(InstanceGroups=[group_spec(WORKER, 2)])
    assert world.living.status == "InService"


# BatchAddClusterNodes


def add(world: SmallWorld, count: int, name: str = WORKER, *, token: str = "", **more: Any) -> Any:
    entry = {"InstanceGroupName": name, "IncrementTargetCountBy": count, **more}
    asked = {"NodesToAdd": [entry], **({"ClientToken": token} if token else {})}
    made = add_nodes(world.living, world.nodes, asked, world.now)
    world.cluster, world.nodes = made.cluster, dict(made.nodes)
    return made


def test_added_nodes_are_known_by_their_logical_ids_at_once() -> None:
    world = two_groups()
    made = add(world, 2)
    assert [(name, status) for _, name, status in made.added] == [(WORKER, "Pending")] * 2
    assert group(world).target == 4
    world.settle()
    ids = {logical for logical, _, _ in made.added}
    assert ids <= {node.logical_id for node in world.running(WORKER)}
    assert sorted(node.index for node in world.running(WORKER)) == [1, 2, 3, 4]


def test_a_client_token_adds_once_and_tells_how_the_nodes_fare() -> None:
    world = two_groups()
    first = add(world, 2, token="t-1")
    again = add(world, 2, token="t-1")
    assert again.added == first.added
    assert group(world).target == 4
    world.settle()
    assert {status for _, _, status in add(world, 2, token="t-1").added} == {"Running"}
    gone = next(node for node in world.running(WORKER) if node.logical_id == first.added[0][0])
    world.request_batch(DELETE, gone.instance_id)
    world.settle()
    assert [status for _, _, status in add(world, 2, token="t-1").added] == ["NotFound", "Running"]
    with pytest.raises(Validation, match="other parameters"):
        add(world, 1, token="t-1")
    world.now += timedelta(hours=8)
    assert {status for _, _, status in add(world, 2, token="t-1").added} == {"Pending"}, "it was valid for 8 hours"


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("nobody", {}, "InstanceGroupNotFound"),
        (WORKER, {"AvailabilityZones": ["us-west-2c"]}, "IncompatibleAvailabilityZones"),
        (WORKER, {"InstanceTypes": ["ml.p5.48xlarge"]}, "IncompatibleInstanceTypes"),
    ],
)
def test_what_cannot_be_added_is_refused_entry_by_entry(name: str, more: dict[str, Any], code: str) -> None:
    world = two_groups()
    made = add(world, 3, name, **more)
    assert made.added == ()
    [failed] = made.failed
    assert (failed["ErrorCode"], failed["FailedCount"], failed["InstanceGroupName"]) == (code, 3, name)
    assert operations(world) == ["Done"]


def test_adding_wants_a_continuous_cluster_in_service_and_not_too_many() -> None:
    default = SmallWorld(group_spec(WORKER, 1))
    default.settle()
    with pytest.raises(Validation, match="Continuous"):
        add(default, 1)
    world = SmallWorld(group_spec(WORKER, 1), **CONTINUOUS)
    with pytest.raises(Validation, match="InService"):
        add(world, 1)
    world.settle()
    with pytest.raises(Validation, match="At most 50"):
        add(world, 51)


counts = st.integers(0, 4)
verbs = st.sampled_from(["kill", "scale", "drop", "add", "more", "break", "mend", "turn", "pass", "batch", "software"])


def _ask(world: SmallWorld, verb: str, number: int) -> None:
    names, nodes = [one.name for one in world.living.groups], sorted(world.nodes)
    match verb:
        case "scale":
            world.request_update(InstanceGroups=[group_spec(names[-1], number)])
        case "drop":
            world.request_update(InstanceGroupsToDelete=[names[-1]])
        case "add":
            world.request_update(InstanceGroups=[group_spec(f"group-{number}", number, MinInstanceCount=number // 2)])
        case "more":
            add(world, number + 1, names[-1])
        case "batch" if nodes:
            world.request_batch((DELETE, REBOOT, REPLACE)[number % 3], nodes[number % len(nodes)])
        case "software":
            world.request_software()


def _act(world: SmallWorld, verb: str, number: int) -> None:
    match verb:
        case "kill" if world.machines:
            world.kill(sorted(world.machines)[number % len(world.machines)])
        case "break":
            world.broken = {group.name for group in world.living.groups[1:]}
        case "mend":
            world.broken = set()
        case "turn":
            world.turn()
        case "pass":
            for _ in range(number):
                world.pass_time()
        case _:
            _ask(world, verb, number)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(verbs, counts), max_size=14), counts)
def test_whatever_happens_a_faultless_world_settles_as_wanted(story: list[tuple[str, int]], workers: int) -> None:
    policy = FleetPolicy(replacements_at_once_max=2, update_attempts_max=2)
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), policy=policy, **CONTINUOUS)
    for verb, number in story:
        try:
            _act(world, verb, number)
        except (Conflict, Validation):
            continue
    world.broken = set()
    world.settle()
    assert world.replacing_most <= policy.replacements_at_once_max + 1, "one more for the controller"
    assert world.made().steps == ()
    assert world.living.status in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED)
    assert "Updating" not in world.statuses
    if world.living.status is ClusterStatus.FAILED:
        return
    for one in world.living.groups:
        alive = world.running(one.name)
        assert len({node.index for node in alive}) == len(alive) == one.wanted
        assert one.status == "InService"
    assert set(world.machines) == set(world.nodes)
    assert "InProgress" not in operations(world)
    logical = [node.logical_id for node in world.nodes.values()]
    assert len(set(logical)) == len(logical)
