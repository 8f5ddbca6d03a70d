"""Options of clusters and groups over the wire: described back exactly, and said once where nothing acts on them."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.doors.asking import refusal
from tests.doors.hyperpod import ROLE, HyperPod, eks, group, story
from tests.harness import eventually

CONTINUOUS = {"NodeProvisioningMode": "Continuous"}
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
BATCHES = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENTAGE", "Value": 25},
        "RollbackMaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
    },
    "WaitIntervalInSeconds": 60,
    "AutoRollbackConfiguration": [{"AlarmName": "errors"}],
}


def test_every_option_of_a_group_is_described_back(pod: HyperPod) -> None:
    plan = f"arn:aws:sagemaker:us-west-2:{pod.account}:training-plan/my-plan"
    options: dict[str, Any] = {
        "ThreadsPerCore": 1,
        "InstanceStorageConfigs": [
            {"EbsVolumeConfig": {"VolumeSizeInGB": 500}},
            {"EbsVolumeConfig": {"VolumeKmsKeyId": "key", "RootVolume": True}},
            {"FsxLustreConfig": {"DnsName": "fs-0123456789abcdef0.fsx.us-west-2.amazonaws.com", "MountName": "fsx"}},
        ],
        "OnStartDeepHealthChecks": ["InstanceStress", "InstanceConnectivity"],
        "TrainingPlanArn": plan,
        "OverrideVpcConfig": VPC,
        "ScheduledUpdateConfig": {"ScheduleExpression": "cron(0 3 ? * SUN *)", "DeploymentConfig": BATCHES},
        "CapacityRequirements": {"Spot": {}},
        "NetworkInterface": {"InterfaceType": "efa"},
    }
    pod.create("c", group("g", 1, **options), group("flat", 0), VpcConfig=VPC)
    described = pod.describe("c")
    [found] = [one for one in described["InstanceGroups"] if one["InstanceGroupName"] == "g"]
    assert {name: found[name] for name in options} == options
    assert described["VpcConfig"] == VPC
    assert pod.names(TrainingPlanArn=plan) == ["c"]
    [summary] = pod.api.list_clusters()["ClusterSummaries"]
    assert summary["TrainingPlanArns"] == [plan]
    [node] = pod.nodes("c")
    details = pod.api.describe_cluster_node(ClusterName="c", NodeId=node["InstanceId"])["NodeDetails"]
    assert (details["CapacityType"], details["ThreadsPerCore"]) == ("Spot", 1)
    for name in ("InstanceStorageConfigs", "OverrideVpcConfig", "NetworkInterface"):
        assert details[name] == options[name]


def test_what_nothing_acts_on_is_said_once(pod: HyperPod) -> None:
    pod.create("c", group("g", 0, OverrideVpcConfig=VPC), TieredStorageConfig={"Mode": "Enable"})
    pod.api.update_cluster(ClusterName="c", InstanceGroups=[group("h", 0, OverrideVpcConfig=VPC)])
    pod.until("c", "InService")
    assert [what for what in story(pod, "c") if what.startswith("kept but not acted on")] == [
        "kept but not acted on: TieredStorageConfig",
        "kept but not acted on: OverrideVpcConfig of instance group g",
        "kept but not acted on: OverrideVpcConfig of instance group h",
    ]


def test_kubernetes_settings_and_autoscaling_are_kept(pod: HyperPod) -> None:
    labels = {"team": "ml"}
    taints = [{"Key": "gpu", "Value": "yes", "Effect": "NoSchedule"}]
    scaling = {"Mode": "Enable", "AutoScalerType": "Karpenter"}
    tiered = {"Mode": "Enable", "InstanceMemoryAllocationPercentage": 20}
    pod.create(
        "c",
        group("g", 1, KubernetesConfig={"Labels": labels, "Taints": taints}),
        Orchestrator=eks(pod),
        AutoScaling=scaling,
        ClusterRole=ROLE,
        TieredStorageConfig=tiered,
        **CONTINUOUS,
    )
    described = pod.describe("c")
    assert described["Orchestrator"] == eks(pod)
    assert described["AutoScaling"] == {**scaling, "Status": "InService"}
    assert (described["ClusterRole"], described["TieredStorageConfig"]) == (ROLE, tiered)
    kept = {"DesiredLabels": labels, "DesiredTaints": taints}
    assert described["InstanceGroups"][0]["KubernetesConfig"] == kept
    [node] = pod.nodes("c")
    details = pod.api.describe_cluster_node(ClusterName="c", NodeId=node["InstanceId"])["NodeDetails"]
    assert details["KubernetesConfig"] == kept


def test_slurm_settings_say_who_comes_first(pod: HyperPod) -> None:
    slurm = {"NodeType": "Controller"}
    compute = {"NodeType": "Compute", "PartitionNames": ["dev"]}
    pod.create("c", group("first", 0, SlurmConfig=compute), group("second", 1, SlurmConfig=slurm))
    found = {one["InstanceGroupName"]: one["SlurmConfig"] for one in pod.describe("c")["InstanceGroups"]}
    assert found == {"first": compute, "second": slurm}


def test_restricted_groups_are_described_apart(pod: HyperPod) -> None:
    restricted = {
        "InstanceGroupName": "rig",
        "InstanceCount": 1,
        "InstanceType": "ml.p5.48xlarge",
        "ExecutionRole": ROLE,
        "EnvironmentConfig": {"FSxLustreConfig": {"SizeInGiB": 1200, "PerUnitStorageThroughput": 125}},
    }
    shared = {
        "FSxLustreDeletionPolicy": "Keep",
        "FSxLustreConfig": {"SizeInGiB": 1200, "PerUnitStorageThroughput": 250},
    }
    config = {"SharedEnvironmentConfig": shared}
    made = pod.api.create_cluster(
        ClusterName="c", RestrictedInstanceGroups=[restricted], RestrictedInstanceGroupsConfig=config
    )
    described = pod.until("c", "InService")
    assert described["ClusterArn"] == made["ClusterArn"]
    assert described["InstanceGroups"] == []
    [found] = described["RestrictedInstanceGroups"]
    assert (found["CurrentCount"], found["TargetCount"], found["Status"]) == (1, 1, "InService")
    assert {name: found[name] for name in restricted if name != "InstanceCount"} == {
        name: value for name, value in restricted.items() if name != "InstanceCount"
    }
    environment = described["RestrictedInstanceGroupsConfig"]["SharedEnvironmentConfig"]
    assert environment["CurrentFSxLustreConfig"] == environment["DesiredFSxLustreConfig"] == shared["FSxLustreConfig"]
    told = pod.told("c")[-1]
    assert (told["InstanceGroups"], told["RestrictedInstanceGroups"][0]["InstanceGroupName"]) == ([], "rig")


def test_a_flexible_group_tells_its_types(pod: HyperPod) -> None:
    types = ["ml.p5.48xlarge", "ml.g5.xlarge"]
    flexible = {name: value for name, value in group("g", 1).items() if name != "InstanceType"}
    pod.create("c", {**flexible, "InstanceRequirements": {"InstanceTypes": types}})
    [found] = pod.describe("c")["InstanceGroups"]
    assert "InstanceType" not in found
    assert found["InstanceRequirements"] == {"CurrentInstanceTypes": types, "DesiredInstanceTypes": types}
    assert [(one["InstanceType"], one["CurrentCount"]) for one in found["InstanceTypeDetails"]] == [
        ("ml.p5.48xlarge", 1),
        ("ml.g5.xlarge", 0),
    ]
    assert pod.nodes("c")[0]["InstanceType"] == "ml.p5.48xlarge"


def test_a_patch_date_that_has_come_is_kept_and_over(pod: HyperPod) -> None:
    patching = {"PatchingStrategy": "DrainFirst", "DrainPolicy": {"OnDrainTimeout": "Force"}}
    date = datetime(2020, 1, 1, tzinfo=UTC)
    pod.create("c", group("g", 1, AutoPatchConfig={**patching, "PatchSchedule": {"NextPatchDate": date}}))
    eventually(
        lambda: pod.describe("c")["InstanceGroups"][0].get("SoftwareUpdateStatus") == "Succeeded", "it is patched"
    )
    assert pod.until("c", "InService")["InstanceGroups"][0]["AutoPatchConfig"] == patching
    later = datetime(2099, 1, 1, tzinfo=UTC)
    changed = group("g", 1, AutoPatchConfig={**patching, "PatchSchedule": {"NextPatchDate": later}})
    pod.api.update_cluster(ClusterName="c", InstanceGroups=[changed])
    found = pod.until("c", "InService")["InstanceGroups"][0]["AutoPatchConfig"]
    assert found == {**patching, "CurrentPatchSchedule": {"NextPatchDate": later}}


def test_the_second_script_of_a_node_runs_after_the_first(pod: HyperPod) -> None:
    source = pod.scripts(on_create="echo first; touch $HOME/here\n", on_init="[ -e $HOME/here ] && echo second\n")
    both = {"SourceS3Uri": source, "OnCreate": "on_create.sh", "OnInitComplete": "on_init.sh"}
    only = {"SourceS3Uri": source, "OnInitComplete": "on_create.sh"}
    pod.create("c", group("both", 1, LifeCycleConfig=both), group("only", 1, LifeCycleConfig=only))
    lines = {node["InstanceGroupName"]: pod.output("c", node["InstanceId"]) for node in pod.nodes("c")}
    assert lines["both"][1:-1] == ["first", "second"]
    assert lines["only"][1:-1] == ["first"]


def test_options_that_make_no_sense_are_refused(pod: HyperPod) -> None:
    def said(**more: Any) -> str:
        refused = refusal(pod.api.create_cluster, **{"ClusterName": "c", "InstanceGroups": [group("g", 1)], **more})
        assert refused.code == "ValidationException"
        return refused.message

    assert "Continuous" in said(InstanceGroups=[group("g", 1, MinInstanceCount=1)])
    assert "cron expression" in said(
        InstanceGroups=[group("g", 1, ScheduledUpdateConfig={"ScheduleExpression": "tomorrow"})]
    )
    assert "AutoScaling" in said(AutoScaling={"Mode": "Enable"})
    assert "unique" in said(RestrictedInstanceGroups=[group("g", 1)])
    assert pod.names() == []


def test_the_aws_cli_sets_a_schedule(pod: HyperPod) -> None:
    pod.create("c", group("g", 0))
    scheduled = group("g", 0, ScheduledUpdateConfig={"ScheduleExpression": "cron(0 3 ? * SUN *)"})
    done = pod.server.cli(
        *("sagemaker", "update-cluster", "--cluster-name", "c", "--instance-groups", json.dumps([scheduled])),
        account=pod.account,
    )
    assert done.returncode == 0, done.stderr
    found = pod.until("c", "InService")["InstanceGroups"][0]
    assert found["ScheduledUpdateConfig"] == {"ScheduleExpression": "cron(0 3 ? * SUN *)"}
