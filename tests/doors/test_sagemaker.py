"""HyperPod's operations over the wire, with nodes that are real: each is an agent process that runs real scripts."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import configured, members, refusal
from tests.doors.hyperpod import INSTANCE_TYPE, ROLE, SCRIPT_FAILED, HyperPod, counts, group
from tests.harness import RunningServer, cli_environment
from tests.processes import wait_gone


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of small limits, which reaches no S3."""
    no_s3 = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    no_s3 |= cli_environment()
    toml = "[fleet]\nscript_time_limit_s = 6\nscript_output_bytes_max = 2000\ninstances_max = 2\n"
    with configured(tmp_path_factory.mktemp("strict"), toml, environment=no_s3) as running:
        yield running


class Settled(HyperPod):
    """A cluster of a controller and two workers that tests only look at. Its scripts left traces in `traces`."""

    name = "settled-1"
    traces: Path
    arn: str

    def texts(self, what: str) -> dict[str, str]:
        """By instance name, what the scripts wrote of this kind."""
        return {path.name.partition(".")[0]: path.read_text() for path in self.traces.glob(f"*.{what}")}


@pytest.fixture(scope="module")
def settled(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Settled:
    pod = Settled(server, "700000000001")
    pod.traces = tmp_path_factory.mktemp("traces")
    script = (
        f"#!/bin/bash\nset -eu\nmine={pod.traces}/$TOCSIN_INSTANCE_NAME\n"
        "date +%s%N > $mine.begin\nenv > $mine.env\npwd > $mine.pwd\n"
        'cp "$SAGEMAKER_RESOURCE_CONFIG_PATH" $mine.config\n'
        "echo out; echo err >&2; echo; echo 'ünïcode'; cat beside.txt\ndate +%s%N > $mine.end\n"
    )
    source = pod.scripts(on_create=script)
    (server.s3 / f"bucket-{pod.account}" / "config" / "beside.txt").write_text("from the file beside")
    pod.arn = pod.create(
        pod.name,
        group("worker", 2, source, ThreadsPerCore=1),
        group("my-Controller", 1, source),
        Tags=[{"Key": "team", "Value": "ml"}],
        NodeRecovery="None",
    )
    return pod


# looking at a cluster


def test_a_cluster_is_described_as_it_was_asked_for(settled: Settled) -> None:
    described = settled.describe(settled.name)
    created = described.pop("CreationTime")
    assert timedelta(0) <= datetime.now(UTC) - created < timedelta(hours=1)
    source = f"s3://bucket-{settled.account}/config/"

    def expected(name: str, count: int, threads: int) -> dict[str, Any]:
        return {
            "CurrentCount": count,
            "TargetCount": count,
            "InstanceGroupName": name,
            "InstanceType": INSTANCE_TYPE,
            "LifeCycleConfig": {"SourceS3Uri": source, "OnCreate": "on_create.sh"},
            "ExecutionRole": ROLE,
            "ThreadsPerCore": threads,
            "Status": "InService",
            "TrainingPlanStatus": "NotApplicable",
        }

    assert described == {
        "ClusterArn": settled.arn,
        "ClusterName": settled.name,
        "ClusterStatus": "InService",
        "InstanceGroups": [expected("worker", 2, 1), expected("my-Controller", 1, 2)],
        "NodeRecovery": "None",
    }


def test_ids_have_awss_form(settled: Settled) -> None:
    pattern = rf"arn:aws:sagemaker:{settled.region}:{settled.account}:cluster/[a-z0-9]{{12}}"
    assert re.fullmatch(pattern, settled.arn)
    ids = [node["InstanceId"] for node in settled.nodes(settled.name)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"i-[0-9a-f]{17}", instance_id) for instance_id in ids)


def test_a_cluster_goes_by_its_name_and_by_its_arn(settled: Settled) -> None:
    assert settled.describe(settled.arn) == settled.describe(settled.name)
    nodes = settled.nodes(settled.name)
    assert settled.nodes(settled.arn) == nodes
    node_id = nodes[0]["InstanceId"]
    by_arn = settled.api.describe_cluster_node(ClusterName=settled.arn, NodeId=node_id)
    by_name = settled.api.describe_cluster_node(ClusterName=settled.name, NodeId=node_id)
    assert members(by_arn) == members(by_name)


