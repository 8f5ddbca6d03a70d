"""Options of groups and clusters: what is refused and why, what is kept, what nothing here acts on."""

from typing import Any

import pytest

from tests.core.world import BEGIN, SCOPE, SmallWorld, group_spec
from tocsin.core import requests
from tocsin.core.requests import CLUSTER_UNHEEDED, unheeded
from tocsin.model.errors import Conflict, Validation

EKS: dict[str, Any] = {"Orchestrator": {"Eks": {"ClusterArn": "arn:aws:eks:us-west-2:111122223333:cluster/k"}}}
CONTINUOUS: dict[str, Any] = {"NodeProvisioningMode": "Continuous"}
ROLE = "arn:aws:iam::111122223333:role/scaler"
BATCH = {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENTAGE", "Value": 200}}}


def create(*groups: dict[str, Any], **more: Any) -> Any:
    asked = {"ClusterName": "c", "InstanceGroups": list(groups), **more}
    return requests.create(asked, scope=SCOPE, cluster_id="abcdefghijkl", now=BEGIN)


def bare(**more: Any) -> dict[str, Any]:
    spec = group_spec("g", 1)
    return {name: value for name, value in (spec | more).items() if value is not None}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"InstanceType": None}, "either InstanceType or InstanceRequirements"),
        (
            {"InstanceRequirements": {"InstanceTypes": ["ml.p5.48xlarge"]}},
            "either InstanceType or InstanceRequirements",
        ),
        (
            {"InstanceType": None, "InstanceRequirements": {"InstanceTypes": ["ml.g5.xlarge", "ml.g5.xlarge"]}},
            "names a type twice",
        ),
        ({"InstanceType": "ml.c6g.large", "ThreadsPerCore": 2}, "does not support multithreading"),
        ({"LifeCycleConfig": {"OnCreate": "x"}}, "needs SourceS3Uri"),
        ({"LifeCycleConfig": {"SourceS3Uri": "https://b/c", "OnInitComplete": "x"}}, "must begin with s3://"),
        ({"InstanceStorageConfigs": [{"EbsVolumeConfig": {}}]}, "needs VolumeSizeInGB"),
        ({"InstanceStorageConfigs": [{"EbsVolumeConfig": {"RootVolume": True}}]}, "needs VolumeKmsKeyId"),
        (
            {"InstanceStorageConfigs": [{"EbsVolumeConfig": {"VolumeSizeInGB": 1}}] * 2},
            "one for the secondary volume",
        ),
        (
            {
                "InstanceStorageConfigs": [
                    {"EbsVolumeConfig": {"RootVolume": True, "VolumeKmsKeyId": "k", "VolumeSizeInGB": 1}}
                ]
            },
            "takes no VolumeSizeInGB",
        ),
        ({"CapacityRequirements": {"Spot": {}, "OnDemand": {}}}, "not both"),
        ({"ScheduledUpdateConfig": {"ScheduleExpression": "rate(1 day)"}}, "cron expression"),
        ({"ScheduledUpdateConfig": {"ScheduleExpression": "cron(nonsense)"}}, "cron expression"),
        (
            {"ScheduledUpdateConfig": {"ScheduleExpression": "cron(0 3 * * ? *)", "DeploymentConfig": BATCH}},
            "at most 100",
        ),
        ({"AutoPatchConfig": {"PatchingStrategy": "WhenIdle", "DrainPolicy": {}}}, ""),
        (
            {"AutoPatchConfig": {"PatchingStrategy": "WhenIdle", "DrainPolicy": {"OnDrainTimeout": "Skip"}}},
            "only when PatchingStrategy is DrainFirst",
        ),
        (
            {"AutoPatchConfig": {"PatchingStrategy": "DrainFirst", "IdleWaitWindowInSeconds": 3600}},
            "WhenIdle or WhenAllIdle",
        ),
        ({"MinInstanceCount": 2}, "cannot be greater than InstanceCount"),
        ({"MinInstanceCount": 1}, "only for clusters with NodeProvisioningMode Continuous"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_with_the_reason(more: dict[str, Any], said: str) -> None:
    if not said:
        assert create(bare(**more)).groups
        return
    with pytest.raises(Validation, match=said):
        create(bare(**more))


@pytest.mark.parametrize(
    ("groups", "more", "said"),
    [
        (
            [bare(SlurmConfig={"NodeType": "Controller"}), group_spec("h", 1, SlurmConfig={"NodeType": "Controller"})],
            {},
            "Only one instance group",
        ),
        ([bare(SlurmConfig={"NodeType": "Compute"})], EKS, "cannot be used with the Eks orchestrator"),
        (
            [bare()],
            {**CONTINUOUS, "Orchestrator": {"Slurm": {"SlurmConfigStrategy": "Overwrite"}}},
            "must be Merge",
        ),
        (
            [bare()],
            {"Orchestrator": {"Slurm": {"AccountingDatabase": {"Endpoint": "db", "SecretArn": "arn"}}}},
            "AccountingDatabase is supported only",
        ),
        ([bare()], {"AutoScaling": {"Mode": "Enable"}}, "Eks orchestrator and NodeProvisioningMode Continuous"),
        ([bare()], {**EKS, **CONTINUOUS, "AutoScaling": {"Mode": "Enable"}}, "needs a ClusterRole"),
        ([bare()], {"RestrictedInstanceGroups": [bare(LifeCycleConfig=None)]}, "must be unique"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused_with_the_reason(
    groups: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Validation, match=said):
        create(*groups, **more)


def test_what_a_cluster_is_for_good_is_not_changed() -> None:
    scaled = create(bare(), **EKS, **CONTINUOUS, ClusterRole=ROLE, AutoScaling={"Mode": "Enable"})
    refused: list[dict[str, Any]] = [{"ClusterRole": f"{ROLE}-2"}, {"Orchestrator": {"Slurm": {}}}]
    for asked in refused:
        with pytest.raises(Validation):
            requests.update(scaled, asked, BEGIN)
    assert requests.update(scaled, {"AutoScaling": {"Mode": "Disable"}}, BEGIN).spec["AutoScaling"]["Mode"] == "Disable"


def test_restricted_groups_alone_make_a_cluster_and_are_updated_as_such() -> None:
    cluster = create(RestrictedInstanceGroups=[bare(LifeCycleConfig=None)], **CONTINUOUS)
    [group] = cluster.groups
    assert group.restricted
    more = {"RestrictedInstanceGroups": [bare(LifeCycleConfig=None) | {"InstanceCount": 2}]}
    after = requests.update(cluster, more, BEGIN)
    assert [(one.restricted, one.target) for one in after.groups] == [(True, 2)]


def test_what_nothing_acts_on_is_named_once_for_each_place() -> None:
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    patching = {"PatchingStrategy": "WhenIdle"}
    group = bare(OverrideVpcConfig=vpc, KubernetesConfig={"Labels": {"a": "b"}}, AutoPatchConfig=patching)
    assert unheeded(create(group, VpcConfig=vpc, TieredStorageConfig={"Mode": "Enable"})) == [
        "VpcConfig",
        "TieredStorageConfig",
        "OverrideVpcConfig of instance group g",
        "KubernetesConfig of instance group g",
        "AutoPatchConfig.PatchingStrategy of instance group g",
    ]
    assert unheeded(create(bare())) == []


VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
PLAN = "arn:aws:sagemaker:us-west-2:111122223333:training-plan/p"
LUSTRE = {"FSxLustreConfig": {"SizeInGiB": 1200, "PerUnitStorageThroughput": 125}}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ThreadsPerCore", 1),
        ("InstanceStorageConfigs", [{"EbsVolumeConfig": {"VolumeSizeInGB": 500}}]),
        ("OverrideVpcConfig", VPC),
        ("TrainingPlanArn", PLAN),
        ("KubernetesConfig", {"Labels": {"team": "ml"}}),
        ("CapacityRequirements", {"Spot": {}}),
        ("NetworkInterface", {"InterfaceType": "efa"}),
    ],
)
def test_what_nothing_acts_on_in_a_group_is_named(member: str, value: Any) -> None:
    more = EKS if member == "KubernetesConfig" else {}
    assert set(unheeded(create(bare(**{member: value}), **more))) - {"Orchestrator"} == {
        f"{member} of instance group g"
    }


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("VpcConfig", VPC),
        ("Orchestrator", EKS["Orchestrator"]),
        ("TieredStorageConfig", {"Mode": "Enable", "InstanceMemoryAllocationPercentage": 20}),
        ("AutoScaling", {"Mode": "Enable", "AutoScalerType": "Karpenter"}),
    ],
)
def test_what_nothing_acts_on_in_a_cluster_is_named(member: str, value: Any) -> None:
    more = EKS | CONTINUOUS | {"ClusterRole": ROLE} if member == "AutoScaling" else {}
    assert unheeded(create(bare(), **more, **{member: value})) == [
        one for one in CLUSTER_UNHEEDED if one in more or one == member
    ]


