"""A cluster with two nodes in the session's server, shared by the tests that only run things on it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.harness import RunningServer, eventually

OPEN = ("Pending", "InProgress", "Delayed", "Cancelling")


class Fleet(NamedTuple):
    """The clients of one account, its cluster's id and the ids of its nodes."""

    server: RunningServer
    account: str
    ssm: Any
    cluster_id: str
    nodes: list[str]

    def run(self, document: str = "AWS-RunShellScript", **request: Any) -> str:
        """SendCommand; answers the command's id."""
        if "commands" in request:
            request["Parameters"] = {"commands": request.pop("commands"), **request.get("Parameters", {})}
        if "Targets" not in request:
            request.setdefault("InstanceIds", self.nodes[:1])
        return str(self.ssm.send_command(DocumentName=document, **request)["Command"]["CommandId"])

    def ended(self, command_id: str, instance_id: str = "", **request: Any) -> dict[str, Any]:
        """GetCommandInvocation, once it is over."""

        def over() -> Any:
            found = self.ssm.get_command_invocation(
                CommandId=command_id, InstanceId=instance_id or self.nodes[0], **request
            )
            return None if found["Status"] in OPEN else found

        found: dict[str, Any] = eventually(over, f"{command_id} is over")
        return found

    def over(self, command_id: str) -> dict[str, Any]:
        """The command, once it is over."""

        def check() -> Any:
            [found] = self.ssm.list_commands(CommandId=command_id)["Commands"]
            return None if found["Status"] in OPEN else found

        found: dict[str, Any] = eventually(check, f"{command_id} is over")
        return found

    def until(self, command_id: str, true: Callable[[dict[str, Any]], object], instance_id: str = "") -> dict[str, Any]:
        """The invocation, once it is as wanted."""

        def check() -> Any:
            found = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id or self.nodes[0])
            return found if true(found) else None

        found: dict[str, Any] = eventually(check, f"{command_id} is as wanted")
        return found


def cluster(server: RunningServer, account: str, count: int = 2) -> Fleet:
    source = server.bucket("commands-test", {"on_create.sh": "true\n"})
    sagemaker = server.client("sagemaker", account)
    arn = sagemaker.create_cluster(
        ClusterName="lab",
        InstanceGroups=[
            {
                "InstanceGroupName": "workers",
                "InstanceCount": count,
                "InstanceType": "ml.t3.medium",
                "ExecutionRole": f"arn:aws:iam::{account}:role/hyperpod",
                "LifeCycleConfig": {"SourceS3Uri": source, "OnCreate": "on_create.sh"},
            }
        ],
        Tags=[{"Key": "team", "Value": "vision"}],
    )["ClusterArn"]
    eventually(lambda: sagemaker.describe_cluster(ClusterName="lab")["ClusterStatus"] == "InService", "it is up")
    nodes = [one["InstanceId"] for one in sagemaker.list_cluster_nodes(ClusterName="lab")["ClusterNodeSummaries"]]
    return Fleet(server, account, server.client("ssm", account), arn.rpartition("/")[2], sorted(nodes))


@pytest.fixture(scope="session")
def fleet(server: RunningServer) -> Iterator[Fleet]:
    found = cluster(server, "200000000001")
    yield found
    server.client("sagemaker", found.account).delete_cluster(ClusterName="lab")
