"""Our events are the events of a real cluster, byte for byte."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tocsin.core.announce import announce, node_health_detail, state_change_detail
from tocsin.model.cluster import (
    Cluster,
    ClusterStatus,
    GroupStatus,
    Health,
    InstanceGroup,
    Node,
    NodeRecovery,
    NodeStatus,
    ScriptState,
)
from tocsin.model.event import envelope
from tocsin.model.names import Scope
from tocsin.model.records import successor

GOLDEN = Path(__file__).parent / "golden"
SCOPE = Scope("111122223333", "us-west-2")
LIFECYCLE = {
    "SourceS3Uri": "s3://sagemaker-hyperpod-lifecycle-111122223333-us-west-2/config/",
    "OnCreate": "on_create.sh",
}


def group(name: str, target: int, status: GroupStatus) -> InstanceGroup:
    return InstanceGroup(
        name=name,
        target=target,
        status=status,
        spec={
            "InstanceCount": 1,
            "InstanceGroupName": name,
            "InstanceType": "ml.t3.medium",
            "LifeCycleConfig": LIFECYCLE,
            "ExecutionRole": "arn:aws:iam::111122223333:role/sagemaker-hyperpod-role",
        },
    )


def cluster(status: ClusterStatus, *groups: InstanceGroup, **more: object) -> Cluster:
    return Cluster(
        scope=SCOPE,
        id="ac7vzqgh29mf",
        name="slurm-orchestrator-no-vpc",
        status=status,
        created_at=datetime(2025, 5, 11, 7, 54, 44, 370_000, UTC),
        groups=groups,
        **more,  # type: ignore[arg-type]
    )


def node(group_name: str, **more: object) -> Node:
    members = {
        "instance_id": f"i-{group_name[:4].encode().hex()}000000000",
        "status": NodeStatus.RUNNING,
        "joined": True,
    }
    return Node(
        scope=SCOPE,
        cluster_id="ac7vzqgh29mf",
        group=group_name,
        index=1,
        instance_type="ml.t3.medium",
        address="127.64.0.1",
        launched_at=datetime(2025, 5, 11, 7, 54, 44, tzinfo=UTC),
        script=ScriptState.SUCCEEDED,
        **(members | more),  # type: ignore[arg-type]
    )


CONTROLLER, WORKER = node("controller-machine"), node("worker-group-1")
REAL = {
    "real-state-change-creating.json": (
        cluster(
            ClusterStatus.CREATING,
            group("controller-machine", 1, GroupStatus.CREATING),
            group("worker-group-1", 1, GroupStatus.CREATING),
        ),
        [],
    ),
    "real-state-change-updating-shrink.json": (
        cluster(
            ClusterStatus.UPDATING,
            group("controller-machine", 1, GroupStatus.IN_SERVICE),
            group("worker-group-1", 0, GroupStatus.DELETING),
        ),
        [CONTROLLER, WORKER],
    ),
    "real-state-change-inservice-after-shrink.json": (
        cluster(ClusterStatus.IN_SERVICE, group("controller-machine", 1, GroupStatus.IN_SERVICE)),
        [CONTROLLER],
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_a_state_change_is_the_real_event_byte_for_byte(name: str) -> None:
    real = (GOLDEN / name).read_text()
    seen = json.loads(real)
    model, nodes = REAL[name]
    ours = envelope(
        scope=model.scope,
        id=seen["id"],
        source="aws.sagemaker",
        detail_type="SageMaker HyperPod Cluster State Change",
        time=seen["time"],
        resources=[model.arn],
        detail=state_change_detail(model, nodes),
    )
    assert json.dumps(json.loads(ours), indent=2) == real.strip()
    assert b" " not in ours.replace(b"SageMaker HyperPod Cluster State Change", b""), "one line, no spaces"


def test_a_node_health_event_has_the_documented_members_in_their_order() -> None:
    documented = json.loads((GOLDEN / "documented-node-health.json").read_text())["detail"]
    sick = node("worker-group-1", health=Health.UNHEALTHY, fault="NvidiaErrorTerminate", status=NodeStatus.FAILURE)
    ours = node_health_detail(cluster(ClusterStatus.IN_SERVICE, node_recovery=NodeRecovery.NONE), sick)
    assert list(ours) == list(documented)
    assert ours["HealthSummary"] == documented["HealthSummary"]


def test_a_node_under_repair_is_announced_as_such() -> None:
    sick = node("worker-group-1", health=Health.UNHEALTHY, fault="InstanceTerminated", status=NodeStatus.FAILURE)
    summary = node_health_detail(cluster(ClusterStatus.IN_SERVICE), sick)["HealthSummary"]
    assert summary["RepairAction"] == "Replace"
    assert summary["Recommendation"].startswith("HyperPod is working on repairing")


def test_a_status_that_stays_is_no_event() -> None:
    before = cluster(ClusterStatus.IN_SERVICE, group("controller-machine", 1, GroupStatus.IN_SERVICE))
    after = successor(before, tags={"team": "a"})
    assert announce(before, after, {}, {}, datetime(2025, 5, 11, tzinfo=UTC)) == []


def test_a_repeated_commit_announces_the_same_event() -> None:
    after = cluster(ClusterStatus.CREATING, group("controller-machine", 1, GroupStatus.CREATING))
    first, again = (announce(None, after, {}, {}, datetime(2025, 5, 11, tzinfo=UTC)) for _ in range(2))
    assert first == again
    assert len(first) == 1


def test_a_replacement_that_joins_is_announced_healthy_once() -> None:
    model = cluster(ClusterStatus.IN_SERVICE, group("worker-group-1", 1, GroupStatus.IN_SERVICE))
    waiting = node("worker-group-1", status=NodeStatus.PENDING, joined=False, replaces="i-00000000000000000")
    joined = successor(waiting, status=NodeStatus.RUNNING, joined=True)
    key = joined.instance_id
    at = datetime(2025, 5, 11, tzinfo=UTC)
    told = announce(model, model, {key: waiting}, {key: joined}, at)
    assert [json.loads(event.body)["detail"]["HealthSummary"]["HealthStatus"] for event in told] == ["Healthy"]
    assert announce(model, model, {key: joined}, {key: successor(joined)}, at) == []


def test_what_a_replacement_recovers_from_later_is_its_own() -> None:
    """Whoever reads of it would think of the first fault, and a chat would close that one's thread."""
    model = cluster(ClusterStatus.IN_SERVICE, group("worker-group-1", 1, GroupStatus.IN_SERVICE))
    sick = node("worker-group-1", health=Health.UNHEALTHY, fault="Quarantined", replaces="i-00000000000000000")
    well = successor(sick, health=Health.HEALTHY, fault="")
    key = sick.instance_id
    [told] = announce(model, model, {key: sick}, {key: well}, datetime(2025, 5, 11, tzinfo=UTC))
    assert json.loads(told.body)["detail"]["HealthSummary"]["HealthStatusReason"] == "The node is healthy again."