def test_what_is_switched_off_asks_for_nothing() -> None:
    off = {"Mode": "Disable"}
    assert unheeded(create(bare(), TieredStorageConfig=off, AutoScaling=off, **CONTINUOUS)) == []


def test_what_restricted_groups_share_is_named() -> None:
    rig = bare(LifeCycleConfig=None, EnvironmentConfig=LUSTRE)
    config = {"SharedEnvironmentConfig": LUSTRE | {"FSxLustreDeletionPolicy": "Keep"}}
    made = create(RestrictedInstanceGroups=[rig], RestrictedInstanceGroupsConfig=config, **CONTINUOUS)
    assert unheeded(made) == ["RestrictedInstanceGroupsConfig", "EnvironmentConfig of instance group g"]


def test_of_slurm_settings_only_the_node_type_is_acted_on() -> None:
    assert unheeded(create(bare(SlurmConfig={"NodeType": "Controller"}))) == []
    partitions = {"NodeType": "Compute", "PartitionNames": ["dev"]}
    assert unheeded(create(bare(SlurmConfig=partitions))) == ["SlurmConfig.PartitionNames of instance group g"]


def test_types_to_choose_from_are_acted_on() -> None:
    flexible = bare(InstanceType=None, InstanceRequirements={"InstanceTypes": ["ml.p5.48xlarge", "ml.g5.xlarge"]})
    assert unheeded(create(flexible)) == []


