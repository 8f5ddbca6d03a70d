"""`hyp`, the HyperPod CLI, unmodified and with nothing but the endpoint.

It is made for clusters that EKS orchestrates, and asks EKS and Kubernetes, too: a test has peers for these (eks.py).
"""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import clients
from tests.core.world import group_spec
from tests.doors.eks import Eks
from tests.harness import RunningServer

pytestmark = clients.needs("hyp")


@pytest.fixture(scope="module")
def eks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eks]:
    peer = Eks(tmp_path_factory.mktemp("eks"))
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def tocsin(tmp_path_factory: pytest.TempPathFactory, eks: Eks) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("hyp") / "data", "--test-mode", "--upstream", eks.url)
    yield running
    assert running.stop() == 0


class Lab:
    """An account with clusters, and somebody with a home who runs hyp."""

    def __init__(self, server: RunningServer, account: str, home: Path, eks: Eks) -> None:
        self.api = server.client("sagemaker", account)
        self.account, self._eks = account, eks
        self.hyp = partial(clients.hyp, server=server, account=account, home=home)

    def create(self, name: str, *groups: dict[str, Any], eks: str = "") -> str:
        """The ARN of the EKS cluster, where one orchestrates it."""
        arn = self._eks.cluster(eks, self.account) if eks else ""
        orchestrator = {"Orchestrator": {"Eks": {"ClusterArn": arn}}} if eks else {}
        self.api.create_cluster(ClusterName=name, InstanceGroups=list(groups), **orchestrator)
        return arn

    def nodes(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.list_cluster_nodes(ClusterName=name)["ClusterNodeSummaries"]
        return found


@pytest.fixture
def lab(tocsin: RunningServer, account: str, tmp_path: Path, eks: Eks) -> Lab:
    return Lab(tocsin, account, tmp_path, eks)


@pytest.fixture
def training(lab: Lab, eks: Eks) -> Iterator[str]:
    """A cluster with two nodes of eight accelerators, of which one is busy, and one without any.

    hyp writes into the system's temporary folder, by the name of a cluster: no other run has one of this name.
    """
    name = f"training-{os.getpid()}"
    workers = group_spec("workers", 2, InstanceType="ml.p5.48xlarge")
    lab.create(name, group_spec("system", 1), workers, eks="k8s")
    nodes = lab.nodes(name)
    busy = next(one["InstanceId"] for one in nodes if one["InstanceGroupName"] == "workers")
    eks.has(name, nodes, [busy])
    yield name
    Path(f"/tmp/kubeconfig_{name}").unlink(missing_ok=True)


def printed(ran: "subprocess.CompletedProcess[str]") -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def row(kind: str, nodes: int, free: int | str) -> dict[str, Any]:
    return {
        "InstanceType": kind,
        "TotalNodes": nodes,
        "AcceleratorDevicesAvailable": free,
        "NodeHealthStatus=Schedulable": nodes,
        "DeepHealthCheckStatus=Passed": "N/A",
    }


def test_list_cluster_counts_nodes_and_free_accelerators_by_type(lab: Lab, training: str, eks: Eks) -> None:
    lab.create("empty", group_spec("workers", 0), eks="other")
    lab.create("slurm", group_spec("my-controller", 1))  # hyp passes over those
    listed = {one["Cluster"]: one["Instances"] for one in json.loads(printed(lab.hyp("list-cluster")))}
    assert sorted(listed) == ["empty", training]
    assert listed["empty"] == [row("N/A", 0, 0)]
    assert sorted(listed[training], key=str) == [row("ml.p5.48xlarge", 2, 8), row("ml.t3.medium", 1, "N/A")]
    asked = eks.listings()[-1]
    assert "labelSelector=sagemaker.amazonaws.com%2Fcluster-name" in asked.query
    [bearer] = [value for name, value in asked.headers.items() if name.lower() == "authorization"]
    assert identity(bearer, "k8s") == lab.account


def identity(authorization: str, cluster: str) -> str:
    """The account that a bearer of `aws eks get-token` stands for: Kubernetes asks STS by the URL in the token."""
    scheme, token = authorization.removeprefix("Bearer ").split(".", 1)
    assert scheme == "k8s-aws-v1"
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"x-k8s-aws-id": cluster})) as answer:
        told: str = answer.read().decode()
    return told.partition("<Account>")[2].partition("</Account>")[0]


