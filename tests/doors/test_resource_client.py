"""The calls that SageMaker's object-oriented client makes of its Cluster resource, one after the other.

create, refresh, wait_for_status, update, update_software, batch_delete_nodes, get_all, delete, wait_for_delete: each is
made as that client makes it (facts/hyperpod.md §1.1 and §8), with its loops and its reading of errors.

Where setup.sh could install the real client, that is run, too, unmodified (real_resource.py).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import clients
from tests.doors.hyperpod import HyperPod, group
from tests.harness import RunningServer, eventually


class ClusterResource:
    """A cluster by its name, with attributes as last described."""

    def __init__(self, api: Any, name: str) -> None:
        self._api, self._name = api, name
        self.attributes: dict[str, Any] = {}

    @classmethod
    def create(cls, api: Any, **request: Any) -> "ClusterResource":
        api.create_cluster(**request)
        return cls.get(api, request["ClusterName"])

    @classmethod
    def get(cls, api: Any, name: str) -> "ClusterResource":
        return cls(api, name).refresh()

    @classmethod
    def get_all(cls, api: Any, **request: Any) -> list["ClusterResource"]:
        pages = api.get_paginator("list_clusters").paginate(**request)
        return [cls.get(api, one["ClusterName"]) for page in pages for one in page["ClusterSummaries"]]

    def refresh(self) -> "ClusterResource":
        self.attributes = self._api.describe_cluster(ClusterName=self._name)
        return self

    @property
    def status(self) -> str:
        return str(self.attributes["ClusterStatus"])

    def wait_for_status(self, target: str) -> None:
        """Fails when the cluster comes to Failed instead, whose reason is always read."""

        def there() -> bool:
            self.refresh()
            assert self.status == target or "failed" not in self.status.lower(), self.attributes["FailureMessage"]
            return self.status == target

        eventually(there, f"{self._name} is {target}")

    def update(self, **request: Any) -> None:
        self._api.update_cluster(ClusterName=self._name, **request)
        self.refresh()

    def update_software(self, **request: Any) -> None:
        self._api.update_cluster_software(ClusterName=self._name, **request)

    def batch_delete_nodes(self, node_ids: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = self._api.batch_delete_cluster_nodes(ClusterName=self._name, NodeIds=node_ids)
        return found

    def nodes(self) -> list[dict[str, Any]]:
        pages = self._api.get_paginator("list_cluster_nodes").paginate(ClusterName=self._name)
        listed = [one for page in pages for one in page["ClusterNodeSummaries"]]
        return [self.node(one["InstanceId"]) for one in listed]

    def node(self, node_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._api.describe_cluster_node(ClusterName=self._name, NodeId=node_id)["NodeDetails"]
        return found

    def delete(self) -> None:
        self._api.delete_cluster(ClusterName=self._name)

    def wait_for_delete(self) -> None:
        eventually(self._gone, f"{self._name} is gone")

    def _gone(self) -> bool:
        try:
            self.refresh()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
                return True
            raise
        return self.status == "Deleted"


@pytest.mark.parametrize("mode", [{}, {"NodeProvisioningMode": "Continuous"}], ids=["default", "continuous"])
def test_the_life_of_a_cluster_through_its_resource(server: RunningServer, account: str, mode: dict[str, str]) -> None:
    pod = HyperPod(server, account)
    groups = [group("my-controller", 1), group("worker", 2)]
    cluster = ClusterResource.create(pod.api, ClusterName="c", InstanceGroups=groups, **mode)
    assert cluster.status in ("Creating", "InService")
    cluster.wait_for_status("InService")
    workers = _settled(cluster, 3)
    done = cluster.batch_delete_nodes([workers[0]["InstanceId"]])
    assert done["Successful"] == [workers[0]["InstanceId"]]
    cluster.wait_for_status("InService")
    assert _settled(cluster, 2)
    cluster.update(InstanceGroups=[group("worker", 2)])
    cluster.wait_for_status("InService")
    _settled(cluster, 3)
    cluster.update_software()
    cluster.wait_for_status("InService")
    assert {one["SoftwareUpdateStatus"] for one in cluster.attributes["InstanceGroups"]} == {"Succeeded"}
    [listed] = ClusterResource.get_all(pod.api)
    assert listed.attributes["ClusterArn"] == cluster.attributes["ClusterArn"]
    cluster.delete()
    cluster.wait_for_delete()


def _settled(cluster: ClusterResource, count: int) -> list[dict[str, Any]]:
    """The workers, once so many nodes run and no others are there."""

    def there() -> list[dict[str, Any]]:
        try:
            nodes = cluster.nodes()
        except ClientError:  # one went between the list and its description
            return []
        running = [one for one in nodes if one["InstanceStatus"]["Status"] == "Running"]
        return nodes if len(running) == len(nodes) == count else []

    return [one for one in eventually(there, f"{count} nodes run") if one["InstanceGroupName"] == "worker"]


@clients.needs("sagemaker-core")
@pytest.mark.parametrize("mode", ["default", "continuous"])
def test_the_life_of_a_cluster_through_the_real_resource(
    server: RunningServer, account: str, mode: str, tmp_path: Path
) -> None:
    script = str(Path(__file__).with_name("real_resource.py"))
    command = script, mode, "s3://nothing-here/config"
    ran = clients.run("sagemaker-core", *command, server=server, account=account, home=tmp_path)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout[ran.stdout.rindex("{") :])
    assert seen == {"deleted": True, "listed": ["real"], "failed": "FailedStatusError"}
