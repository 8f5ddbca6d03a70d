"""Software updates in the planner: batch by batch there, and back when a node or an alarm says so."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import BEGIN, SmallWorld, group_spec, later
from tocsin.core.batches import REBOOT
from tocsin.core.plan import FAULT_UPDATE
from tocsin.core.policy import FleetPolicy
from tocsin.core.software import DEFAULT_IMAGE_ID, batch_size, image_ids, update_software
from tocsin.model.cluster import Cluster, InstanceGroup, Node, NodeStatus, Repair, SoftwareUpdate
from tocsin.model.cluster import SoftwareUpdateStatus as S
from tocsin.model.errors import Conflict, Validation

CONTROLLER, WORKER = "controller-machine", "worker-group-1"
IMAGE = "ami-0123456789abcdef0"


def two_groups(workers: int = 3, **more: Any) -> SmallWorld:
    world = SmallWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), **more)
    world.settle()
    return world


def group(world: SmallWorld, name: str = WORKER) -> InstanceGroup:
    return next(one for one in world.living.groups if one.name == name)


def status(world: SmallWorld, name: str = WORKER) -> str:
    update = group(world, name).update
    return update.status if update else ""


def by_count(number: int, **more: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": number}}, **more}


def updating(world: SmallWorld) -> int:
    return sum(node.status is NodeStatus.SYSTEM_UPDATING for node in world.nodes.values())


def test_an_update_keeps_the_instances_and_runs_their_scripts_again() -> None:
    world = two_groups()
    members = set(world.nodes)
    world.request_software(ImageId=IMAGE)
    assert {one.status for one in world.living.groups} == {"SystemUpdating"}
    assert status(world) == "Pending"
    world.settle()
    assert world.statuses == ["Creating", "InService", "SystemUpdating", "InService"]
    assert set(world.nodes) == members == set(world.reboots)
    assert world.scripts == [CONTROLLER, *[WORKER] * 3] * 2, "the controller comes first"
    assert status(world) == status(world, CONTROLLER) == "Succeeded"
    assert {node.image.id for node in world.nodes.values()} == {IMAGE}
    assert [image.id for image in image_ids(group(world))] == [IMAGE, IMAGE]
    assert all(node.updated_at for node in world.nodes.values())


def test_only_the_groups_that_are_named_are_updated() -> None:
    world = two_groups()
    world.request_software(InstanceGroups=[{"InstanceGroupName": WORKER, "ImageReleaseVersion": "1.2.3"}])
    world.settle()
    assert (status(world), status(world, CONTROLLER)) == ("Succeeded", "")
    assert group(world).image.id == DEFAULT_IMAGE_ID
    assert group(world).image.release == "1.2.3"
    assert len(world.reboots) == 3


def test_batches_follow_one_another_with_a_wait_between_them() -> None:
    world = two_groups(5)
    request = by_count(2, WaitIntervalInSeconds=60)
    world.request_software(InstanceGroups=[{"InstanceGroupName": WORKER}], DeploymentConfig=request)
    seen, most, begun = [], 0, world.now
    while world.living.status == "SystemUpdating":
        most = max(most, updating(world))
        seen.append(len(world.reboots))
        world.step()
    assert most == 2
    assert sorted(set(seen)) == [0, 2, 4, 5]
    assert world.now - begun == timedelta(seconds=180), "and one after the last: it is watched as well"


@pytest.mark.parametrize(("percent", "nodes", "size"), [(50, 5, 2), (10, 5, 1), (100, 5, 5), (25, 8, 2)])
def test_a_percentage_is_of_the_group_and_never_nothing(percent: int, nodes: int, size: int) -> None:
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENTAGE", "Value": percent}}
    update = SoftwareUpdate(
        status=S.PENDING, image=group(two_groups()).image, before=group(two_groups()).image, config={}
    )
    update = SoftwareUpdate(
        status=S.PENDING, image=update.image, before=update.before, config={"RollingUpdatePolicy": policy}
    )
    assert batch_size(update, nodes) == size


def test_a_script_that_keeps_failing_rolls_all_groups_back() -> None:
    world = two_groups()
    members = {key: node.image for key, node in world.nodes.items()}
    world.broken = {WORKER}
    world.request_software(ImageId=IMAGE, DeploymentConfig=by_count(1))
    while world.living.status != "RollingBack":
        world.step()
    assert [image.id for image in image_ids(group(world))] == [IMAGE, DEFAULT_IMAGE_ID], "they are swapped"
    assert world.scripts.count(WORKER) == 3 + world.policy.update_attempts_max
    world.broken = set()
    world.turn()
    back = {node.why for node in world.nodes.values() if node.status == "SystemUpdating"}
    assert back == {f"back to {DEFAULT_IMAGE_ID}"}
    world.settle()
    assert world.statuses[-3:] == ["SystemUpdating", "RollingBack", "InService"]
    assert (status(world), status(world, CONTROLLER)) == ("RollbackComplete", "RollbackComplete")
    assert {key: node.image.n for key, node in world.nodes.items()} == {key: image.n for key, image in members.items()}
    assert "Lifecycle scripts did not run successfully" in world.living.failure_message
    assert WORKER in world.living.failure_message


def test_a_group_whose_turn_never_came_has_nothing_to_take_back() -> None:
    world = two_groups()
    world.broken = {CONTROLLER}
    world.request_software()
    while world.living.status != "RollingBack":
        world.step()
    assert status(world) == "RollbackComplete"
    world.broken = set()
    world.settle()
    assert len([one for one in world.reboots if world.nodes[one].group == WORKER]) == 0
    assert [image.id for image in image_ids(group(world))] == [DEFAULT_IMAGE_ID] * 2, "as of the group that went back"


def test_an_alarm_that_rings_while_a_batch_bakes_rolls_back() -> None:
    world = two_groups()
    config = by_count(1, WaitIntervalInSeconds=600, AutoRollbackConfiguration=[{"AlarmName": "too-slow"}])
    world.request_software(DeploymentConfig=config)
    while not any("waits after a batch" in reason for reason in world.made().waiting):
        world.turn()
    world.alarms = frozenset({"other"})
    world.turn()
    assert world.living.status == "SystemUpdating"
    world.alarms = frozenset({"other", "too-slow"})
    world.turn()
    assert world.living.status == "RollingBack"
    assert "in ALARM: too-slow" in world.living.failure_message
    world.settle()
    assert world.living.status == "InService"
    assert status(world) == "RollbackComplete"


def test_a_node_that_does_not_come_back_from_its_update_either_is_replaced_or_left() -> None:
    for recovery, left in (("Automatic", 0), ("None", 1)):
        world = two_groups(1, NodeRecovery=recovery)
        world.broken = {WORKER}
        world.request_software(InstanceGroups=[{"InstanceGroupName": WORKER}])
        while not any(node.fault == FAULT_UPDATE for node in world.nodes.values()):
            world.step()
        world.broken = set()
        world.settle()
        assert sum(node.status is NodeStatus.FAILURE for node in world.nodes.values()) == left
        assert status(world) == ("Failed" if left else "RollbackComplete")
        assert world.living.status == "InService"


def test_a_node_that_dies_while_it_is_updated_is_replaced_with_the_new_image() -> None:
    world = two_groups()
    world.request_software(ImageId=IMAGE)
    world.turn()
    while updating(world) < 2:
        world.turn()
    victim = next(node.instance_id for node in world.nodes.values() if node.status is NodeStatus.SYSTEM_UPDATING)
    world.kill(victim)
    world.settle()
    assert victim not in world.nodes
    assert {node.image.id for node in world.nodes.values()} == {IMAGE}
    assert status(world) == "Succeeded"


def lost_half_way() -> tuple[SmallWorld, Node]:
    """A node that fell silent on its new root volume, before its script ran there, and answers again."""
    world = two_groups(1, NodeRecovery="None")
    world.request_software(InstanceGroups=[{"InstanceGroupName": WORKER}])
    world.turn()
    [node] = [one for one in world.nodes.values() if one.status is NodeStatus.SYSTEM_UPDATING]
    link = world.links[node.instance_id]
    world.nodes[node.instance_id] = replace(world.nodes[node.instance_id], rebooted_at=None, reboot_due=False)
    world.links[node.instance_id] = replace(link, connected=False, since=world.now)
    world.now += later(world.policy.link_lost_grace_s)
    world.turn()
    assert world.nodes[node.instance_id].status is NodeStatus.FAILURE
    world.links[node.instance_id] = replace(link, since=world.now, heard=world.now)
    world.settle()
    return world, world.nodes[node.instance_id]


def test_a_node_that_is_lost_half_way_and_answers_again_is_not_well() -> None:
    world, node = lost_half_way()
    assert node.status is NodeStatus.FAILURE
    assert world.living.status == "InService"


def test_a_node_that_is_lost_half_way_is_no_better_after_a_reboot() -> None:
    """Its script would not have run. A workload manager's administrator may ask for one all the same."""
    world, node = lost_half_way()
    [refused] = world.request_batch(REBOOT, node.instance_id).refused
    assert (refused.code, refused.message.endswith("replace it.")) == ("InvalidInstanceStatus", True)
    world.nodes[node.instance_id] = replace(node, repair=Repair.REBOOT)
    world.settle()
    [other] = world.running(WORKER)
    assert (other.replaces, other.prepared, world.reboots.count(node.instance_id)) == (node.instance_id, True, 1)


