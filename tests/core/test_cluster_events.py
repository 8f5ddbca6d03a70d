"""Cluster Events: each step once, filled, numbered, and only with continuous provisioning."""

import contextlib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import SmallWorld, group_spec
from tocsin.core.announce import CLUSTER_EVENT, STATE_CHANGE, announce_steps
from tocsin.core.batches import DELETE, REBOOT, REPLACE
from tocsin.core.cluster_events import EVENTS_KEPT_MAX, forget, keep
from tocsin.core.commit import World, commit
from tocsin.core.lifecycle import CLUSTER_MOVES, CONTINUOUS_CLUSTER_MOVES
from tocsin.core.members import Members
from tocsin.core.software import DEFAULT_IMAGE_ID
from tocsin.model.changes import Accept, Delete, Put
from tocsin.model.cluster import ClusterStatus
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.errors import Conflict, Validation

CONTROLLER, WORKER = "head", "w"
CONTINUOUS: dict[str, Any] = {"NodeProvisioningMode": "Continuous"}


class ToldWorld(SmallWorld):
    """A world whose every change is committed; `told` are its Cluster Events."""

    def __init__(self, *groups: dict[str, Any], **request: Any) -> None:
        super().__init__(*groups, **request)
        self.told: list[ClusterEvent] = []
        self.kept: list[ClusterEvent] = []
        self.bus: list[dict[str, Any]] = []
        self._world: World | None = None
        self.commit()

    def commit(self) -> None:
        after = World(cluster=self.living, nodes=Members(self.nodes)) if self.cluster else None
        if after is None and self._world is None:
            return
        made = commit(self._world, after, self.now)
        self._world = made.world
        for change in made.changes:
            match change:
                case Put(ClusterEvent() as event):
                    self.told.append(event)
                    self.kept.append(event)
                case Delete(ClusterEvent() as event):
                    [gone] = [one for one in self.kept if one.key == event.key]
                    self.kept.remove(gone)
                case Accept(event):
                    self.bus.append(json.loads(event.body))

    def turn(self) -> bool:
        moved = super().turn()
        self.commit()
        return moved

    def said(self, since: int = 0) -> list[str]:
        """Descriptions, with instance ids as `I`."""
        ids = {event.instance_id for event in self.told if event.instance_id}
        texts = [event.description for event in self.told[since:]]
        for instance_id in ids:
            texts = [text.replace(instance_id, "I") for text in texts]
        return texts


def made(workers: int = 1, **more: Any) -> ToldWorld:
    world = ToldWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, workers), **CONTINUOUS, **more)
    world.settle()
    return world


def asked(world: ToldWorld, ask: Callable[[], object]) -> list[str]:
    """What is told of a request, from its answer to the end."""
    since = len(world.told)
    ask()
    world.commit()
    world.settle()
    return world.said(since)


def test_a_creation_is_told_step_by_step() -> None:
    world = ToldWorld(group_spec(CONTROLLER, 1), **CONTINUOUS)
    world.settle()
    assert world.said() == [
        "Cluster small creation started successfully",
        "InstanceGroup head creation started successfully in Cluster small",
        "Instance creation started successfully in Cluster small and IG head",
        "EC2 Instance I successfully provisioned in Cluster small and IG head",
        "Instance lifecycle script execution for EC2 Instance I has Succeeded",
        "Instance creation I in Cluster small and IG head completed successfully",
        "Instance Group head creation in Cluster small completed successfully",
        "Instance Group head scaling in Cluster small completed successfully",
        "Cluster small creation completed successfully",
        "Cluster small scaling completed successfully",
    ]


def test_every_event_is_numbered_unique_and_on_the_bus_under_its_own_id() -> None:
    world = made(3)
    assert [event.n for event in world.told] == list(range(1, len(world.told) + 1))
    assert len({event.id for event in world.told}) == len(world.told)
    steps = [event for event in world.bus if event["detail-type"] == CLUSTER_EVENT]
    assert [event["id"] for event in steps] == [event.id for event in world.told]
    assert [event["detail"]["EventDetails"]["EventId"] for event in steps] == [event.id for event in world.told]
    assert all(event["resources"] == [world.living.arn] for event in steps)
    for event in world.told:
        [member] = event.metadata
        assert (member in ("InstanceGroup", "InstanceGroupScaling")) is (event.resource_type == "InstanceGroup")
        assert bool(event.instance_id) is (event.resource_type == "Instance")
        if event.instance_id:
            assert event.metadata["Instance"]["NodeLogicalId"]
        assert event.operation_id or event.resource_type == "Cluster"


def test_a_failed_instance_is_one_error_with_its_reason() -> None:
    world = made(0)
    world.broken = {WORKER}
    since = len(world.told)
    world.request_update(InstanceGroups=[group_spec(WORKER, 1)])
    world.commit()
    while not any(event.level == "Error" and "creation" in event.description for event in world.told[since:]):
        world.step()
    [failed] = [event for event in world.told if event.level == "Error" and "creation" in event.description]
    assert failed.description == "Instance creation in Cluster small and InstanceGroup w failed"
    assert "did not run successfully" in failed.metadata["Instance"]["FailureMessage"]
    [script] = [
        event for event in world.told if event.metadata.get("Instance", {}).get("LcsExecutionState") == "Failed"
    ]
    assert world.living.log_group in script.description