def test_a_node_in_a_list_shows_what_it_is(settled: Settled) -> None:
    for node in settled.nodes(settled.name):
        assert set(node) == {
            "InstanceGroupName",
            "InstanceId",
            "InstanceType",
            "LaunchTime",
            "LastSoftwareUpdateTime",
            "InstanceStatus",
            "PrivateDnsHostname",
        }
        assert node["InstanceStatus"] == {"Status": "Running"}
        assert node["InstanceType"] == INSTANCE_TYPE


def test_a_described_node_adds_its_place_to_what_the_list_shows(settled: Settled) -> None:
    [listed] = settled.nodes(settled.name, InstanceGroupNameContains="Controller")
    described = settled.api.describe_cluster_node(ClusterName=settled.name, NodeId=listed["InstanceId"])
    details = described["NodeDetails"]
    assert {name: details[name] for name in listed} == listed
    address = details["PrivatePrimaryIp"]
    assert listed["PrivateDnsHostname"] == f"ip-{address.replace('.', '-')}.us-west-2.compute.internal"
    assert details["Placement"] == {"AvailabilityZone": "us-west-2a"}
    assert details["LifeCycleConfig"]["OnCreate"] == "on_create.sh"
    assert details["ThreadsPerCore"] == 2


def test_nodes_are_listed_filtered_sorted_and_paged(settled: Settled) -> None:
    everything = settled.nodes(settled.name)
    assert [node["LaunchTime"] for node in everything] == sorted(node["LaunchTime"] for node in everything)
    workers = settled.nodes(settled.name, InstanceGroupNameContains="work")
    assert [node["InstanceGroupName"] for node in workers] == ["worker"] * 2
    by_name = settled.nodes(settled.name, SortBy="NAME", SortOrder="Descending")
    assert [node["InstanceGroupName"] for node in by_name] == ["worker", "worker", "my-Controller"]
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert settled.nodes(settled.name, CreationTimeBefore=long_ago) == []
    assert settled.nodes(settled.name, CreationTimeAfter=long_ago) == everything
    pages = settled.api.get_paginator("list_cluster_nodes").paginate(
        ClusterName=settled.name, PaginationConfig={"PageSize": 2}
    )
    listed = [page["ClusterNodeSummaries"] for page in pages]
    assert [len(page) for page in listed] == [2, 1]
    assert [*listed[0], *listed[1]] == everything


def test_a_node_is_asked_for_by_one_id_that_exists(settled: Settled) -> None:
    def asked(**request: Any) -> tuple[str, str, int]:
        return refusal(settled.api.describe_cluster_node, ClusterName=settled.name, **request)

    ghost = "i-00000000000000000"
    assert asked(NodeId=ghost) == (
        "ResourceNotFound",
        f"Node {ghost} does not exist in cluster {settled.name}.",
        400,
    )
    assert asked()[0] == asked(NodeId=ghost, NodeLogicalId="a-b")[0] == "ValidationException"
    assert asked(NodeLogicalId="a-b")[0] == "ValidationException"
    assert asked(NodeId="nonsense")[1].startswith("1 validation error detected: Value 'nonsense' at 'nodeId'")


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("describe_cluster", {}),
        ("list_cluster_nodes", {}),
        ("describe_cluster_node", {"NodeId": "i-00000000000000000"}),
        ("update_cluster", {"NodeRecovery": "None"}),
        ("delete_cluster", {}),
    ],
)
def test_an_unknown_cluster_is_not_found(pod: HyperPod, operation: str, more: dict[str, Any]) -> None:
    said = "Cluster with name ghost does not exist."
    assert refusal(getattr(pod.api, operation), ClusterName="ghost", **more) == ("ResourceNotFound", said, 400)
    arn = f"arn:aws:sagemaker:us-west-2:{pod.account}:cluster/abcdefghijkl"
    said = f"Cluster with ARN {arn} does not exist."
    assert refusal(getattr(pod.api, operation), ClusterName=arn, **more) == ("ResourceNotFound", said, 400)


def test_clusters_of_other_accounts_and_regions_are_not_seen(settled: Settled, account: str) -> None:
    for other in (HyperPod(settled.server, account), HyperPod(settled.server, settled.account, "eu-west-1")):
        assert other.names() == []
        assert refusal(other.api.describe_cluster, ClusterName=settled.arn).code == "ResourceNotFound"