def test_what_comes_after_an_update_has_its_image() -> None:
    world = two_groups()
    world.request_software(ImageId=IMAGE)
    world.settle()
    world.request_update(InstanceGroups=[group_spec(WORKER, 4)])
    world.settle()
    assert {node.image.id for node in world.running(WORKER)} == {IMAGE}


def test_a_scheduled_update_begins_when_its_time_comes() -> None:
    schedule = {"ScheduleExpression": "cron(0 3 * * ? *)", "DeploymentConfig": by_count(1)}
    world = SmallWorld(group_spec(WORKER, 2, ScheduledUpdateConfig=schedule))
    world.settle()
    assert status(world) == ""
    world.skip_to(BEGIN + later(3 * 3600))
    assert world.living.status == "SystemUpdating"
    while world.living.status != "InService":
        world.step()
    assert status(world) == "Succeeded"
    assert len(world.reboots) == 2
    world.settle()
    assert len(world.reboots) == 2, "the time that has come is over"
    world.skip_to(BEGIN + later(27 * 3600))
    assert world.living.status == "SystemUpdating"


def test_a_patch_date_is_kept_once() -> None:
    patch = {"PatchingStrategy": "WhenIdle", "PatchSchedule": {"NextPatchDate": "2026-01-02T00:00:00+00:00"}}
    world = SmallWorld(group_spec(WORKER, 1, AutoPatchConfig=patch))
    world.settle()
    world.skip_to(BEGIN + later(24 * 3600))
    world.settle()
    assert status(world) == "Succeeded"
    assert len(world.reboots) == 1
    assert group(world).spec["AutoPatchConfig"] == {"PatchingStrategy": "WhenIdle"}