def test_list_cluster_makes_a_table_of_the_clusters_that_are_named(lab: Lab, training: str) -> None:
    lab.create("empty", group_spec("workers", 0), eks="other")
    table = printed(lab.hyp("list-cluster", "--output", "table", "--clusters", training))
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if "ml." in line]
    assert sorted(rows) == [
        [training, "ml.p5.48xlarge", "2", "8", "2", "N/A"],
        [training, "ml.t3.medium", "1", "N/A", "1", "N/A"],
    ]
    assert "empty" not in table


@pytest.mark.parametrize("orchestrator", ["", "k8s"])
def test_describe_cluster_shows_all_that_is_described(lab: Lab, orchestrator: str) -> None:
    arn = lab.create("c", group_spec("my-controller", 1), group_spec("workers", 3), eks=orchestrator)
    told = printed(lab.hyp("describe", "cluster", "c"))
    assert "Cluster Details for: c\nStatus: InService\n" in told
    cells = read(told)
    described = lab.api.describe_cluster(ClusterName="c")
    assert cells["ClusterArn"] == described["ClusterArn"]
    assert json.loads(cells["InstanceGroups"]) == described["InstanceGroups"]
    assert [group["CurrentCount"] for group in described["InstanceGroups"]] == [1, 3]
    assert ("Orchestrator" in cells) == bool(orchestrator)
    assert not orchestrator or json.loads(cells["Orchestrator"]) == {"Eks": {"ClusterArn": arn}}


def read(text: str) -> dict[str, str]:
    """Names and values. A value of several lines has no name before its later ones."""
    cells: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        head, bar, value = line.partition(" | ")
        name = head.strip() or name
        if bar:
            cells[name] = cells.get(name, "") + value.strip()
    return cells


def test_describe_cluster_of_one_that_is_not_there_says_so(lab: Lab) -> None:
    ran = lab.hyp("describe", "cluster", "nobody")
    assert ran.returncode == 1
    assert "Cluster 'nobody' not found" in ran.stdout


def test_set_cluster_context_connects_to_the_kubernetes_of_a_cluster(lab: Lab) -> None:
    arn = lab.create("c", group_spec("workers", 1), eks="k8s")
    printed(lab.hyp("set-cluster-context", "--cluster-name", "c"))
    assert printed(lab.hyp("get-cluster-context")) == f"Cluster context:{arn}\n"


def test_set_cluster_context_is_refused_for_a_cluster_of_slurm(lab: Lab) -> None:
    lab.create("slurm", group_spec("my-controller", 1))
    ran = lab.hyp("set-cluster-context", "--cluster-name", "slurm")
    assert ran.returncode == 1
    assert "Cluster 'slurm' is not EKS-orchestrated" in ran.stderr


def test_update_cluster_scales_a_group_and_sets_the_recovery(lab: Lab) -> None:
    lab.create("c", group_spec("workers", 1), eks="k8s")
    group = {
        "instance_group_name": "workers",
        "instance_count": 3,
        "instance_type": "ml.t3.medium",
        "execution_role": group_spec("workers", 3)["ExecutionRole"],
        "life_cycle_config": {"source_s3_uri": "s3://bucket/config/", "on_create": "on_create.sh"},
    }
    options = "--instance-groups", json.dumps([group]), "--node-recovery", "None"
    assert "Cluster c has been updated" in printed(lab.hyp("update", "cluster", "--cluster-name", "c", *options))
    described = lab.api.describe_cluster(ClusterName="c")
    assert [one["CurrentCount"] for one in described["InstanceGroups"]] == [3]
    assert described["NodeRecovery"] == "None"