def test_tags_are_added_listed_and_deleted(settled: Settled) -> None:
    added = settled.api.add_tags(ResourceArn=settled.arn, Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}])
    everything = [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "1"}, {"Key": "team", "Value": "ml"}]
    assert sorted(added["Tags"], key=str) == everything
    assert members(settled.api.list_tags(ResourceArn=settled.arn)) == {"Tags": everything}
    assert members(settled.api.delete_tags(ResourceArn=settled.arn, TagKeys=["a", "b", "never-there"])) == {}
    pages = settled.api.get_paginator("list_tags").paginate(ResourceArn=settled.arn)
    assert [tag for page in pages for tag in page["Tags"]] == [{"Key": "team", "Value": "ml"}]


def test_a_cluster_bears_so_many_tags_and_no_more(settled: Settled) -> None:
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    refused = refusal(settled.api.add_tags, ResourceArn=settled.arn, Tags=tags)
    assert (refused.code, refused.status) == ("ValidationException", 400)
    assert "at most 50 tags" in refused.message
    own = refusal(settled.api.add_tags, ResourceArn=settled.arn, Tags=[{"Key": "aws:k", "Value": "v"}])
    assert own == ("ValidationException", "aws: prefixed tag key names are not allowed for external use.", 400)
    assert settled.api.list_tags(ResourceArn=settled.arn)["Tags"] == [{"Key": "team", "Value": "ml"}]
    ghost = f"{settled.arn[:-12]}abcdefghijkl"
    assert refusal(settled.api.list_tags, ResourceArn=ghost).code == "ResourceNotFound"


def test_a_name_is_used_once(settled: Settled) -> None:
    refused = refusal(settled.api.create_cluster, ClusterName=settled.name, InstanceGroups=[group("g", 0)])
    assert (refused.code, refused.status) == ("ResourceInUse", 400)
    assert settled.name in refused.message
    assert settled.describe(settled.name)["ClusterArn"] == settled.arn


# lifecycle scripts


def test_scripts_of_the_controller_run_first(settled: Settled) -> None:
    begin, end = settled.texts("begin"), settled.texts("end")
    assert set(begin) == set(end) == {"my-Controller-1", "worker-1", "worker-2"}
    workers = [int(begin["worker-1"]), int(begin["worker-2"])]
    assert int(end["my-Controller-1"]) < min(workers)


