"""The AWS CLI, unmodified and as a process: every operation of the walkthrough's services, and their errors."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness import REGION, RunningServer, eventually

ROLE = "arn:aws:iam::111122223333:role/hyperpod"
AT_ONCE = 3  # the CLI spends its time starting up

# (service, arguments, error code or "" where it must work). In order: what a step makes, later ones use.
# {arn}, {node} and {now} are filled in.
Step = tuple[str, str, str]

GONE = "ResourceNotFoundException"

LOGS: list[Step] = [
    ("logs", "create-log-group --log-group-name /g --tags team=a", ""),
    ("logs", "create-log-group --log-group-name /g", "ResourceAlreadyExistsException"),
    ("logs", "create-log-stream --log-group-name /g --log-stream-name s", ""),
    ("logs", "create-log-stream --log-group-name /g --log-stream-name s", "ResourceAlreadyExistsException"),
    ("logs", "put-log-events --log-group-name /g --log-stream-name s --log-events timestamp={now},message=hello", ""),
    (
        "logs",
        "put-log-events --log-group-name /no --log-stream-name s --log-events timestamp=1,message=x",
        "ResourceNot",
    ),
    ("logs", "describe-log-groups --log-group-name-prefix /g", ""),
    ("logs", "describe-log-groups --log-group-name-pattern a*", "InvalidParameterException"),
    ("logs", "describe-log-streams --log-group-name /g", ""),
    ("logs", "describe-log-streams --log-group-name /no", "ResourceNotFoundException"),
    ("logs", "get-log-events --log-group-name /g --log-stream-name s --start-from-head", ""),
    ("logs", "get-log-events --log-group-name /g --log-stream-name no", "ResourceNotFoundException"),
    ("logs", "filter-log-events --log-group-name /g --filter-pattern hello", ""),
    ("logs", "filter-log-events --log-group-name /no", "ResourceNotFoundException"),
    ("logs", "put-retention-policy --log-group-name /g --retention-in-days 7", ""),
    ("logs", "put-retention-policy --log-group-name /g --retention-in-days 8", "InvalidParameterException"),
    ("logs", "delete-retention-policy --log-group-name /g", ""),
    ("logs", "delete-retention-policy --log-group-name /no", "ResourceNotFoundException"),
    ("logs", 'put-resource-policy --policy-name p --policy-document {"Statement":[]}', ""),
    ("logs", "put-resource-policy --policy-name p --policy-document nonsense", "InvalidParameterException"),
    ("logs", "describe-resource-policies", ""),
    ("logs", "delete-resource-policy --policy-name p", ""),
    ("logs", "delete-resource-policy --policy-name p", "ResourceNotFoundException"),
    ("logs", "tag-log-group --log-group-name /g --tags a=b", ""),
    ("logs", "list-tags-log-group --log-group-name /g", ""),
    ("logs", "untag-log-group --log-group-name /g --tags a", ""),
    ("logs", "tag-resource --resource-arn {group} --tags a=b", ""),
    ("logs", "list-tags-for-resource --resource-arn {group}", ""),
    ("logs", "untag-resource --resource-arn {group} --tag-keys a", ""),
    ("logs", "tag-resource --resource-arn {group}x --tags a=b", "ResourceNotFoundException"),
    ("logs", "put-log-group-deletion-protection --log-group-identifier /g --no-deletion-protection-enabled", ""),
    ("logs", "delete-log-stream --log-group-name /g --log-stream-name s", ""),
    ("logs", "delete-log-stream --log-group-name /g --log-stream-name s", "ResourceNotFoundException"),
    ("logs", "delete-log-group --log-group-name /g", ""),
    ("logs", "delete-log-group --log-group-name /g", "ResourceNotFoundException"),
]

PATTERN = '{"source":["my.app"]}'
EVENT = json.dumps(
    {"id": "1", "account": "1", "source": "my.app", "time": "2026-01-01T00:00:00Z", "region": "r", "detail-type": "t"},
    separators=(",", ":"),
)
EVENTS: list[Step] = [
    ("events", f"put-rule --name r --event-pattern {PATTERN}", ""),
    ("events", "put-rule --name r --event-pattern {}", "InvalidEventPatternException"),
    ("events", "describe-rule --name r", ""),
    ("events", "describe-rule --name no", "ResourceNotFoundException"),
    ("events", "list-rules --name-prefix r", ""),
    ("events", "list-rules --event-bus-name no", "ResourceNotFoundException"),
    ("events", "put-targets --rule r --targets Id=1,Arn={group}", ""),
    ("events", "put-targets --rule no --targets Id=1,Arn={group}", "ResourceNotFoundException"),
    ("events", "put-targets --rule r --targets Id=1,Arn=arn:aws:lambda:us-west-2:1:function:f", "NotImplemented"),
    ("events", "list-targets-by-rule --rule r", ""),
    ("events", "list-targets-by-rule --rule no", "ResourceNotFoundException"),
    ("events", "list-rule-names-by-target --target-arn {group}", ""),
    ("events", "list-rule-names-by-target --target-arn {group} --event-bus-name no", "ResourceNotFoundException"),
    ("events", 'put-events --entries [{"Source":"my.app","DetailType":"t","Detail":"{}"}]', ""),
    ("events", "put-events --entries " + "Source=a,DetailType=t,Detail=x " * 11, "ValidationException"),
    ("events", f"test-event-pattern --event-pattern {PATTERN} --event {EVENT}", ""),
    ("events", f"test-event-pattern --event-pattern {PATTERN} --event nonsense", "ValidationException"),
    ("events", "tag-resource --resource-arn {rule} --tags Key=a,Value=b", ""),
    ("events", "list-tags-for-resource --resource-arn {rule}", ""),
    ("events", "untag-resource --resource-arn {rule} --tag-keys a", ""),
    ("events", "tag-resource --resource-arn {rule}x --tags Key=a,Value=b", "ResourceNotFoundException"),
    ("events", "disable-rule --name r", ""),
    ("events", "disable-rule --name no", "ResourceNotFoundException"),
    ("events", "enable-rule --name r", ""),
    ("events", "enable-rule --name no", "ResourceNotFoundException"),
    ("events", "delete-rule --name r", "ValidationException"),
    ("events", "remove-targets --rule r --ids 1", ""),
    ("events", "remove-targets --rule no --ids 1", "ResourceNotFoundException"),
    ("events", "delete-rule --name r", ""),
]

_GROUP = f"InstanceGroupName=g,InstanceCount=1,InstanceType=ml.t3.medium,ExecutionRole={ROLE}"
CREATE: list[Step] = [
    ("sts", "get-caller-identity", ""),
    ("sagemaker", f"create-cluster --cluster-name c --instance-groups {_GROUP} --tags Key=a,Value=b", ""),
    ("sagemaker", f"create-cluster --cluster-name c --instance-groups {_GROUP}", "ResourceInUse"),
]
IN_SERVICE: list[Step] = [
    ("sagemaker", "list-clusters --name-contains c", ""),
    ("sagemaker", "list-clusters --next-token nonsense", "ValidationException"),
    ("sagemaker", "describe-cluster --cluster-name {arn}", ""),
    ("sagemaker", "describe-cluster --cluster-name no", "ResourceNotFound"),
    ("sagemaker", "list-cluster-nodes --cluster-name c", ""),
    ("sagemaker", "list-cluster-nodes --cluster-name no", "ResourceNotFound"),
    ("sagemaker", "describe-cluster-node --cluster-name c --node-id {node}", ""),
    ("sagemaker", "describe-cluster-node --cluster-name c --node-id i-00000000000000000", "ResourceNotFound"),
    ("sagemaker", "add-tags --resource-arn {arn} --tags Key=c,Value=d", ""),
    ("sagemaker", "add-tags --resource-arn {arn}x --tags Key=c,Value=d", "ResourceNotFound"),
    ("sagemaker", "list-tags --resource-arn {arn}", ""),
    ("sagemaker", "list-tags --resource-arn {arn}x", "ResourceNotFound"),
    ("sagemaker", "delete-tags --resource-arn {arn} --tag-keys c", ""),
    ("sagemaker", "delete-tags --resource-arn {arn}x --tag-keys c", "ResourceNotFound"),
    ("sagemaker", "update-cluster --cluster-name c --instance-groups-to-delete no", "ValidationException"),
    ("sagemaker", "update-cluster --cluster-name c --node-recovery None", ""),
    ("sagemaker", "list-training-jobs", "NotImplemented"),
    ("sagemaker", "delete-cluster --cluster-name c", ""),
    ("sagemaker", "delete-cluster --cluster-name no", "ResourceNotFound"),
]

# A cluster with continuous provisioning. The CLI does not know its operations and extensions yet.
_MANY = _GROUP.replace("InstanceCount=1", "InstanceCount=3")
CONTINUOUS: list[Step] = [
    (
        "sagemaker",
        f"create-cluster --cluster-name c --instance-groups {_MANY} --node-provisioning-mode Continuous",
        "",
    ),
]
NODES: list[Step] = [
    ("sagemaker", "list-cluster-events --cluster-name c --resource-type Cluster", ""),
    ("sagemaker", "describe-cluster-event --cluster-name c --event-id {event}", ""),
    ("sagemaker", "describe-cluster-event --cluster-name c --event-id {event}0", "ValidationException"),
    (
        "sagemaker",
        "attach-cluster-node-volume --cluster-arn {arn} --node-id {node} --volume-id vol-0123456789abcdef0",
        "ValidationException",
    ),
    ("sagemaker", "batch-reboot-cluster-nodes --cluster-name c --node-ids {node}", ""),
    ("sagemaker", "batch-replace-cluster-nodes --cluster-name c --node-ids {second}", ""),
    ("sagemaker", "batch-delete-cluster-nodes --cluster-name c --node-ids {third}", ""),
    ("sagemaker", "batch-reboot-cluster-nodes --cluster-name no --node-ids {node}", "ResourceNotFound"),
]


class Shell:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.names = {
            "group": f"arn:aws:logs:{REGION}:{account}:log-group:/g",
            "rule": f"arn:aws:events:{REGION}:{account}:rule/r",
        }

    def run(self, step: Step) -> Any:
        """The answer; asserts that the step ends as it should."""
        service, line, code = step
        arguments = line.split()
        for name, value in self.names.items():
            arguments = [one.replace(f"{{{name}}}", value) for one in arguments]
        done = self.server.cli(service, *arguments, account=self.account)
        if code:
            assert done.returncode in (254, 255), (line, done.stdout)
            assert f"({code}" in done.stderr, (line, done.stderr)
            return None
        assert done.returncode == 0, (line, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def play(self, steps: Sequence[Step]) -> None:
        """What must work, in order; the errors that follow a step side by side: they change nothing."""
        waiting: list[Step] = []
        for step in steps:
            if step[2]:
                waiting.append(step)
            else:
                self._errors(waiting)
                waiting = []
                self.run(step)
        self._errors(waiting)

    def _errors(self, steps: Sequence[Step]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.run, steps))


@pytest.fixture
def shell(server: RunningServer, account: str) -> Shell:
    return Shell(server, account)


def test_logs(shell: Shell) -> None:
    shell.names["now"] = str(int(time.time() * 1000))
    shell.play(LOGS)


def test_events(shell: Shell) -> None:
    shell.play(EVENTS)


def test_sagemaker_and_sts(shell: Shell) -> None:
    shell.play(CREATE)

    def described() -> Any:
        found = shell.run(("sagemaker", "describe-cluster --cluster-name c", ""))
        return found if found["ClusterStatus"] == "InService" else None

    shell.names["arn"] = eventually(described, "the cluster")["ClusterArn"]
    nodes = shell.run(("sagemaker", "list-cluster-nodes --cluster-name c", ""))["ClusterNodeSummaries"]
    shell.names["node"] = nodes[0]["InstanceId"]
    shell.play(IN_SERVICE)


def test_events_and_batches_of_nodes(shell: Shell) -> None:
    shell.play(CONTINUOUS)
    api = shell.server.client("sagemaker", shell.account)  # to wait by: it starts up once

    def running() -> Any:
        found = api.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
        there = [one["InstanceStatus"]["Status"] for one in found] == ["Running"] * 3
        return found if there and api.describe_cluster(ClusterName="c")["ClusterStatus"] == "InService" else None

    first, second, third = (one["InstanceId"] for one in eventually(running, "all nodes run"))
    shell.names |= {"node": first, "second": second, "third": third}
    shell.names["arn"] = api.describe_cluster(ClusterName="c")["ClusterArn"]
    shell.names["event"] = shell.run(("sagemaker", "list-cluster-events --cluster-name c", ""))["Events"][0]["EventId"]
    shell.play(NODES)
    kept, gone = shell.names["node"], {shell.names["second"], shell.names["third"]}

    def over() -> Any:
        found = api.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
        ids = {one["InstanceId"] for one in found if one["InstanceStatus"]["Status"] == "Running"}
        return len(found) == len(ids) == 2 and kept in ids and not gone & ids

    eventually(over, "one is as it was, one is new, one is gone", timeout_s=60)
