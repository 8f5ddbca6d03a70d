"""A real Slurm on loopback: one slurmctld, a slurmd for each node, munge; no systemd, no cgroups, run as root.

The recipe and its traps: facts/health.md §7.1. Without TreeWidth a slurmd that is dead takes those with it, for a
while, to whom it was to pass on the controller's pings.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.harness import WAIT_S, eventually, free_port

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=1
SlurmctldTimeout=10
SlurmdTimeout=10
MessageTimeout=60
KillWait=2
InactiveLimit=0
TreeWidth=65533
SlurmdParameters=config_overrides
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.%n.pid
SlurmdSpoolDir={place}/spool/%n
StateSaveLocation={place}/state
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.%n.log
{nodes}
PartitionName=dev Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
MUNGE_LOCK = Path(tempfile.gettempdir()) / "tocsin-tests-munge.lock"
NEEDED = ("slurmctld", "slurmd", "sinfo", "scontrol", "munged")


def missing() -> str:
    """What is not installed here, or allowed; "" when all is there."""
    gone = [name for name in NEEDED if shutil.which(name) is None]
    return f"not installed: {', '.join(gone)}" if gone else "" if os.geteuid() == 0 else "not root"


class RealSlurm:
    """`names` are its nodes."""

    def __init__(self, place: Path, names: list[str]) -> None:
        self.place, self.names = place, names
        self.conf = place / "slurm.conf"
        self._processes: list[subprocess.Popen[bytes]] = []
        ports = [free_port() for _ in range(len(names) + 1)]
        host = socket.gethostname().partition(".")[0]
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=1000 State=UNKNOWN"
            for name, port in zip(names, ports[1:], strict=True)
        )
        self.conf.write_text(CONF.format(host=host, port=ports[0], place=place, nodes=nodes))
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self, *, daemons: bool = True) -> None:
        """`daemons`: those of the nodes. Without, the controller knows them and does not reach them."""
        _start_munge()
        (self.place / "state").mkdir()
        self._spawn("slurmctld", "-D")
        if not daemons:
            eventually(lambda: set(self.states()) == set(self.names), "all nodes are known")
            return
        for name in self.names:
            (self.place / "spool" / name).mkdir(parents=True)
            self._spawn("slurmd", "-N", name, "-D")
        eventually(lambda: self.states() == dict.fromkeys(self.names, "idle"), "all nodes are idle")

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(WAIT_S)

    def kill(self, name: str) -> None:
        """kill -9 of the node's slurmd."""
        process = self._processes[1 + self.names.index(name)]
        process.kill()
        process.wait(WAIT_S)

    def states(self) -> dict[str, str]:
        done = self.run("sinfo", "-hN", "-o", "%N %T", check=False)
        return dict(line.split() for line in done.splitlines() if len(line.split()) == 2)

    def reason(self, name: str) -> str:
        return self.run("sinfo", "-hN", "-n", name, "-o", "%E").strip()

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _spawn(self, *command: str) -> None:
        quiet = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet))


def _start_munge() -> None:
    """One for the machine; workers of the same test run may ask at the same time."""
    with MUNGE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _start_munge_once()
        eventually(lambda: _succeeds("munge", "-n"), "munge answers")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _start_munge_once() -> None:
    if _succeeds("pgrep", "-x", "munged"):
        return
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", folder], check=True)
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True, capture_output=True)
