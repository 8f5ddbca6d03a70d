"""Node health on a real Slurm: a fault drains its node, a job is waited for, and the mended node takes jobs again."""

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.asking import ask, connect
from tests.doors.sickbay import XID, Sickbay
from tests.harness import WAIT_S, RunningServer, eventually
from tests.slurm.controller import RealSlurm, missing
from tocsin.orchestrators.slurm import hosts_in

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"a real Slurm is needed: {missing()}")
ACCOUNT = "666600001111"
TAKEN = {"allocated", "mixed"}
FULL_TIME_S = 3600  # what a silent node is given: longer than any test
LASTING_S = 5  # that slurmctld has to miss a node: longer than the moment after a resume, or a ping that got lost


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[RealSlurm]:
    """One for all workers of a test run: conftest.py keeps these tests together."""
    with socket.socket(socket.AF_UNIX) as only:
        only.bind(f"\0tocsin-tests-slurm-{testrun_uid}")  # fails where another worker has one
        yield from running_slurm(tmp_path_factory)


def running_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSlurm]:
    running = RealSlurm(tmp_path_factory.mktemp("slurm"), ["workers-1", "workers-2", "elsewhere"])
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def bay(slurm: RealSlurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sickbay]:
    place = tmp_path_factory.mktemp("drained")
    # The tests have nodes find the same again and again: no rule of history is to have them checked for it.
    (place / "site.toml").write_text('[change.xid-13]\naction = "app"\n[change.xid-31]\naction = "app"\n')
    config = place / "tocsin.toml"
    config.write_text(
        f'[slurm]\nenabled = true\nconf = "{slurm.conf}"\nnode_names = "name"\npoll_s = 0.2\n'
        f'[health]\ndeep_test_s = 0.05\ncatalogue = "{place}/site.toml"\n'
        f"[fleet]\nheartbeat_timeout_s = {FULL_TIME_S}\nwitnessed_timeout_s = {LASTING_S}\n"
    )
    server = RunningServer(Path(place / "data"), "--config", str(config))
    try:
        yield Sickbay(server, ACCOUNT, 2, "Automatic")
    finally:
        server.stop()


def named(bay: Sickbay, name: str) -> str:
    """The instance id of the node of that name."""
    status = bay.server.client("sagemaker", ACCOUNT).list_cluster_nodes(ClusterName="sick")["ClusterNodeSummaries"]
    ids = sorted(one["InstanceId"] for one in status)
    with connect(bay.server) as connection:
        told = ask(connection, "GET", f"/_tocsin/v1/status?account={ACCOUNT}&region=us-west-2").json
    [found] = [node["InstanceId"] for node in told["clusters"][0]["Nodes"] if node["Name"] == name]
    assert found in ids
    return str(found)


def test_a_fault_drains_its_node_waits_for_the_job_reboots_and_resumes(bay: Sickbay, slurm: RealSlurm) -> None:
    node = named(bay, "workers-1")
    job = slurm.run("sbatch", "-w", "workers-1", "--wrap", "sleep 600", "-o", "/dev/null", "--parsable").strip()
    eventually(lambda: slurm.states()["workers-1"] in ("allocated", "mixed"), "the job runs")
    bay.kernel_says(node, XID.format(code=79))
    eventually(lambda: slurm.states()["workers-1"] == "draining", "the node is drained")
    assert slurm.reason("workers-1") == "HMA:NvidiaErrorReboot"
    [first] = bay.summaries(1)
    assert (first["HealthStatus"], first["RepairAction"]) == ("Unhealthy", "Reboot")
    assert bay.nodes[node] == "Running"  # its job goes on
    measured = "tocsin_health_event_to_drain_seconds_count 1.0\n"
    eventually(lambda: measured in scraped(bay), "it is measured how long the drain took")
    slurm.run("scancel", job)
    told = bay.summaries(2)
    assert [one["HealthStatus"] for one in told] == ["Unhealthy", "Healthy"]
    eventually(lambda: slurm.states()["workers-1"] == "idle", "the node takes jobs again")
    assert bay.nodes[node] == "Running"


def scraped(bay: Sickbay) -> str:
    with urllib.request.urlopen(f"{bay.server.endpoint}/metrics", timeout=WAIT_S) as answer:
        return str(answer.read().decode())


