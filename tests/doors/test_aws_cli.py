"""The AWS CLI, unmodified: every operation of the walkthrough's services, and their errors."""

import json
import time
from typing import Any

from tests.doors.shell import Shell, Step
from tests.harness import REGION, eventually

ROLE = "arn:aws:iam::111122223333:role/hyperpod"
GROUP = f"arn:aws:logs:{REGION}:{{}}:log-group:/g"
RULE = f"arn:aws:events:{REGION}:{{}}:rule/r"

LOGS: list[Step] = [
    ("create-log-group --log-group-name /g --tags team=a", ""),
    ("create-log-group --log-group-name /g", "ResourceAlreadyExistsException"),
    ("create-log-stream --log-group-name /g --log-stream-name s", ""),
    ("create-log-stream --log-group-name /g --log-stream-name s", "ResourceAlreadyExistsException"),
    ("put-log-events --log-group-name /g --log-stream-name s --log-events timestamp={now},message=hello", ""),
    ("put-log-events --log-group-name /no --log-stream-name s --log-events timestamp=1,message=x", "ResourceNot"),
    ("describe-log-groups --log-group-name-prefix /g", ""),
    ("describe-log-groups --log-group-name-pattern a*", "InvalidParameterException"),
    ("describe-log-streams --log-group-name /g", ""),
    ("describe-log-streams --log-group-name /no", "ResourceNotFoundException"),
    ("get-log-events --log-group-name /g --log-stream-name s --start-from-head", ""),
    ("get-log-events --log-group-name /g --log-stream-name no", "ResourceNotFoundException"),
    ("filter-log-events --log-group-name /g --filter-pattern hello", ""),
    ("filter-log-events --log-group-name /no", "ResourceNotFoundException"),
    ("put-retention-policy --log-group-name /g --retention-in-days 7", ""),
    ("put-retention-policy --log-group-name /g --retention-in-days 8", "InvalidParameterException"),
    ("delete-retention-policy --log-group-name /g", ""),
    ("delete-retention-policy --log-group-name /no", "ResourceNotFoundException"),
    ('put-resource-policy --policy-name p --policy-document {"Statement":[]}', ""),
    ("put-resource-policy --policy-name p --policy-document nonsense", "InvalidParameterException"),
    ("describe-resource-policies", ""),
    ("delete-resource-policy --policy-name p", ""),
    ("delete-resource-policy --policy-name p", "ResourceNotFoundException"),
    ("tag-log-group --log-group-name /g --tags a=b", ""),
    ("list-tags-log-group --log-group-name /g", ""),
    ("untag-log-group --log-group-name /g --tags a", ""),
    ("tag-resource --resource-arn {group} --tags a=b", ""),
    ("list-tags-for-resource --resource-arn {group}", ""),
    ("untag-resource --resource-arn {group} --tag-keys a", ""),
    ("tag-resource --resource-arn {group}x --tags a=b", "ResourceNotFoundException"),
    ("put-log-group-deletion-protection --log-group-identifier /g --no-deletion-protection-enabled", ""),
    ("delete-log-stream --log-group-name /g --log-stream-name s", ""),
    ("delete-log-stream --log-group-name /g --log-stream-name s", "ResourceNotFoundException"),
    ("delete-log-group --log-group-name /g", ""),
    ("delete-log-group --log-group-name /g", "ResourceNotFoundException"),
]

PATTERN = '{"source":["my.app"]}'
EVENT = json.dumps(
    {"id": "1", "account": "1", "source": "my.app", "time": "2026-01-01T00:00:00Z", "region": "r", "detail-type": "t"},
    separators=(",", ":"),
)
EVENTS: list[Step] = [
    (f"put-rule --name r --event-pattern {PATTERN}", ""),
    ("put-rule --name r --event-pattern {}", "InvalidEventPatternException"),
    ("describe-rule --name r", ""),
    ("describe-rule --name no", "ResourceNotFoundException"),
    ("list-rules --name-prefix r", ""),
    ("list-rules --event-bus-name no", "ResourceNotFoundException"),
    ("put-targets --rule r --targets Id=1,Arn={group}", ""),
    ("put-targets --rule no --targets Id=1,Arn={group}", "ResourceNotFoundException"),
    ("put-targets --rule r --targets Id=1,Arn=arn:aws:lambda:us-west-2:1:function:f", "NotImplemented"),
    ("list-targets-by-rule --rule r", ""),
    ("list-targets-by-rule --rule no", "ResourceNotFoundException"),
    ("list-rule-names-by-target --target-arn {group}", ""),
    ("list-rule-names-by-target --target-arn {group} --event-bus-name no", "ResourceNotFoundException"),
    ('put-events --entries [{"Source":"my.app","DetailType":"t","Detail":"{}"}]', ""),
    ("put-events --entries " + "Source=a,DetailType=t,Detail=x " * 11, "ValidationException"),
    (f"test-event-pattern --event-pattern {PATTERN} --event {EVENT}", ""),
    (f"test-event-pattern --event-pattern {PATTERN} --event nonsense", "ValidationException"),
    ("tag-resource --resource-arn {rule} --tags Key=a,Value=b", ""),
    ("list-tags-for-resource --resource-arn {rule}", ""),
    ("untag-resource --resource-arn {rule} --tag-keys a", ""),
    ("tag-resource --resource-arn {rule}x --tags Key=a,Value=b", "ResourceNotFoundException"),
    ("disable-rule --name r", ""),
    ("disable-rule --name no", "ResourceNotFoundException"),
    ("enable-rule --name r", ""),
    ("enable-rule --name no", "ResourceNotFoundException"),
    ("delete-rule --name r", "ValidationException"),
    ("remove-targets --rule r --ids 1", ""),
    ("remove-targets --rule no --ids 1", "ResourceNotFoundException"),
    ("delete-rule --name r", ""),
]

