"""The story's lines: what is told of nodes and groups, and why."""

from datetime import timedelta

from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.tell import tell
from tocsin.model.cluster import Health, NodeStatus, ScriptState


def test_another_is_tried_only_where_another_comes() -> None:
    world = SmallWorld(group_spec("w", 1))
    world.turn()
    [node] = world.nodes.values()
    failed = replace(node, status=NodeStatus.FAILURE, retry_at=world.now + timedelta(seconds=5))
    leaving, other = replace(failed, status=NodeStatus.SHUTTING_DOWN), replace(node, instance_id="i-2")
    for comes, why in (({}, ""), ({"i-2": other}, "another one is tried")):
        told = tell(world.living, world.living, {"i": failed}, {"i": leaving, **comes}, world.now)
        assert (told[0].what, told[0].why) == ("w-1: Failure → ShuttingDown", why)


def test_a_group_that_turns_back_says_why() -> None:
    world = SmallWorld(group_spec("w", 3), NodeProvisioningMode="Continuous")
    [group] = world.living.groups
    missed = replace(group, target=0, message="it missed its minimum")
    back = replace(world.living, groups=(missed,))
    [line] = tell(world.living, back, {}, {}, world.now)
    assert (line.what, line.why) == ("group w: 3 → 0 wanted, Creating", "it missed its minimum")
    later = replace(back, groups=(replace(missed, target=1),))
    [line] = tell(back, later, {}, {}, world.now)
    assert line.why == "", "that was told before"


def test_a_script_that_runs_again_is_not_told_with_the_failure_of_the_last() -> None:
    world = SmallWorld(group_spec("w", 1))
    world.turn()
    [node] = world.nodes.values()
    waiting = replace(node, message="it failed before")
    for script, why in ((ScriptState.STARTED, ""), (ScriptState.SUCCEEDED, ""), (ScriptState.FAILED, waiting.message)):
        [line] = tell(world.living, world.living, {"i": waiting}, {"i": replace(waiting, script=script)}, world.now)
        assert line.why == why


def test_who_leaves_sick_is_said_to_be_replaced_only_where_another_comes() -> None:
    world = SmallWorld(group_spec("w", 1))
    world.turn()
    [node] = world.nodes.values()
    sick = replace(node, status=NodeStatus.RUNNING, health=Health.UNHEALTHY, fault="xid-79", joined=True)
    leaving, other = replace(sick, status=NodeStatus.SHUTTING_DOWN), replace(node, instance_id="i-2")
    for comes, why in (({}, "not replaced: xid-79"), ({"i-2": other}, "to be replaced: xid-79")):
        told = tell(world.living, world.living, {"i": sick}, {"i": leaving, **comes}, world.now)
        assert (told[0].what, told[0].why) == ("w-1: Running → ShuttingDown", why)
