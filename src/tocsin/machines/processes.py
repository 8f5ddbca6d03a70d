"""Processes as a provider sees them: their end through a file descriptor, and all that belong to one directory.

local.py calls it. It knows Linux (pidfd, /proc), not machines.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

SWEEPS_MAX = 5  # each kills all it sees; what forks faster than this is a fork bomb, and not ours to fight
EXEC_LIMIT_S = 5.0  # for programs that are just being started, on a machine that has too much to do
EXEC_PAUSE_S = 0.005
_ENV_START = 47  # of what follows the name in /proc/PID/stat (proc_pid_stat(5): field 50)


class Watched:
    """A process and its end. The descriptor names this very process, whoever gets its number later."""

    def __init__(self, pid: int, ended: Callable[[], None] | None = None) -> None:
        """Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        self._ended = ended
        self.gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._seen)

    def _seen(self) -> None:
        self.let_go()
        self.gone.set()
        if self._ended:
            self._ended()

    def signal(self, number: signal.Signals) -> None:
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    def let_go(self) -> None:
        """Stop watching. A child that has ended is reaped."""
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        with contextlib.suppress(ChildProcessError):  # no child of ours: adopted from an earlier server
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        os.close(self._fd)
        self._fd = -1


def locked(path: Path) -> bool:
    """Whether somebody holds the lock on a file. Nobody holds one that is not there."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at the same time do not take each other for the holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def kill_marked(variable: str, directories: Collection[Path]) -> None:
    """Kill every process of ours whose environment, at its start, named one of the directories in `variable`.

    Finds daemons that left their session and lost their parent. Repeats while it finds any: they may fork meanwhile.
    """
    marks = {f"{variable}={directory}".encode() for directory in directories}
    patient_until = time.monotonic() + EXEC_LIMIT_S
    for _ in range(SWEEPS_MAX):
        if not _kill_once(marks, patient_until):
            return


def _kill_once(marks: set[bytes], patient_until: float) -> bool:
    found = False
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # gone, or another user's
            fd = os.pidfd_open(int(entry.name))
            try:
                if not marks.isdisjoint(_environment(entry.name, patient_until).split(b"\0")):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    found = True
            finally:
                os.close(fd)
    return found


def _environment(pid: str, patient_until: float) -> bytes:
    """What a process was started with; between two programs (exec) it is waited for."""
    while True:
        environment = Path("/proc", pid, "environ").read_bytes()
        if environment or not _starting(pid) or time.monotonic() > patient_until:
            return environment
        time.sleep(EXEC_PAUSE_S)


def _starting(pid: str) -> bool:
    """Whether a process that has a program (kernel threads have none) has no place for its environment yet."""
    Path("/proc", pid, "exe").readlink()
    return Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()[_ENV_START] == b"0"
