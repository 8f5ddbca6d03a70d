"""Terraform itself, with the configuration of docs/terraform.md: applied, changed, taken over, failing, destroyed.

The provider is what TOCSIN_TEST_AWSCC names the folder of, or the one in tests/terraform, which tests/setup.sh builds.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import tocsin
from tests.harness import REGION, WAIT_S, RunningServer, eventually
from tests.terraform.kinds import kinds

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION, BACKEND = re.findall(r"```hcl\n(.*?)```", (ROOT / "docs" / "terraform.md").read_text(), re.DOTALL)
OPTIONS = (ROOT / "tests" / "terraform" / "options.tf").read_text()
PROVIDER = Path(os.environ.get("TOCSIN_TEST_AWSCC", ROOT / "build" / "terraform")) / "terraform-provider-awscc"
TERRAFORM = shutil.which("terraform")
# Where Terraform looks for the provider, so that it asks nobody on the network for it.
ADDRESS, VERSION = "tocsin.invalid/hashicorp/awscc", "9.9.9"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

WHY_NOT = [name for name, there in (("terraform", TERRAFORM), (str(PROVIDER), PROVIDER.exists())) if not there]
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"not there: {', '.join(WHY_NOT)} (docs/terraform.md)")

CLUSTER, RULE = "awscc_sagemaker_cluster.training", "awscc_events_rule.clusters"
GROUP, TOPIC = "awscc_logs_log_group.events", "awscc_sns_topic.pager"
BUS, QUEUE = "awscc_events_event_bus.applications", "awscc_sqs_queue.audit"
ALL = {CLUSTER, RULE, GROUP, TOPIC, BUS, QUEUE}
CREATE, UPDATE, ANEW = ("create",), ("update",), ("delete", "create")
BEHIND = """    {
      instance_group_name = "login"
      instance_type       = "ml.t3.medium"
      instance_count      = 1
      execution_role      = local.role
      life_cycle_config   = local.lifecycle
    },
  ]

  tags = ["""


class Plan:
    """A configuration in a folder of its own, for one account of a server."""

    def __init__(self, folder: Path, server: RunningServer, account: str, text: str) -> None:
        self.folder, self.server, self.account = folder, server, account
        self.bucket = f"lifecycle-{account}"
        self.text = text.replace("hyperpod-lifecycle", self.bucket)
        self._prepare()

    def _prepare(self) -> None:
        place = self.folder / "plugins" / ADDRESS / VERSION / f"linux_{MACHINE}"
        place.mkdir(parents=True)
        (place / PROVIDER.name).symlink_to(PROVIDER.resolve())
        (self.folder / "kinds.json").write_text(json.dumps(kinds()))
        (self.folder / "settings").write_text("")
        self.write()
        self.run("init", f"-plugin-dir={self.folder / 'plugins'}")

    def write(self) -> None:
        (self.folder / "main.tf").write_text(self.text.replace('"hashicorp/awscc"', f'"{ADDRESS}"'))

    def change(self, old: str, new: str) -> None:
        assert old in self.text, old
        self.text = self.text.replace(old, new, 1)
        self.write()

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> "subprocess.CompletedProcess[str]":
        assert TERRAFORM is not None
        done = subprocess.run(
            [TERRAFORM, *words, "-no-color"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=3 * WAIT_S,
            check=False,
            env={**os.environ, **self._environment()},
        )
        assert done.returncode in codes, done.stdout + done.stderr
        return done

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWSCC_TYPES": str(self.folder / "kinds.json"),
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(self.folder / "settings"),
            "TF_IN_AUTOMATION": "1",
        }

    def apply(self, *more: str) -> str:
        return self.run("apply", "-auto-approve", *more).stdout

    def refused(self, *more: str) -> str:
        """The error that Terraform prints, without its frame."""
        said = self.run("apply", "-auto-approve", *more, codes=(1,)).stderr
        return " ".join(line.lstrip("│╷╵ ") for line in said.splitlines())

    def planned(self, *more: str) -> dict[str, tuple[str, ...]]:
        """What would be done, by resource."""
        code = self.run("plan", "-detailed-exitcode", "-out=next", *more, codes=(0, 2)).returncode
        shown = json.loads(self.run("show", "-json", "next").stdout)
        found = {one["address"]: tuple(one["change"]["actions"]) for one in shown["resource_changes"]}
        wanted = {name: actions for name, actions in found.items() if actions != ("no-op",)}
        assert bool(wanted) == (code == 2)
        return wanted

    def state(self, address: str) -> dict[str, Any]:
        root = json.loads(self.run("show", "-json").stdout)["values"]["root_module"]
        found: dict[str, Any] = next(one["values"] for one in root["resources"] if one["address"] == address)
        return found

    def scripts(self, text: str = "true") -> None:
        self.server.bucket(self.bucket, {"on_create.sh": text})

    def client(self, service: str) -> Any:
        return self.server.client(service, self.account)

    def counts(self) -> dict[str, int]:
        groups = self.client("sagemaker").describe_cluster(ClusterName="training")["InstanceGroups"]
        return {one["InstanceGroupName"]: one["CurrentCount"] for one in groups}

    def rests(self) -> bool:
        return bool(self.client("sagemaker").describe_cluster(ClusterName="training")["ClusterStatus"] == "InService")


@pytest.fixture
def plan(tmp_path: Path, server: RunningServer, account: str) -> Plan:
    made = Plan(tmp_path, server, account, CONFIGURATION)
    made.scripts()
    return made


def test_what_is_applied_plans_nothing_and_is_changed_in_place(plan: Plan) -> None:
    assert plan.planned() == dict.fromkeys(ALL, CREATE)
    plan.apply()
    assert plan.planned() == {}
    assert plan.counts() == {"controller": 1, "workers": 2}

    more = ("-var=workers=1", "-var=team=speech")
    assert plan.planned(*more) == {CLUSTER: UPDATE}
    plan.apply(*more)
    assert plan.planned(*more) == {}
    assert plan.counts() == {"controller": 1, "workers": 1}
    tags = plan.client("sagemaker").list_tags(ResourceArn=plan.state(CLUSTER)["cluster_arn"])["Tags"]
    assert {one["Key"]: one["Value"] for one in tags} == {"team": "speech", "cost-centre": "4711"}
    _tells(plan)

    plan.change('[{ prefix = "SageMaker HyperPod Cluster" }]', '["<&>"]')
    plan.change('    { id = "log", arn = awscc_logs_log_group.events.arn },\n', "")
    plan.change('  description = "What training jobs tell"\n', "")
    plan.change("retention_in_days = 30", "retention_in_days = 14")
    plan.change("message_retention_period = 1209600", "message_retention_period = 600")
    assert plan.planned(*more) == dict.fromkeys((RULE, GROUP, QUEUE), UPDATE)
    plan.apply(*more)
    assert plan.planned(*more) == {}
    rule = plan.client("events").describe_rule(Name="clusters")
    assert json.loads(rule["EventPattern"]) == {"source": ["aws.sagemaker"], "detail-type": ["<&>"]}

    plan.run("destroy", "-auto-approve", *more)
    assert plan.client("sagemaker").list_clusters()["ClusterSummaries"] == []
    assert plan.client("events").list_rules()["Rules"] == []
    assert plan.client("sns").list_topics()["Topics"] == []


def _tells(plan: Plan) -> None:
    """The rule's targets are at work: what became of the cluster stands in the log group."""

    def statuses() -> set[str]:
        found = plan.client("logs").filter_log_events(logGroupName="/event/hyperpod")["events"]
        details = [json.loads(one["message"])["detail"] for one in found]
        return {one["ClusterStatus"] for one in details if "ClusterStatus" in one}

    eventually(lambda: {"Updating", "InService"} <= statuses(), "the update is in the log group")


def test_what_others_changed_is_planned_back(plan: Plan) -> None:
    plan.apply()
    group = f"arn:aws:logs:{REGION}:{plan.account}:log-group:/event/hyperpod"
    plan.client("events").disable_rule(Name="clusters")
    plan.client("events").put_targets(Rule="clusters", Targets=[{"Id": "other", "Arn": group}])
    plan.client("logs").put_retention_policy(logGroupName="/event/hyperpod", retentionInDays=7)
    plan.client("sns").delete_topic(TopicArn=plan.state(TOPIC)["topic_arn"])
    groups = plan.client("sagemaker").describe_cluster(ClusterName="training")["InstanceGroups"]
    scaled = [
        {name: one[name] for name in ("InstanceGroupName", "InstanceType", "ExecutionRole", "LifeCycleConfig")}
        | {"InstanceCount": 1}
        for one in groups
    ]
    plan.client("sagemaker").update_cluster(ClusterName="training", InstanceGroups=scaled)
    eventually(plan.rests, "the cluster is scaled")

    assert plan.planned() == dict.fromkeys((RULE, GROUP, CLUSTER), UPDATE) | {TOPIC: CREATE}
    plan.apply()
    assert plan.planned() == {}
    assert plan.counts() == {"controller": 1, "workers": 2}
    assert plan.client("events").describe_rule(Name="clusters")["State"] == "ENABLED"


def test_what_is_there_already_is_taken_over(plan: Plan) -> None:
    """Made by the services' own operations, it is the same thing to Terraform."""
    ids = {CLUSTER: _made_cluster(plan), GROUP: "/event/hyperpod", BUS: "applications"}
    plan.client("logs").create_log_group(logGroupName=ids[GROUP])
    plan.client("logs").put_retention_policy(logGroupName=ids[GROUP], retentionInDays=30)
    plan.client("events").create_event_bus(Name=ids[BUS], Description="What training jobs tell")
    kept = {"MessageRetentionPeriod": "1209600"}
    ids[QUEUE] = plan.client("sqs").create_queue(QueueName="audit", Attributes=kept)["QueueUrl"]
    ids[TOPIC] = plan.client("sns").create_topic(Name="pager", Attributes={"DisplayName": "Pager"})["TopicArn"]
    plan.client("sns").subscribe(TopicArn=ids[TOPIC], Protocol="email", Endpoint="ops@example.com")
    ids[RULE] = _made_rule(plan, ids[TOPIC])
    eventually(plan.rests, "the cluster is there")

    taken = [f'import {{\n  to = {name}\n  id = "{identifier}"\n}}\n' for name, identifier in ids.items()]
    (plan.folder / "imports.tf").write_text("".join(taken))
    assert "6 imported, 0 added, 0 changed, 0 destroyed" in plan.apply()
    assert plan.planned() == {}

    plan.change('prefix = "SageMaker HyperPod Cluster"', 'prefix = "SageMaker"')
    plan.apply()
    assert plan.planned() == {}
    pattern = json.loads(plan.client("events").describe_rule(Name="clusters")["EventPattern"])
    assert pattern["detail-type"] == [{"prefix": "SageMaker"}]


def _made_cluster(plan: Plan) -> str:
    groups = [
        {
            "InstanceGroupName": name,
            "InstanceType": kind,
            "InstanceCount": count,
            "ExecutionRole": "arn:aws:iam::111122223333:role/hyperpod",
            "LifeCycleConfig": {"SourceS3Uri": f"s3://{plan.bucket}/config/", "OnCreate": "on_create.sh"},
            "InstanceStorageConfigs": [{"EbsVolumeConfig": {"VolumeSizeInGB": size}}],
        }
        for name, kind, count, size in (("controller", "ml.m5.large", 1, 100), ("workers", "ml.p5.48xlarge", 2, 500))
    ]
    tags = [{"Key": "cost-centre", "Value": "4711"}, {"Key": "team", "Value": "vision"}]
    made = plan.client("sagemaker").create_cluster(
        ClusterName="training", NodeRecovery="Automatic", InstanceGroups=groups, Tags=tags
    )
    return str(made["ClusterArn"])


def _made_rule(plan: Plan, topic: str) -> str:
    events, pattern = plan.client("events"), {"detail-type": [{"prefix": "SageMaker HyperPod Cluster"}]}
    made = events.put_rule(
        Name="clusters",
        Description="How clusters change, and which nodes are sick",
        EventPattern=json.dumps(pattern | {"source": ["aws.sagemaker"]}, indent=2),
    )
    shown = {
        "InputPathsMap": {"what": "$.detail-type", "where": "$.detail.ClusterName"},
        "InputTemplate": '"<what> of <where>"',
    }
    group = f"arn:aws:logs:{REGION}:{plan.account}:log-group:/event/hyperpod:*"
    targets = [{"Id": "log", "Arn": group}, {"Id": "pager", "Arn": topic, "InputTransformer": shown}]
    events.put_targets(Rule="clusters", Targets=targets)
    return str(made["RuleArn"])


def test_a_script_that_fails_is_terraforms_error_and_the_cluster_is_made_anew(plan: Plan) -> None:
    plan.scripts("exit 3")
    said = plan.refused()
    assert "NotStabilized" in said
    assert "on_create.sh exited with code 3" in said
    plan.scripts()
    assert plan.planned()[CLUSTER] == ANEW
    plan.apply()
    assert plan.planned() == {}


def test_an_update_without_capacity_is_terraforms_error_and_planned_again(plan: Plan) -> None:
    where = ("--endpoint-url", plan.server.endpoint, "--account", plan.account)
    plan.apply()
    assert tocsin("fault", "capacity", "workers", "--count", "1", *where).returncode == 0
    assert "NotStabilized: We currently do not have sufficient capacity" in plan.refused("-var=workers=3")
    assert plan.counts()["workers"] == 2
    assert plan.planned("-var=workers=3") == {CLUSTER: UPDATE}
    plan.apply("-var=workers=3")
    assert plan.counts()["workers"] == 3


def test_groups_come_behind_the_others_and_go_from_between_them(plan: Plan) -> None:
    plan.apply("-var=workers=1")
    plan.change("  ]\n\n  tags = [", BEHIND)
    plan.apply("-var=workers=2")
    assert plan.planned("-var=workers=2") == {}
    plan.change(
        re.findall(r'    \{\n      instance_group_name      = "workers".*?\n    \},\n', plan.text, re.DOTALL)[0], ""
    )
    plan.apply()
    assert plan.planned() == {}
    assert plan.counts() == {"controller": 1, "login": 1}
    plan.change('"ml.t3.medium"', '"ml.t3.large"')
    assert "NotUpdatableException" in plan.refused()
    plan.change('cluster_name  = "training"', 'cluster_name  = "other"')
    assert plan.planned() == {CLUSTER: ANEW}


def test_every_option_comes_back_as_it_was_set_and_changed(server: RunningServer, account: str, tmp_path: Path) -> None:
    plan = Plan(tmp_path, server, account, OPTIONS.replace("111122223333", account))
    plan.scripts()
    plan.apply()
    assert plan.planned() == {}
    assert set(plan.planned("-var=changed=true").values()) == {UPDATE}
    plan.apply("-var=changed=true")
    assert plan.planned("-var=changed=true") == {}
    plan.change('subnets = ["subnet-2", "subnet-1"]', 'subnets = ["subnet-3"]')
    assert plan.planned("-var=changed=true") == {"awscc_sagemaker_cluster.eks": ANEW}
    plan.run("destroy", "-auto-approve")


@pytest.fixture(scope="module")
def with_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("moto") / "data", "--with-moto")
    yield running
    assert running.stop() == 0


def test_state_scripts_and_role_come_through_the_one_endpoint(with_moto: RunningServer, tmp_path: Path) -> None:
    s3, account = with_moto.client("s3"), "111122223333"
    for bucket in ("terraform-state", f"lifecycle-{account}"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=f"lifecycle-{account}", Key="config/on_create.sh", Body=b"echo it is $(hostname)\n")
    role = with_moto.client("iam").create_role(RoleName="hyperpod", AssumeRolePolicyDocument="{}")["Role"]
    assert role["Arn"] in CONFIGURATION

    plan = Plan(tmp_path, with_moto, account, CONFIGURATION + BACKEND)
    plan.apply()
    assert plan.planned() == {}
    kept = [one["Key"] for one in s3.list_objects_v2(Bucket="terraform-state")["Contents"]]
    assert kept == ["hyperpod.tfstate"], "the lock is released"
    cluster = plan.state(CLUSTER)["cluster_arn"].rpartition("/")[2]
    logged = plan.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Clusters/training/{cluster}")
    assert sum("it is" in one["message"] for one in logged["events"]) == 3
    plan.run("destroy", "-auto-approve")