def test_reboots_replacements_deletions_and_health_have_their_words() -> None:
    world = made(1)

    def node() -> str:
        return world.running(WORKER)[0].instance_id

    assert asked(world, lambda: world.request_batch(REBOOT, node())) == [
        "Reboot of EC2 Instance I is currently in progress on Cluster small and IG w",
        "Instance reboot I in Cluster small and IG w completed successfully",
    ]
    replaced = asked(world, lambda: world.request_batch(REPLACE, node()))
    assert "Termination of EC2 Instance I is currently in progress in Cluster small and IG w" in replaced
    assert "Instance I is starting as part of instance replacement in Cluster small and IG w" in replaced
    completed = "Instance I creation completed successfully as part of instance replacement in Cluster small and IG w"
    assert completed in replaced
    sick = asked(world, lambda: world.kill(node()))
    assert sick[0].endswith(
        "detected fault type InstanceTerminated on this node and is unhealthy. Repair action: Replace."
    )
    assert world.told[-len(sick)].level == "Warn"
    gone = asked(world, lambda: world.request_batch(DELETE, node()))
    assert "Instance deletion I in Cluster small and IG w completed successfully" in gone
    assert "Instance Group w scaling in Cluster small completed successfully" in gone


def test_scaling_tells_counts_and_its_operation() -> None:
    world = made(1)
    since = len(world.told)
    asked(world, lambda: world.request_update(InstanceGroups=[group_spec(WORKER, 2)]))
    begun, *_, ended = [event for event in world.told[since:] if "InstanceGroupScaling" in event.metadata]
    assert begun.metadata["InstanceGroupScaling"] == {"InstanceCount": 1, "TargetCount": 2}
    assert ended.metadata["InstanceGroupScaling"] == {"InstanceCount": 2, "TargetCount": 2}
    operation = world.living.operations[-1].id
    assert begun.operation_id == ended.operation_id == operation
    instance = next(event for event in world.told[since:] if event.instance_id)
    assert instance.operation_id == operation


def test_a_software_update_is_told_in_the_words_of_the_reference() -> None:
    world = made(1)
    config = {"WaitIntervalInSeconds": 30, "AutoRollbackConfiguration": [{"AlarmName": "a"}]}
    groups = [{"InstanceGroupName": WORKER}]
    said = asked(world, lambda: world.request_software(InstanceGroups=groups, DeploymentConfig=config))
    assert said == [
        f"InstanceGroup w in Cluster small has been scheduled for UpdateClusterSoftware to {DEFAULT_IMAGE_ID}.",
        "UpdateClusterSoftware initiated for IG w in Cluster small using AllAtOnce strategy.",
        "Next update batch selected for IG w in Cluster small.",
        "Root volume replacement started for Instance I in IG w.",
        "Instance lifecycle script execution for EC2 Instance I has Succeeded",
        "Instance I in IG w updated successfully.",
        "Baking period started for IG w in Cluster small. Monitoring alarms [a] for 30 seconds.",
        "Baking period completed for IG w in Cluster small. No alarms triggered during the 30-second baking period.",
        "UpdateClusterSoftware completed successfully for IG w in Cluster small.",
    ]


def test_other_clusters_have_none() -> None:
    world = ToldWorld(group_spec(CONTROLLER, 1))
    world.settle()
    assert world.told == []
    assert all(event["detail-type"] != CLUSTER_EVENT for event in world.bus)


def test_only_the_newest_are_kept_and_none_of_a_cluster_that_is_gone() -> None:
    world = made(1)
    event = world.told[0]
    number = EVENTS_KEPT_MAX + 1
    late = [ClusterEvent(**{name: getattr(event, name) for name in event.__struct_fields__} | {"n": number})]
    assert [change.record.key for change in keep(late) if isinstance(change, Delete)] == [event.key]
    assert len(forget(world.living, number)) == EVENTS_KEPT_MAX
    assert announce_steps(world.living, [], world.now) == []
    world.request_delete()
    world.commit()
    world.settle()
    assert world.cluster is None
    assert world.kept == []


@pytest.mark.parametrize("times", [2])
def test_a_commit_made_again_tells_the_same(times: int) -> None:
    world = made(1)
    world.request_update(InstanceGroups=[group_spec(WORKER, 2)])
    again = [
        commit(world._world, World(cluster=world.living, nodes=Members(world.nodes)), world.now) for _ in range(times)
    ]
    assert again[0].changes == again[1].changes


VERBS = ("scale", "drop", "kill", "break", "mend", "software", "delete", "turn", "pass")


def _do(world: ToldWorld, verb: str, number: int) -> None:
    match verb:
        case "scale":
            world.request_update(InstanceGroups=[group_spec(WORKER, number)])
        case "drop":
            world.request_update(InstanceGroupsToDelete=[WORKER])
        case "software":
            world.request_software()
        case "delete" if number == 0:
            world.request_delete()
        case "kill" if world.machines:
            world.kill(sorted(world.machines)[number % len(world.machines)])
        case "break" | "mend":
            world.broken = {WORKER, CONTROLLER} if verb == "break" else set()
        case "turn":
            world.turn()
        case "pass":
            world.pass_time()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 3)), max_size=12), st.booleans())
def test_state_changes_form_a_path_in_the_table_of_their_mode(story: list[tuple[str, int]], continuous: bool) -> None:
    world = ToldWorld(group_spec(CONTROLLER, 1), group_spec(WORKER, 1), **(CONTINUOUS if continuous else {}))
    for verb, number in story:
        if world.cluster is None:
            break
        with contextlib.suppress(Conflict, Validation):
            _do(world, verb, number)
            world.commit()
    world.broken = set()
    if world.cluster:
        world.settle()
    changes = [event["detail"]["ClusterStatus"] for event in world.bus if event["detail-type"] == STATE_CHANGE]
    moves = CONTINUOUS_CLUSTER_MOVES if continuous else CLUSTER_MOVES
    for before, after in pairwise([None, *map(ClusterStatus, changes)]):
        assert after in moves[before]
    if world.cluster:
        assert changes[-1] == world.living.status
    assert [event.n for event in world.told] == list(range(1, len(world.told) + 1))
