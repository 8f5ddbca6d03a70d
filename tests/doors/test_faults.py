"""Failures on demand: each brings about what it is for, is told, counted and undone; and outlives the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.world import group_spec
from tests.doors.asking import configured, tocsin
from tests.harness import RunningServer, eventually

SETTINGS = """
[machines]
provider = "simulated"
[simulated]
speed = 0
[fleet]
replacement_pause_s = 0.1
replacement_pause_max_s = 0.2
"""
HASTY = "launch_timeout_s = 0.5\n"  # so short that even a sound machine may miss it


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with configured(tmp_path_factory.mktemp("faults"), SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with configured(tmp_path_factory.mktemp("hasty"), SETTINGS + HASTY) as running:
        yield running


class Someone:
    """A client with an account of its own, and the command line in the same."""

    def __init__(self, server: RunningServer, account: str) -> None:
        self.sagemaker = server.client("sagemaker", account)
        self._where = ["--endpoint-url", server.endpoint, "--account", account]

    def ask(self, *words: str) -> list[dict[str, Any]]:
        done = tocsin(*words, *self._where, "--output", "json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fault(self, *words: str) -> list[dict[str, Any]]:
        return self.ask("fault", *words)

    def refused(self, *words: str) -> str:
        done = tocsin("fault", *words, *self._where)
        assert done.returncode != 0
        return done.stderr

    def create(self, *counts: int, **more: Any) -> None:
        groups = [group_spec(f"group-{number}", count) for number, count in enumerate(counts, 1)]
        self.sagemaker.create_cluster(ClusterName="c", InstanceGroups=groups, **more)

    def cluster(self, *statuses: str) -> dict[str, Any]:
        """The cluster once it is in one of the statuses."""

        def there() -> Any:
            described = self.sagemaker.describe_cluster(ClusterName="c")
            return described if described["ClusterStatus"] in statuses else None

        found: dict[str, Any] = eventually(there, f"c is {statuses}")
        return found

    def story(self) -> list[str]:
        return [line["what"] for line in self.ask("story", "c")]


@pytest.fixture
def someone(simulated: RunningServer, account: str) -> Someone:
    return Someone(simulated, account)


def test_without_capacity_a_new_cluster_fails_in_awss_words(someone: Someone) -> None:
    [planned] = someone.fault("capacity", "group-2")
    someone.create(1, 3)
    failed = someone.cluster("Failed")
    assert failed["FailureMessage"] == (
        "We currently do not have sufficient capacity to launch new ml.t3.medium instances. Please try again."
    )
    assert "fault capacity of group-2 in any cluster" in someone.story()
    [left] = someone.fault("list")
    assert (left["id"], left["kind"], len(left["struck"])) == (planned["id"], "capacity", 3)


def test_without_capacity_an_update_rolls_back(someone: Someone) -> None:
    someone.create(2)
    someone.cluster("InService")
    someone.fault("capacity", "--cluster", "c", "--count", "1")
    someone.sagemaker.update_cluster(ClusterName="c", InstanceGroups=[group_spec("group-1", 5)])
    eventually(lambda: "Updating → RollingBack" in someone.story(), "it rolls back")
    back = someone.cluster("InService")
    assert back["InstanceGroups"][0]["CurrentCount"] == 2
    assert someone.fault("list") == []


def test_a_replacement_without_capacity_is_tried_again_until_there_is_some(someone: Someone) -> None:
    someone.create(2, NodeRecovery="Automatic")
    someone.cluster("InService")
    someone.fault("capacity", "group-1", "--count", "2")
    node = someone.sagemaker.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"][0]
    someone.sagemaker.batch_replace_cluster_nodes(ClusterName="c", NodeIds=[node["InstanceId"]])

    def replaced() -> bool:
        nodes = someone.sagemaker.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
        return [one["InstanceStatus"]["Status"] for one in nodes] == ["Running"] * 2 and node not in nodes

    eventually(replaced, "the replacement runs")
    met = [what for what in someone.story() if what.startswith("fault capacity")]
    assert met == [
        "fault capacity of group-1 in any cluster (1 more)",
        "fault capacity of group-1 in any cluster (0 more)",
    ]


def test_a_continuous_cluster_is_in_service_with_what_can_be_had_and_tries_the_rest_again(someone: Someone) -> None:
    someone.fault("capacity", "group-2", "--count", "2")
    head = group_spec("group-1", 1, SlurmConfig={"NodeType": "Controller"})
    someone.sagemaker.create_cluster(
        ClusterName="c", InstanceGroups=[head, group_spec("group-2", 3)], NodeProvisioningMode="Continuous"
    )
    someone.cluster("InService")
    eventually(
        lambda: [group["CurrentCount"] for group in someone.cluster("InService")["InstanceGroups"]] == [1, 3],
        "all are there",
    )
    assert sum(what.startswith("fault capacity") for what in someone.story()) == 2


def test_a_script_that_fails_on_demand_says_so_and_fails_the_cluster(someone: Someone) -> None:
    [planned] = someone.fault("script-fails", "group-1", "--count", "1")
    someone.create(2)
    failed = someone.cluster("Failed")
    assert "Lifecycle scripts did not run successfully" in failed["FailureMessage"]
    assert planned["id"] in failed["FailureMessage"]


def test_a_boot_that_never_comes_fails_by_the_fleets_deadline(hasty: RunningServer, account: str) -> None:
    someone = Someone(hasty, account)
    someone.fault("boot-never", "group-1", "--count", "1")
    someone.create(2)
    failed = someone.cluster("Failed")
    assert "did not come up within 0.5 seconds" in failed["FailureMessage"]


def test_a_slow_boot_holds_up_the_cluster_and_comes_all_the_same(someone: Someone) -> None:
    someone.fault("boot-slow", "group-1", "--delay", "0.2")
    someone.create(2)
    someone.cluster("InService")
    assert someone.story().count("fault boot-slow of group-1 in any cluster") == 2


def test_a_boot_that_is_slower_than_the_deadline_fails(hasty: RunningServer, account: str) -> None:
    someone = Someone(hasty, account)
    someone.fault("boot-slow", "group-1", "--delay", "10m")
    someone.create(1)
    someone.cluster("Failed")
    nodes = someone.sagemaker.list_cluster_nodes(ClusterName="c")["ClusterNodeSummaries"]
    assert nodes == []


def test_a_fault_that_is_cleared_meets_nobody(someone: Someone) -> None:
    [one] = someone.fault("capacity")
    someone.fault("script-fails")
    someone.fault("boot-never", "--for", "10m")
    assert [fault["id"] for fault in someone.fault("clear", one["id"])] == [one["id"]]
    assert len(someone.fault("clear", "--all")) == 2
    assert someone.fault("list") == []
    someone.create(2)
    someone.cluster("InService")


def test_a_fault_is_of_its_own_account_group_and_cluster(someone: Someone, simulated: RunningServer) -> None:
    Someone(simulated, "123123123123").fault("capacity")
    someone.fault("capacity", "another-group")
    someone.fault("capacity", "--cluster", "another")
    someone.create(2)
    someone.cluster("InService")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("clear",), "name a fault, or say --all"),
        (("clear", "nonsense"), "There is no fault nonsense."),
        (("capacity", "g", "--for", "soon"), "'soon' is no span of time"),
        (("boot-slow", "g", "--delay", "60d"), "delay_s must be above 0 and at most 86400"),
    ],
)
def test_what_cannot_be_is_refused_by_name(someone: Someone, words: tuple[str, ...], said: str) -> None:
    assert said in someone.refused(*words)


def test_faults_outlive_the_server(tmp_path: Path) -> None:
    (tmp_path / "tocsin.toml").write_text(SETTINGS)
    options = ("--config", str(tmp_path / "tocsin.toml"))
    first = RunningServer(tmp_path / "data", *options)
    [planned] = Someone(first, "111122223333").fault("capacity", "--count", "2")
    first.kill()
    second = RunningServer(tmp_path / "data", *options)
    try:
        assert Someone(second, "111122223333").fault("list") == [planned]
    finally:
        second.stop()