def test_a_script_sees_its_place_in_its_environment(settled: Settled) -> None:
    [node] = settled.nodes(settled.name, InstanceGroupNameContains="Controller")
    details = settled.api.describe_cluster_node(ClusterName=settled.name, NodeId=node["InstanceId"])["NodeDetails"]
    seen = dict(line.split("=", 1) for line in settled.texts("env")["my-Controller-1"].splitlines())
    expected = {
        "TOCSIN_INSTANCE_ID": node["InstanceId"],
        "TOCSIN_INSTANCE_GROUP": "my-Controller",
        "TOCSIN_INSTANCE_NAME": "my-Controller-1",
        "TOCSIN_INSTANCE_ADDRESS": details["PrivatePrimaryIp"],
        "TOCSIN_CLUSTER_NAME": settled.name,
        "TOCSIN_CLUSTER_ID": settled.arn.split("/")[-1],
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert not {name for name in seen if "TOKEN" in name or "SECRET" in name}
    here = Path(settled.texts("pwd")["my-Controller-1"].strip())
    assert here.parts[-3:] == ("bundle", f"bucket-{settled.account}", "config")


def test_a_script_finds_its_cluster_in_resource_config_json(settled: Settled) -> None:
    configs = {name: json.loads(text) for name, text in settled.texts("config").items()}
    config = configs["worker-1"]
    addresses = {}
    for node in settled.nodes(settled.name):
        described = settled.api.describe_cluster_node(ClusterName=settled.name, NodeId=node["InstanceId"])
        addresses[node["InstanceId"]] = described["NodeDetails"]["PrivatePrimaryIp"]
    assert config["ClusterConfig"] == {"ClusterArn": settled.arn, "ClusterName": settled.name}
    assert config["ClusterType"] == "Slurm"
    groups = {one["Name"]: one for one in config["InstanceGroups"]}
    assert {name: one["InstanceType"] for name, one in groups.items()} == {
        "worker": INSTANCE_TYPE,
        "my-Controller": INSTANCE_TYPE,
    }
    instances = [one for part in groups.values() for one in part["Instances"]]
    assert {one["InstanceId"]: one["CustomerIpAddress"] for one in instances} == addresses
    assert [one["InstanceName"] for one in groups["worker"]["Instances"]] == ["worker-1", "worker-2"]
    [controller] = groups["my-Controller"]["Instances"]
    assert config["SlurmConfig"] == {
        "PrimaryControllerIp": controller["CustomerIpAddress"],
        "SecondaryControllerIps": [],
    }
    assert configs["worker-2"] == config


def test_the_output_of_a_script_is_in_the_clusters_log_group(settled: Settled) -> None:
    for node in settled.nodes(settled.name):
        assert settled.output(settled.name, node["InstanceId"]) == [
            "[SageMaker] Downloading lifecycle scripts",
            "out",
            "err",
            " ",
            "ünïcode",
            "from the file beside",
            "[SageMaker] The lifecycle scripts succeeded.",
        ]


@pytest.mark.parametrize(
    ("script", "source", "because"),
    [
        ("echo before\nexit 3\n", "", "[Tocsin] on_create.sh exited with code 3"),
        ("kill -9 $$\n", "", "[Tocsin] on_create.sh was ended by SIGKILL (exit code 137)"),
        ("", "", "[Tocsin] the bundle has no script 'on_create.sh'; it holds: other.sh"),
        ("exit 0\n", "s3://{bucket}/nowhere", "has no folder nowhere"),
        ("#!/bin/nosuchshell\n", "", "asks for the interpreter '/bin/nosuchshell', which is not on this node"),
        ("#!/bin/bash\r\nexit 0\r\n", "", "has Windows line ends (CRLF)"),
    ],
)
def test_a_failing_script_fails_the_creation(pod: HyperPod, script: str, source: str, because: str) -> None:
    usual = pod.scripts(**({"on_create": script} if script else {"other": "exit 0"}))
    source = source.format(bucket=f"bucket-{pod.account}") or usual
    pod.create("failing", group("g", 1, source), until="Failed")
    described = pod.describe("failing")
    said = re.fullmatch(
        r'Instance (i-[0-9a-f]{17}) failed to provision with the following error: "(.*)" '
        r"Note that multiple instances may be impacted\.",
        described["FailureMessage"],
        re.DOTALL,
    )
    assert said, described["FailureMessage"]
    assert said[2].startswith(SCRIPT_FAILED)
    assert counts(described) == {"g": (0, 1, "Failed")}
    assert pod.nodes("failing") == []
    output = pod.output("failing", said[1])
    assert "[SageMaker] The lifecycle scripts failed." in output
    assert because in output[-1]
    if "echo before" in script:
        assert "before" in output
    else:
        assert because.removeprefix("[Tocsin] ") in said[2] or "kill" in script
    pod.api.delete_cluster(ClusterName="failing")
    pod.until_gone("failing")


def test_a_bucket_that_is_not_there_fails_the_creation(strict: RunningServer, account: str) -> None:
    pod = HyperPod(strict, account)
    pod.create("lost", group("g", 1, f"s3://nowhere-{account}/config/"), until="Failed")
    message = pod.describe("lost")["FailureMessage"]
    assert SCRIPT_FAILED in message
    assert f"there is no folder {strict.s3}/nowhere-{account}, and S3 answers: Could not connect" in message
    output = pod.output("lost", message.split()[1])
    assert output[:-1] == ["[SageMaker] Downloading lifecycle scripts", "[SageMaker] The lifecycle scripts failed."]


def test_a_script_that_does_not_end_is_ended(strict: RunningServer, account: str, tmp_path: Path) -> None:
    pod = HyperPod(strict, account)
    source = pod.scripts(on_create=f"echo begun\necho $$ > {tmp_path}/pid\nsleep 1000 & wait\n")
    pod.create("endless", group("g", 1, source), until="Failed")
    message = pod.describe("endless")["FailureMessage"]
    assert 'the following error: "Lifecycle scripts execution timed out"' in message
    instance_id = message.split()[1]
    output = pod.output("endless", instance_id)
    assert "begun" in output
    assert output[-1] == "[Tocsin] on_create.sh did not end within 6 s and was killed"
    wait_gone(int((tmp_path / "pid").read_text()))


def test_the_output_that_is_kept_is_bounded(strict: RunningServer, account: str) -> None:
    pod = HyperPod(strict, account)
    pod.create("chatty", group("g", 1, pod.scripts(on_create="seq 1 5000\necho the end\n")))
    [node] = pod.nodes("chatty")
    output = pod.output("chatty", node["InstanceId"])
    assert output[1] == "1"
    assert output[-1] == "[SageMaker] The lifecycle scripts succeeded."
    assert sum(len(line) for line in output) < 3000
    pod.api.delete_cluster(ClusterName="chatty")
    pod.until_gone("chatty")


# requests that are refused


def test_all_that_is_wrong_with_a_request_is_said_at_once(pod: HyperPod) -> None:
    groups = [
        {"InstanceGroupName": "bad_name", "InstanceCount": 9999, "InstanceType": "ml.none", "ExecutionRole": ROLE}
    ]
    done = pod.server.cli(
        "sagemaker",
        "create-cluster",
        "--cluster-name",
        "bad_",
        "--instance-groups",
        json.dumps(groups),
        "--node-recovery",
        "Sometimes",
        account=pod.account,
    )
    assert done.returncode in (254, 255)
    assert "(ValidationException)" in done.stderr
    assert "5 validation errors detected: " in done.stderr
    of_group = [f"instanceGroups.1.member.{name}" for name in ("instanceGroupName", "instanceCount", "instanceType")]
    for place in ("clusterName", *of_group, "nodeRecovery"):
        assert f"at '{place}' failed to satisfy constraint" in done.stderr
    assert pod.names() == []


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([group("g"), group("g", 2)], "Instance group names must be unique within a request: g."),
        ([group("g", InstanceType="")], "instanceType"),
        (
            [group("g", LifeCycleConfig={"SourceS3Uri": "s3://b/c"})],
            "Instance group g: LifeCycleConfig needs SourceS3Uri, and OnCreate or OnInitComplete.",
        ),
        (
            [group("g", LifeCycleConfig={"SourceS3Uri": "https://b/c", "OnCreate": "x"})],
            "Instance group g: SourceS3Uri must begin with s3://.",
        ),
    ],
)
def test_groups_that_make_no_sense_are_refused(pod: HyperPod, groups: list[dict[str, Any]], said: str) -> None:
    refused = refusal(pod.api.create_cluster, ClusterName="c", InstanceGroups=groups)
    assert (refused.code, refused.status) == ("ValidationException", 400)
    assert said in refused.message
    assert pod.names() == []