def test_an_image_of_a_group_s_own_stays_through_updates_by_schedule() -> None:
    schedule = {"ScheduleExpression": "cron(0 3 * * ? *)"}
    world = SmallWorld(group_spec(WORKER, 1, ImageId=IMAGE, ScheduledUpdateConfig=schedule))
    world.settle()
    world.skip_to(BEGIN + later(3 * 3600))
    world.settle()
    assert (status(world), group(world).image.id) == ("Succeeded", IMAGE)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"InstanceGroups": [{"InstanceGroupName": "nobody"}]}, Validation),
        (
            {
                "DeploymentConfig": {
                    "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENTAGE", "Value": 101}}
                }
            },
            Validation,
        ),
    ],
)
def test_an_update_that_cannot_be_is_refused(request_: dict[str, Any], error: type) -> None:
    world = two_groups()
    with pytest.raises(error):
        update_software(world.living, request_)


def test_a_custom_image_is_not_replaced_by_accident_and_one_operation_runs_at_a_time() -> None:
    world = SmallWorld(group_spec(WORKER, 1, ImageId=IMAGE))
    with pytest.raises(Conflict):
        update_software(world.living, {})
    world.settle()
    with pytest.raises(Validation, match="custom AMI"):
        update_software(world.living, {})
    assert isinstance(update_software(world.living, {"ImageId": "default"}), Cluster)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 5),
    st.integers(1, 3),
    st.integers(1, 2),
    st.lists(st.sampled_from(["turn", "kill", "break", "mend", "ring", "pass"]), max_size=14),
)
def test_whatever_happens_an_update_is_through_or_back_and_keeps_to_its_batches(
    workers: int, size: int, back: int, story: list[str]
) -> None:
    world = two_groups(workers, policy=FleetPolicy(replacements_at_once_max=2, update_attempts_max=2))
    config = by_count(size, WaitIntervalInSeconds=5, AutoRollbackConfiguration=[{"AlarmName": "a"}])
    config["RollingUpdatePolicy"]["RollbackMaximumBatchSize"] = {"Type": "INSTANCE_COUNT", "Value": back}
    world.request_software(ImageId=IMAGE, DeploymentConfig=config)
    for verb in story:
        if verb == "kill" and world.machines:
            world.kill(min(world.machines))
        elif verb in ("break", "mend"):
            world.broken = {WORKER} if verb == "break" else set()
        elif verb == "ring":
            world.alarms = frozenset("a")
        elif verb == "pass":
            world.pass_time()
        else:
            world.turn()
        assert updating(world) <= max(size, back)
    world.broken = set()
    world.settle()
    assert world.living.status == "InService"
    statuses = {one.update.status for one in world.living.groups if one.update}
    assert statuses in ({S.SUCCEEDED}, {S.ROLLBACK_COMPLETE})
    wanted = {one.name: one.image for one in world.living.groups}
    assert all(node.image.n == wanted[node.group].n for node in world.nodes.values())
    assert all(node.status is NodeStatus.RUNNING for node in world.nodes.values())
    assert len(world.running(WORKER)) == workers
