"""Cluster extensions over the wire: installed on real nodes by their own scripts, updated, failed, healed, removed."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doors.asking import refusal
from tests.doors.hyperpod import HyperPod, eks, group, story
from tests.harness import RunningServer, eventually, free_port

NAME = "metrics-exporter"
DEFAULTS = {"level": "BASIC", "port": 9100, "exporter": {"enabled": True, "labels": {}}, "extra": None}
# Writes what it is told to a file of the node; fails as the configuration says.
INSTALL = """#!/usr/bin/env bash
set -euo pipefail
case "$EXTENSION_CONFIGURATION" in
  *'"level": "BROKEN"'*) echo "cannot reach the registry" >&2; exit 69 ;;
esac
echo "$EXTENSION_NAME $EXTENSION_VERSION $EXTENSION_CONFIGURATION" > "$TOCSIN_NODE_DIR/extension"
"""
REMOVE = """#!/bin/sh
rm "$TOCSIN_NODE_DIR/extension"
"""


@pytest.fixture(scope="session", autouse=True)
def offered(server: RunningServer) -> None:
    for version in ("1.0.0", "1.10.0", "1.2.0"):
        folder = server.data_dir / "extensions" / NAME / version
        folder.mkdir(parents=True)
        (folder / "install.sh").write_text(INSTALL)
        (folder / "remove.sh").write_text(REMOVE)
        (folder / "defaults.json").write_text(json.dumps(DEFAULTS))


@pytest.fixture
def cluster(pod: HyperPod) -> str:
    """Of two nodes that both run: in service it is with the first."""
    arn = pod.create("c", group("workers", 2), NodeProvisioningMode="Continuous")
    running = ["Running", "Running"]
    eventually(lambda: [one["InstanceStatus"]["Status"] for one in pod.nodes("c")] == running, "both run")
    return arn


class Extension:
    def __init__(self, pod: HyperPod, cluster: str, name: str = NAME, **request: Any) -> None:
        self.pod = pod
        made = pod.api.create_cluster_extension(ClusterArn=cluster, ExtensionName=name, **request)
        self.where = {"ClusterArn": cluster, "ExtensionArn": made["ExtensionArn"]}

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod.api.describe_cluster_extension(**self.where)
        return found

    def until(self, status: str, active: int) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            found = self.described()
            stands = (found["ExtensionDetails"]["Status"], found["NodeSummary"]["ActiveCount"])
            return found if stands == (status, active) else None

        found: dict[str, Any] = eventually(there, f"the extension is {status} on {active}")
        return found

    def update(self, **request: Any) -> None:
        self.pod.api.update_cluster_extension(**self.where, **request)

    def gone(self) -> bool:
        try:
            self.described()
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "ResourceNotFound")
        return False


def files(pod: HyperPod) -> list[str]:
    """What the extension left on the nodes."""
    machines = pod.server.data_dir / "machines"
    ids = [node["InstanceId"] for node in pod.nodes("c")]
    found = [path for one in ids for path in machines.glob(f"**/{one}/**/extension") if path.is_file()]
    return [Path(path).read_text().strip() for path in found]


def test_an_extension_runs_on_every_node_and_on_those_that_are_added(pod: HyperPod, cluster: str) -> None:
    mine = Extension(pod, cluster, ConfigurationValues='{"exporter":{"labels":{"team":"a"}}}')
    details = mine.until("Active", 2)["ExtensionDetails"]
    assert details["ExtensionVersion"] == "1.10.0"
    whole = {**DEFAULTS, "exporter": {"enabled": True, "labels": {"team": "a"}}}
    assert json.loads(details["ConfigurationValues"]) == whole
    assert [json.loads(text.split(" ", 2)[2]) for text in files(pod)] == [whole, whole]
    pod.api.update_cluster(ClusterName="c", InstanceGroups=[group("workers", 3)])
    assert mine.until("Active", 3)["NodeSummary"] == {"TotalCount": 3, "ActiveCount": 3}
    told = story(pod, "c")
    assert f"CreateClusterExtension {NAME} 1.10.0" in told
    assert f"extension {NAME}: Creating → Active" in told


def test_an_update_changes_what_it_names_and_null_returns_to_the_default(pod: HyperPod, cluster: str) -> None:
    mine = Extension(pod, cluster, ExtensionVersion="1.0.0", ConfigurationValues='{"level":"ADVANCED","port":1}')
    before = mine.until("Active", 2)["ExtensionDetails"]
    mine.update(ExtensionVersion="1.2.0", ConfigurationValues='{"level":null}')
    after = mine.until("Active", 2)["ExtensionDetails"]
    assert after["ExtensionVersion"] == "1.2.0"
    assert json.loads(after["ConfigurationValues"]) == {**DEFAULTS, "port": 1}
    assert after["CreationTime"] == before["CreationTime"] < after["LastModifiedTime"]
    assert all(text.startswith(f"{NAME} 1.2.0") for text in files(pod))
    said = refusal(pod.api.update_cluster_extension, **mine.where, ExtensionVersion="1.0.0")
    assert (said.code, "earlier" in said.message) == ("ValidationException", True)


def test_a_failure_is_told_by_cause_and_an_update_without_changes_tries_again(pod: HyperPod, cluster: str) -> None:
    mine = Extension(pod, cluster, ConfigurationValues='{"level":"BROKEN"}')
    found = mine.until("CreateFailed", 0)
    [issue] = found["Health"]["Issues"]
    assert issue == {"Code": "DependencyUnreachable", "Message": "cannot reach the registry", "NodeCount": 2}
    [listed] = pod.api.list_cluster_extensions(ClusterArn=cluster)["Extensions"]
    assert listed["Status"] == "CreateFailed"
    mine.update()
    assert "Health" in mine.until("UpdateFailed", 0)
    mine.update(ConfigurationValues='{"level":"BASIC"}')
    assert "Health" not in mine.until("Active", 2)


def test_a_deleted_extension_is_removed_from_the_nodes_and_its_name_is_free(pod: HyperPod, cluster: str) -> None:
    mine = Extension(pod, cluster)
    mine.until("Active", 2)
    assert len(files(pod)) == 2
    pod.api.delete_cluster_extension(**mine.where)
    eventually(mine.gone, "the extension is gone")
    assert files(pod) == []
    assert pod.api.list_cluster_extensions(ClusterArn=cluster)["Extensions"] == []
    again = Extension(pod, cluster)
    assert again.where["ExtensionArn"] != mine.where["ExtensionArn"]


def test_without_a_script_for_its_removal_an_extension_waits_for_no_node_that_is_lost(pod: HyperPod) -> None:
    folder = pod.server.data_dir / "extensions" / f"bare-{pod.account}" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "install.sh").write_text("#!/bin/sh\n")
    arn = pod.create("c", group("workers", 2), NodeProvisioningMode="Continuous", NodeRecovery="None")
    mine = Extension(pod, arn, f"bare-{pod.account}")
    mine.until("Active", 2)
    lost = pod.nodes("c")[0]["InstanceId"]
    pod.kill(lost)
    mine.until("Active", 1)
    pod.api.delete_cluster_extension(**mine.where)
    eventually(mine.gone, "the extension is gone")
    assert len(pod.nodes("c")) == 2


def test_a_removal_does_not_wait_for_a_node_that_has_failed_and_says_so(pod: HyperPod) -> None:
    arn = pod.create("c", group("workers", 2), NodeProvisioningMode="Continuous", NodeRecovery="None")
    mine = Extension(pod, arn)
    mine.until("Active", 2)
    lost = pod.nodes("c")[0]["InstanceId"]
    pod.kill(lost)
    mine.until("Active", 1)
    pod.api.delete_cluster_extension(**mine.where)
    eventually(mine.gone, "the extension is gone")
    assert files(pod) == files(pod)[:1]  # of the node that failed, whose disk nobody can reach
    told = [line for line in story(pod, "c") if "is not waited for on this node" in line]
    assert len(told) == 1


def test_an_extension_that_says_it_is_not_well_is_degraded_until_it_says_otherwise(
    tmp_path: Path, account: str
) -> None:
    folder, sick = tmp_path / "data" / "extensions" / NAME / "1.0.0", tmp_path / "sick"
    folder.mkdir(parents=True)
    (folder / "install.sh").write_text("#!/bin/sh\n")
    (folder / "remove.sh").write_text("#!/bin/sh\n")
    (folder / "health.sh").write_text(f"#!/bin/sh\n[ -e {sick} ] && echo 'no scrape target' >&2 && exit 69\nexit 0\n")
    settings = tmp_path / "tocsin.toml"
    settings.write_text("extension_health_s = 0.1\n")
    server = RunningServer(tmp_path / "data", "--port", str(free_port()), "--config", str(settings))
    try:
        pod = HyperPod(server, account)
        mine = Extension(pod, pod.create("c", group("workers", 2), NodeProvisioningMode="Continuous"))
        mine.until("Active", 2)
        sick.touch()
        found = mine.until("Degraded", 0)
        [issue] = found["Health"]["Issues"]
        assert issue == {"Code": "DependencyUnreachable", "Message": "no scrape target", "NodeCount": 2}
        sick.unlink()
        assert "Health" not in mine.until("Active", 2)
        told = story(pod, "c")
        expected = (f"extension {NAME}: is not well", f"extension {NAME}: is well again")
        assert [told.count(one) for one in expected] == [2, 2]
        pod.api.delete_cluster_extension(**mine.where)
        eventually(mine.gone, "the extension is gone")
        assert not list((tmp_path / "data" / "machines").glob("**/extensions/*/process")), "nobody asks any more"
    finally:
        server.stop()


def test_a_client_token_stands_for_one_extension(pod: HyperPod, cluster: str) -> None:
    request = {"ClusterArn": cluster, "ExtensionName": NAME, "ClientToken": "t"}
    first = pod.api.create_cluster_extension(**request)
    assert pod.api.create_cluster_extension(**request)["ExtensionArn"] == first["ExtensionArn"]
    assert refusal(pod.api.create_cluster_extension, **request, ExtensionVersion="1.0.0").code == "ConflictException"
    assert refusal(pod.api.create_cluster_extension, ClusterArn=cluster, ExtensionName=NAME).code == "ResourceInUse"
    where = {"ClusterArn": cluster, "ExtensionArn": first["ExtensionArn"], "ClientToken": "t"}
    for _ in range(2):
        pod.api.update_cluster_extension(**where, ConfigurationValues='{"port":1}')
    told = story(pod, "c")
    assert [f"{verb}ClusterExtension {NAME} 1.10.0" for verb in ("Create", "Update")] == [
        line for line in told if "ClusterExtension" in line
    ]


def test_extensions_have_tags(pod: HyperPod, cluster: str) -> None:
    arn = Extension(pod, cluster, Tags=[{"Key": "a", "Value": "1"}]).where["ExtensionArn"]
    pod.api.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    pod.api.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert pod.api.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_versions_are_listed_from_the_highest_in_pages(pod: HyperPod) -> None:
    pages = pod.api.get_paginator("list_cluster_extension_versions").paginate(
        ExtensionName=NAME, PaginationConfig={"PageSize": 2}
    )
    found = [one["ExtensionVersion"] for page in pages for one in page["ExtensionVersions"]]
    assert found == ["1.10.0", "1.2.0", "1.0.0"]
    assert pod.api.list_cluster_extension_versions(ExtensionName="nothing")["ExtensionVersions"] == []


def test_what_does_not_fit_is_refused(pod: HyperPod, cluster: str) -> None:
    create = pod.api.create_cluster_extension
    assert refusal(create, ClusterArn=cluster, ExtensionName="nothing").code == "ResourceNotFound"
    assert refusal(create, ClusterArn=cluster, ExtensionName=NAME, ExtensionVersion="9.0.0").code == "ResourceNotFound"
    for values, said in (
        ("[]", "must be a JSON object"),
        ("{", "no JSON"),
        ('{"levle":1}', "there is no setting levle"),
        ('{"port":"x"}', "port must be a number, not a string"),
        ('{"exporter":{"x":1}}', "there is no setting exporter.x"),
    ):
        refused = refusal(create, ClusterArn=cluster, ExtensionName=NAME, ConfigurationValues=values)
        assert (refused.code, said in refused.message) == ("ValidationException", True), refused
    plain = pod.create("plain", group("workers", 1))
    assert "Continuous" in refusal(create, ClusterArn=plain, ExtensionName=NAME).message
    kubernetes = pod.create("k", group("w", 0), NodeProvisioningMode="Continuous", Orchestrator=eks(pod))
    assert "Slurm" in refusal(create, ClusterArn=kubernetes, ExtensionName=NAME).message
    nobody = {"ClusterArn": cluster, "ExtensionArn": f"{cluster.partition(':cluster/')[0]}:extension/sagemaker-x/a/b"}
    for call in ("describe", "update", "delete"):
        assert refusal(getattr(pod.api, f"{call}_cluster_extension"), **nobody).code == "ResourceNotFound"


def test_a_version_whose_script_is_empty_is_refused_and_says_so(pod: HyperPod, cluster: str) -> None:
    folder = pod.server.data_dir / "extensions" / f"empty-{pod.account}" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "install.sh").touch()
    create = pod.api.create_cluster_extension
    refused = refusal(create, ClusterArn=cluster, ExtensionName=f"empty-{pod.account}")
    assert (refused.code, "install.sh is empty" in refused.message) == ("ValidationException", True)


def test_extensions_go_with_their_cluster(pod: HyperPod, cluster: str) -> None:
    arn = Extension(pod, cluster).where["ExtensionArn"]
    pod.api.delete_cluster(ClusterName="c")
    pod.until_gone("c")

    def forgotten() -> bool:
        try:
            pod.api.list_tags(ResourceArn=arn)
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "ResourceNotFound")
        return False

    eventually(forgotten, "the extension is forgotten")


def test_an_update_waits_for_the_script_before_it(pod: HyperPod, cluster: str, tmp_path: Path) -> None:
    """Two scripts of an extension would be in each other's way on a node."""
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    folder = pod.server.data_dir / "extensions" / f"gated-{pod.account}" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "defaults.json").write_text('{"level":1}')
    wait = f"until [ -e {gate} ]; do sleep 0.05; done\n"
    (folder / "install.sh").write_text(f'#!/bin/sh\necho "$EXTENSION_CONFIGURATION" >> {runs}\n{wait}')
    mine = Extension(pod, cluster, f"gated-{pod.account}")
    eventually(lambda: runs.exists() and runs.read_text().count("\n") == 2, "both scripts run")
    mine.update(ConfigurationValues='{"level":2}')
    assert mine.described()["ExtensionDetails"]["Status"] == "Updating"
    assert runs.read_text().splitlines() == ['{"level": 1}'] * 2
    gate.touch()
    mine.until("Active", 2)
    assert runs.read_text().splitlines() == ['{"level": 1}'] * 2 + ['{"level": 2}'] * 2


def test_a_server_that_is_killed_half_way_goes_on_where_it_was(tmp_path: Path, account: str) -> None:
    folder, gate, runs = tmp_path / "data" / "extensions" / NAME / "1.0.0", tmp_path / "gate", tmp_path / "runs"
    folder.mkdir(parents=True)
    wait = f"echo run >> {runs}\nuntil [ -e {gate} ]; do sleep 0.05; done\n"
    (folder / "install.sh").write_text(f"#!/bin/sh\n{wait}")
    port = str(free_port())  # agents know no other
    server = RunningServer(tmp_path / "data", "--port", port)
    try:
        pod = HyperPod(server, account)
        arn = pod.create("c", group("workers", 1), NodeProvisioningMode="Continuous")
        mine = Extension(pod, arn)
        eventually(runs.exists, "the script runs")
        server.kill()
        gate.touch()
        server = RunningServer(tmp_path / "data", "--port", port)
        mine.pod = HyperPod(server, account)
        mine.until("Active", 1)
        assert runs.read_text() == "run\n", "it ran once"
    finally:
        server.stop()