def test_a_cluster_needs_a_group(pod: HyperPod) -> None:
    assert refusal(pod.api.create_cluster, ClusterName="c").message == (
        "Specify at least one instance group in InstanceGroups or RestrictedInstanceGroups."
    )


def test_an_operation_that_is_not_there_yet_says_so(pod: HyperPod) -> None:
    said = "sagemaker:ListModels is not implemented in Tocsin yet."
    assert refusal(pod.api.list_models) == ("NotImplemented", said, 501)


def test_more_instances_than_the_limit_are_refused(strict: RunningServer, account: str) -> None:
    pod = HyperPod(strict, account)
    refused = refusal(pod.api.create_cluster, ClusterName="big", InstanceGroups=[group("g", 3)])
    assert (refused.code, refused.status) == ("ResourceLimitExceeded", 400)
    assert "is 2 Instances, with current utilization of 0 Instances and a request delta of 3" in refused.message
    pod.create("fits", group("g", 0))
    refused = refusal(pod.api.update_cluster, ClusterName="fits", InstanceGroups=[group("g", 3)])
    assert refused.code == "ResourceLimitExceeded"
    assert counts(pod.describe("fits")) == {"g": (0, 0, "InService")}


# the AWS CLI


def test_the_aws_cli_makes_and_deletes_a_cluster(pod: HyperPod) -> None:
    def cli(*arguments: str) -> Any:
        done = pod.server.cli("sagemaker", *arguments, account=pod.account)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    made = cli("create-cluster", "--cluster-name", "by-cli", "--instance-groups", json.dumps([group("g", 0)]))
    pod.until("by-cli", "InService")
    described = cli("describe-cluster", "--cluster-name", "by-cli")
    assert described["ClusterArn"] == made["ClusterArn"]
    assert cli("delete-cluster", "--cluster-name", "by-cli") == made
    pod.until_gone("by-cli")