_GROUP = f"InstanceGroupName=g,InstanceCount=1,InstanceType=ml.t3.medium,ExecutionRole={ROLE}"
CREATE: list[Step] = [
    (f"create-cluster --cluster-name c --instance-groups {_GROUP} --tags Key=a,Value=b", ""),
    (f"create-cluster --cluster-name c --instance-groups {_GROUP}", "ResourceInUse"),
]
IN_SERVICE: list[Step] = [
    ("list-clusters --name-contains c", ""),
    ("list-clusters --next-token nonsense", "ValidationException"),
    ("describe-cluster --cluster-name {arn}", ""),
    ("describe-cluster --cluster-name no", "ResourceNotFound"),
    ("list-cluster-nodes --cluster-name c", ""),
    ("list-cluster-nodes --cluster-name no", "ResourceNotFound"),
    ("describe-cluster-node --cluster-name c --node-id {node}", ""),
    ("describe-cluster-node --cluster-name c --node-id i-00000000000000000", "ResourceNotFound"),
    ("add-tags --resource-arn {arn} --tags Key=c,Value=d", ""),
    ("add-tags --resource-arn {arn}x --tags Key=c,Value=d", "ResourceNotFound"),
    ("list-tags --resource-arn {arn}", ""),
    ("list-tags --resource-arn {arn}x", "ResourceNotFound"),
    ("delete-tags --resource-arn {arn} --tag-keys c", ""),
    ("delete-tags --resource-arn {arn}x --tag-keys c", "ResourceNotFound"),
    ("update-cluster --cluster-name c --instance-groups-to-delete no", "ValidationException"),
    ("update-cluster --cluster-name c --node-recovery None", ""),
    ("list-training-jobs", "NotImplemented"),
    ("delete-cluster --cluster-name c", ""),
    ("delete-cluster --cluster-name no", "ResourceNotFound"),
]

# A cluster with continuous provisioning. The CLI does not know its operations and extensions yet.
_MANY = _GROUP.replace("InstanceCount=1", "InstanceCount=3")
CONTINUOUS: list[Step] = [
    (
        f"create-cluster --cluster-name c --instance-groups {_MANY} --node-provisioning-mode Continuous",
        "",
    ),
]
NODES: list[Step] = [
    ("list-cluster-events --cluster-name c --resource-type Cluster", ""),
    ("describe-cluster-event --cluster-name c --event-id {event}", ""),
    ("describe-cluster-event --cluster-name c --event-id {event}0", "ValidationException"),
    (
        "attach-cluster-node-volume --cluster-arn {arn} --node-id {node} --volume-id vol-0123456789abcdef0",
        "ValidationException",
    ),
    ("batch-reboot-cluster-nodes --cluster-name c --node-ids {node}", ""),
    ("batch-replace-cluster-nodes --cluster-name c --node-ids {second}", ""),
    ("batch-delete-cluster-nodes --cluster-name c --node-ids {third}", ""),
    ("batch-reboot-cluster-nodes --cluster-name no --node-ids {node}", "ResourceNotFound"),
]


def test_logs(shell: Shell) -> None:
    shell.names |= {"group": GROUP.format(shell.account), "now": str(int(time.time() * 1000))}
    shell.play("logs", LOGS)


def test_events(shell: Shell) -> None:
    shell.names |= {"group": GROUP.format(shell.account), "rule": RULE.format(shell.account)}
    shell.play("events", EVENTS)


def test_sts(shell: Shell) -> None:
    assert shell.run("sts", ("get-caller-identity", ""))["Account"] == shell.account


def test_sagemaker(shell: Shell) -> None:
    shell.play("sagemaker", CREATE)

    def described() -> Any:
        found = shell.run("sagemaker", ("describe-cluster --cluster-name c", ""))
        return found if found["ClusterStatus"] == "InService" else None

    shell.names["arn"] = eventually(described, "the cluster")["ClusterArn"]
    nodes = shell.run("sagemaker", ("list-cluster-nodes --cluster-name c", ""))["ClusterNodeSummaries"]
    shell.names["node"] = nodes[0]["InstanceId"]
    shell.play("sagemaker", IN_SERVICE)


def test_events_and_batches_of_nodes(shell: Shell) -> None:
    shell.play("sagemaker", CONTINUOUS)
    api = shell.server.client("sagemaker", shell.account)

    def running() -> Any:
        found = api.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
        there = [one["InstanceStatus"]["Status"] for one in found] == ["Running"] * 3
        return found if there and api.describe_cluster(ClusterName="c")["ClusterStatus"] == "InService" else None

    first, second, third = (one["InstanceId"] for one in eventually(running, "all nodes run"))
    shell.names |= {"node": first, "second": second, "third": third}
    shell.names["arn"] = api.describe_cluster(ClusterName="c")["ClusterArn"]
    [event, *_] = shell.run("sagemaker", ("list-cluster-events --cluster-name c", ""))["Events"]
    shell.names["event"] = event["EventId"]
    shell.play("sagemaker", NODES)

    def over() -> Any:
        found = api.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
        ids = {one["InstanceId"] for one in found if one["InstanceStatus"]["Status"] == "Running"}
        return len(found) == len(ids) == 2 and first in ids and not {second, third} & ids

    eventually(over, "one is as it was, one is new, one is gone")