def test_a_group_on_its_way_out_is_left_alone() -> None:
    world = SmallWorld(group_spec("head", 1), group_spec("w", 1), **CONTINUOUS)
    world.settle()
    world.request_update(InstanceGroupsToDelete=["w"])
    with pytest.raises(Conflict):
        world.request_update(InstanceGroups=[group_spec("w", 2)])
    with pytest.raises(Conflict):
        world.request_software(InstanceGroups=[{"InstanceGroupName": "w"}])
    world.request_software()
    world.settle()
    assert [group.name for group in world.living.groups] == ["head"]


def test_a_flexible_group_takes_its_first_type_and_the_next_when_that_fails() -> None:
    flexible = bare(InstanceType=None, InstanceRequirements={"InstanceTypes": ["ml.p5.48xlarge", "ml.g5.xlarge"]})
    flexible["InstanceGroupName"] = "flexible"
    world = SmallWorld(group_spec("head", 1), flexible, **CONTINUOUS)
    world.broken = {"flexible"}
    kinds = set()
    while world.status_of("flexible") != "Degraded":
        world.step()
        kinds |= {(one.attempts, one.instance_type) for one in world.nodes.values() if one.group == "flexible"}
    assert kinds == {(0, "ml.p5.48xlarge"), (1, "ml.g5.xlarge"), (2, "ml.p5.48xlarge")}