def test_a_node_is_drained_before_it_is_checked_and_takes_jobs_again_after(bay: Sickbay, slurm: RealSlurm) -> None:
    node = named(bay, "workers-1")
    job = slurm.run("sbatch", "-w", "workers-1", "--wrap", "sleep 3600", "-o", "/dev/null", "--parsable").strip()
    eventually(lambda: slurm.states()["workers-1"] in ("allocated", "mixed"), "the job runs")
    config = {"InstanceGroupName": "workers", "InstanceIds": [node], "DeepHealthChecks": ["InstanceStress"]}
    bay.api.start_cluster_health_check(ClusterName="sick", DeepHealthCheckConfigurations=[config])
    eventually(lambda: slurm.states()["workers-1"] == "draining", "the node is drained")
    assert slurm.reason("workers-1") == "HMA:DeepHealthCheck"
    assert bay.nodes[node] == "Running", "no check begins under a job"
    slurm.run("scancel", job)
    checked = f"DeepHealthCheckResults/{node}"
    logs = bay.server.client("logs", ACCOUNT)
    [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Clusters/sick/")["logGroups"]
    of_check = {"logGroupName": group["logGroupName"], "logStreamNamePrefix": checked}
    eventually(lambda: logs.describe_log_streams(**of_check)["logStreams"], "the check ends")
    eventually(lambda: slurm.states()["workers-1"] == "idle", "the node takes jobs again")
    assert bay.nodes[node] == "Running"
    with connect(bay.server) as connection:
        story = ask(connection, "GET", f"/_tocsin/v1/story?of={node}&account={ACCOUNT}&region=us-west-2").json["lines"]
    assert [one["what"] for one in story][-2:] == [
        "workers-1: Running → DeepHealthCheckInProgress",
        "workers-1: DeepHealthCheckInProgress → Running",
    ]


def test_what_waits_for_an_idle_moment_is_mended_when_the_job_has_ended(bay: Sickbay, slurm: RealSlurm) -> None:
    node, before = named(bay, "workers-1"), len(bay.told)
    job = slurm.run("sbatch", "-w", "workers-1", "--wrap", "sleep 600", "-o", "/dev/null", "--parsable").strip()
    eventually(lambda: slurm.states()["workers-1"] in ("allocated", "mixed"), "the job runs")
    bay.kernel_says(node, XID.format(code=63))
    eventually(lambda: any(": 63, " in str(line) for _, line in bay.log_lines), "it is known")
    assert slurm.states()["workers-1"] in ("allocated", "mixed")
    assert len(bay.told) == before
    slurm.run("scancel", job)
    told = bay.summaries(before + 2)[before:]
    assert [(one["HealthStatus"], one["RepairAction"]) for one in told] == [
        ("Unhealthy", "Reboot"),
        ("Healthy", "None"),
    ]
    eventually(lambda: slurm.states()["workers-1"] == "idle", "the node takes jobs again")


def test_errors_at_once_are_the_jobs_whose_nodes_have_them_and_no_other_jobs(bay: Sickbay, slurm: RealSlurm) -> None:
    """One job on two nodes: what both have is its own. Then two jobs: what both have is each one's."""
    names = ("workers-1", "workers-2")
    nodes = [named(bay, name) for name in names]
    both = slurm.run("sbatch", "-N2", "-w", ",".join(names), "--wrap", "sleep 600", "-o", "/dev/null", "--parsable")
    eventually(lambda: {slurm.states()[name] for name in names} <= TAKEN, "the job runs")
    shared = f"2 nodes of job {both.strip()} had it at once: look at the job, not at the hardware."
    for node in nodes:
        bay.kernel_says(node, XID.format(code=31))
    eventually(lambda: advices(bay, nodes, "xid-31") == [shared, shared], "it is the job's")
    slurm.run("scancel", both.strip())
    eventually(lambda: set(slurm.states().values()) == {"idle"}, "it has ended")
    for name in names:
        slurm.run("sbatch", "-w", name, "--wrap", "sleep 600", "-o", "/dev/null")
    eventually(lambda: {slurm.states()[name] for name in names} <= TAKEN, "both jobs run")
    for node in nodes:
        bay.kernel_says(node, XID.format(code=45))
    eventually(lambda: advices(bay, nodes, "xid-45"), "both have it")
    bay.kernel_says(nodes[0], XID.format(code=13))
    eventually(lambda: advices(bay, nodes[:1], "xid-13"), "it was planned since")
    assert advices(bay, nodes, "xid-45") == ["Restart the job, and look at what it did."] * 2
    slurm.run("scancel", "--user", "root")
    eventually(lambda: set(slurm.states().values()) == {"idle"}, "they have ended")


def test_lists_of_nodes_are_read_as_slurm_itself_reads_them(slurm: RealSlurm) -> None:
    for listed in ("gpu-[1-3,08-10],login", "r[1-2]n[01-02]", "ip-10-1-2-3,ip-10-1-2-[4-5]"):
        assert list(hosts_in(listed)) == slurm.run("scontrol", "show", "hostnames", listed).split()


def advices(bay: Sickbay, nodes: list[str], fault: str) -> list[str]:
    """What is advised on the fault of each; nothing as long as one does not have it."""
    with connect(bay.server) as connection:
        path = f"/_tocsin/v1/health?account={ACCOUNT}&region=us-west-2"
        told = {one["instance_id"]: one["faults"] for one in ask(connection, "GET", path).json["nodes"]}
    found = [one["advice"] for node in nodes for one in told.get(node, ()) if one["fault"] == fault]
    return found if len(found) == len(nodes) else []


def test_what_others_drained_is_left_alone(bay: Sickbay, slurm: RealSlurm) -> None:
    for name in ("workers-2", "elsewhere"):
        slurm.run("scontrol", "update", f"nodename={name}", "state=drain", "reason=new cables")
    bay.kernel_says(named(bay, "workers-1"), XID.format(code=31))
    eventually(lambda: any("XidUserAppError" in str(line) for _, line in bay.log_lines), "a finding later")
    assert slurm.states()["workers-2"].startswith("drained")
    assert slurm.reason("workers-2") == "new cables"
    for name in ("workers-2", "elsewhere"):
        slurm.run("scontrol", "update", f"nodename={name}", "state=resume")
    eventually(lambda: set(slurm.states().values()) == {"idle"}, "slurmctld has reached them again")


def test_an_administrator_has_a_node_replaced_from_slurm(bay: Sickbay, slurm: RealSlurm) -> None:
    before = named(bay, "workers-2")
    slurm.run("scontrol", "update", "nodename=workers-2", "state=fail", "reason=Action:Replace")
    eventually(lambda: before not in bay.nodes, "the node is replaced")
    eventually(lambda: set(bay.nodes.values()) == {"Running"}, "the replacement runs")
    eventually(lambda: slurm.states()["workers-2"] == "idle", "it takes jobs")
    after = named(bay, "workers-2")
    bay.kernel_says(after, XID.format(code=31))
    eventually(lambda: any(after in stream for stream, _ in bay.log_lines), "a finding later")
    assert after in bay.nodes  # it was replaced once


def test_a_silent_node_that_slurm_does_not_reach_either_is_given_up_before_its_time(
    bay: Sickbay, slurm: RealSlurm
) -> None:
    """Both agents stand still; of one node slurmctld has lost sight too. The other one has all the time there is."""
    lost, silent = named(bay, "workers-1"), named(bay, "workers-2")
    machines = bay.server.data_dir / "machines"
    for node in (lost, silent):
        os.kill(int((machines / node / "pid").read_text()), signal.SIGSTOP)
    slurm.kill("workers-1")
    told = eventually(
        lambda: [one for one in bay.told if one["InstanceId"] == lost and "InstanceUnreachable" in str(one)],
        "the node is given up",
    )
    assert told[0]["HealthSummary"]["HealthStatus"] == "Unhealthy"
    assert slurm.states()["workers-1"].endswith("*")
    heard = [one["HealthSummary"] for one in bay.told if one["InstanceId"] == silent]
    assert bay.nodes.get(silent) == "Running", (heard, (slurm.place / "slurmctld.log").read_text()[-3000:])
    os.kill(int((machines / silent / "pid").read_text()), signal.SIGCONT)
