"""A GPU that is reset: a record in the kernel's log, a real agent, a command that stands in for nvidia-smi, boto3."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.doors.asking import ask, connect, tocsin
from tests.doors.sickbay import XID, Sickbay
from tests.harness import RunningServer, eventually
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import SHARED

Put = Callable[[str], Sickbay]


@pytest.fixture
def ward(server: RunningServer, account: str, tmp_path: Path) -> Iterator[Put]:
    """A node that resets GPUs by a script of the test's: the command is read when the agent starts."""
    bay = Sickbay(server, account, 1, "Automatic")
    [node] = bay.nodes

    def put(script: str) -> Sickbay:
        command = tmp_path / "nvidia-smi"
        command.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n{script}\n')
        command.chmod(0o755)
        watching = replace(SHARED, gpu_reset=f"{command} --gpu-reset -i {{gpu}}")
        (server.data_dir / "machines" / node / WATCH_FILE).write_bytes(msgspec.json.encode(watching))
        bay.api.batch_reboot_cluster_nodes(ClusterName="sick", NodeIds=[node])
        eventually(lambda: "Pending → Running" in story(bay).partition("(reboots")[2], "the agent reads it")
        return bay

    yield put
    bay.api.delete_cluster(ClusterName="sick")


def story(bay: Sickbay) -> str:
    asked = f"/_tocsin/v1/story?of=sick&account={bay.account}&region=us-west-2&limit=1000"
    with connect(bay.server) as connection:
        lines = ask(connection, "GET", asked).json["lines"]
    return "\n".join(f"{one['what']} ({one['why']})" for one in lines)


def test_a_gpu_is_reset_under_its_node_and_what_comes_back_reboots_it(ward: Put, tmp_path: Path) -> None:
    bay = ward("exit 0")
    [node] = bay.nodes
    bay.kernel_says(node, XID.format(code=46))
    first, well = bay.summaries(2)
    assert (first["HealthStatus"], first["RepairAction"]) == ("Unhealthy", "None")
    assert first["Recommendation"] == "The GPUs with the fault are reset as soon as they may be. Please wait."
    assert well["HealthStatus"] == "Healthy"
    assert (tmp_path / "asked").read_text() == "--gpu-reset -i 0000:b9:00.0\n"
    told = story(bay)
    assert "workers-1: 0000:b9:00 is reset (xid-46)" in told
    assert "workers-1: the reset of its GPUs is done" in told
    bay.kernel_says(node, XID.format(code=46))
    again = bay.summaries(4)[2]
    assert (again["HealthStatus"], again["RepairAction"]) == ("Unhealthy", "Reboot")
    assert "reboots: xid-46, its GPU was reset once for xid-46 within 86400 s" in story(bay)
    assert list(bay.nodes) == [node]


def test_a_gpu_that_cannot_be_reset_has_its_node_rebooted(ward: Put) -> None:
    bay = ward("echo GPU is in use; exit 19")
    [node] = bay.nodes
    bay.kernel_says(node, XID.format(code=46))
    assert [one["HealthStatus"] for one in bay.summaries(2)] == ["Unhealthy", "Healthy"]
    told = story(bay)
    assert "workers-1: the reset of its GPUs failed (0000:b9:00: " in told
    assert "ended with code 19: GPU is in use)" in told
    assert "reboots: xid-46, its GPU could not be reset: 0000:b9:00: " in told
    done = tocsin("health", "explain", node, "--endpoint-url", bay.server.endpoint, "--account", bay.account)
    assert "gpu-reset for xid-46: failed: 0000:b9:00: " in done.stdout
    assert "reboot for xid-46" in done.stdout
