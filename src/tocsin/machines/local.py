"""Machines on this machine: each instance is an agent process with a directory of its own. The Machines port.

The fleet calls it; `changed` tells the fleet that a machine came to its end. It knows processes and directories; what
an agent does in there is the agent's business. An agent lives as long as it holds the lock in its directory: process
numbers are used again, locks are not. Whatever a machine's scripts left running goes down with it.
"""

import asyncio
import contextlib
import errno
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tocsin.machines.processes import Watched, kill_marked, locked
from tocsin.model.machine import LaunchOrder, MachineState
from tocsin.model.nodedir import (
    DIRECTORY_VARIABLE,
    FAULTS_FOLDER,
    LOCK_FILE,
    LOG_FILE,
    PARKED_FILE,
    PID_FILE,
    TOKEN_FILE,
    WATCH_FILE,
)
from tocsin.model.watching import SHARED

log = logging.getLogger(__name__)

END_GRACE_S = 2.0  # an agent ends its script and says farewell within this; then it is killed
CLOSE_GRACE_S = 3.0  # the same when all end at once and share the processors
KILLED_LIMIT_S = 0.5  # for the kernel to carry out SIGKILL
LOG_BYTES_MAX = 1 << 20  # of an agent's log, looked at when the agent starts
ADOPT_TRIES_MAX = 50  # an agent writes its number right after taking the lock; a second is more than enough
ADOPT_RETRY_S = 0.02
LET_GO = "tocsin.agent.conditions"  # a program of the agent's, as the agent itself is one
LET_GO_LIMIT_S = 30.0
GONE_SUFFIX = ".gone"  # a directory on its way out; no instance id has a dot
_INSTANCE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
# Agents get no credentials of the server's: what runs on a node is the cluster user's code.
_WITHHELD = ("AWS_", "TOCSIN_")


class LocalMachines:
    """`server_url` is asked at each launch; `command` is followed by --instance-id, --server and --dir.

    `whole_host`: an agent watches all of this machine, for it is the only one here.
    """

    def __init__(
        self,
        root: Path,
        server_url: Callable[[], str],
        changed: Callable[[str], None],
        command: Sequence[str] | None = None,
        *,
        whole_host: bool = False,
    ) -> None:
        self._root = root.absolute()
        self._whole_host = whole_host
        self._server_url = server_url
        self._changed = changed
        self._command = list(command or (sys.executable, "-m", "tocsin", "agent"))
        self._states: dict[str, MachineState] = {}
        self._agents: dict[str, Watched] = {}
        self._launches: dict[str, asyncio.Task[None]] = {}
        self._endings: dict[str, asyncio.Task[None]] = {}
        self._reboots: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def start(self) -> None:
        """Take over what an earlier server left: living agents run on, the others are stopped or dead."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in sorted(self._root.iterdir()):
            if directory.suffix == GONE_SUFFIX:
                shutil.rmtree(directory, ignore_errors=True)
            elif directory.is_dir():
                await self._adopt(directory.name)

    def seen(self) -> Mapping[str, MachineState]:
        return self._states

    async def launch(self, order: LaunchOrder) -> None:
        instance_id = order.instance_id
        match self._states.get(instance_id):
            case MachineState.RUNNING | MachineState.REBOOTING:
                return
            case MachineState.ENDING:
                raise OSError(errno.EBUSY, f"{instance_id} is being terminated")
        if self._closing or not _INSTANCE_ID.fullmatch(instance_id):
            raise OSError(errno.EINVAL, f"cannot launch '{instance_id}' now")
        if instance_id not in self._launches:
            self._launches[instance_id] = asyncio.create_task(self._launch(order))
        # All who launch at once wait for the same boot; one who gives up does not take it from the others.
        await asyncio.shield(self._launches[instance_id])

    async def reboot(self, instance_id: str) -> None:
        if instance_id in self._launches:
            await asyncio.wait([self._launches[instance_id]])
        state = self._states.get(instance_id)
        if state is MachineState.REBOOTING:
            return
        if state in (None, MachineState.ENDING) or self._closing:
            raise OSError(errno.ENODEV, f"cannot reboot '{instance_id}' now")
        self._states[instance_id] = MachineState.REBOOTING
        self._reboots[instance_id] = asyncio.create_task(self._reboot(instance_id))

    async def terminate(self, instance_id: str) -> None:
        on_the_way = [tasks[instance_id] for tasks in (self._launches, self._reboots) if instance_id in tasks]
        if on_the_way:
            await asyncio.wait(on_the_way)
        if self._states.get(instance_id) in (None, MachineState.ENDING):
            return
        self._states[instance_id] = MachineState.ENDING
        self._endings[instance_id] = asyncio.create_task(self._end(instance_id))

    async def close(self, *, detach: bool) -> None:
        """Let the agents run on without us, or put all machines to rest; launch boots them again."""
        self._closing = True
        on_the_way = [*self._launches.values(), *self._reboots.values()]
        if on_the_way:
            await asyncio.wait(on_the_way)
        agents = list(self._agents.values())
        if not detach:
            resting = [key for key, state in self._states.items() if state is MachineState.RUNNING]
            for instance_id in resting:
                self._park(instance_id)
            await _end_all(agents, CLOSE_GRACE_S)
            await asyncio.to_thread(kill_marked, DIRECTORY_VARIABLE, [self._place(key) for key in resting])
        await asyncio.gather(*self._endings.values())
        for agent in agents:
            agent.let_go()
        self._agents.clear()

    async def _launch(self, order: LaunchOrder) -> None:
        instance_id = order.instance_id
        known = instance_id in self._states
        try:
            # In a thread: starting a process takes tens of ms on a busy machine, and fifty may be launched in a row.
            pid = await asyncio.to_thread(self._boot, instance_id, order.token)
        except OSError:
            if not known:
                shutil.rmtree(self._place(instance_id), ignore_errors=True)
            raise
        finally:
            del self._launches[instance_id]
        self._states[instance_id] = MachineState.RUNNING
        self._watch(instance_id, pid)

    async def _reboot(self, instance_id: str) -> None:
        """Down and up again. Until it is up its directory says that it rests: a server that falls boots it later."""
        agent = self._agents.get(instance_id)
        try:
            (self._place(instance_id) / PARKED_FILE).touch()
            await _end_all([agent] if agent else [], END_GRACE_S)
            pid = await asyncio.to_thread(self._boot, instance_id)
        except OSError as error:
            log.error("%s does not come back from its reboot: %s", instance_id, error)
            self._states[instance_id] = MachineState.DEAD
        else:
            self._states[instance_id] = MachineState.RUNNING
            self._watch(instance_id, pid)
        finally:
            del self._reboots[instance_id]
        self._changed(instance_id)

    def _park(self, instance_id: str) -> None:
        self._states[instance_id] = MachineState.STOPPED
        try:
            (self._place(instance_id) / PARKED_FILE).touch()
        except OSError as error:
            log.error("%s will count as dead: %s", instance_id, error)

    def _place(self, instance_id: str) -> Path:
        return self._root / instance_id

    async def _adopt(self, instance_id: str) -> None:
        """See what there is in a machine's directory, and watch the agent that lives there."""
        place = self._place(instance_id)
        for _ in range(ADOPT_TRIES_MAX):
            came_up = (place / PID_FILE).exists()  # asked first: the number is written under the lock
            if not locked(place / LOCK_FILE):
                if not came_up:  # an earlier server fell while it booted: nothing ran yet, so it may boot again
                    await asyncio.to_thread(kill_marked, DIRECTORY_VARIABLE, [place])
                stopped = not came_up or (place / PARKED_FILE).exists()
                self._states[instance_id] = MachineState.STOPPED if stopped else MachineState.DEAD
                return
            pid = _agent_of(place)
            if pid is not None:
                (place / PARKED_FILE).unlink(missing_ok=True)
                self._states[instance_id] = MachineState.RUNNING
                self._watch(instance_id, pid)
                return
            await asyncio.sleep(ADOPT_RETRY_S)
        log.error("%s is locked by an agent that cannot be found: it is left alone", place)
        self._states[instance_id] = MachineState.RUNNING

    def _watch(self, instance_id: str, pid: int) -> None:
        try:
            self._agents[instance_id] = Watched(pid, lambda: self._ended(instance_id))
        except ProcessLookupError:  # it ended between our look and now; a child waits for us, so this was adopted
            self._ended(instance_id)

    def _ended(self, instance_id: str) -> None:
        """An agent came to its end. Unless it was stopped in good order, by us or anybody, the machine is dead."""
        self._agents.pop(instance_id, None)
        if self._states.get(instance_id) is MachineState.RUNNING:
            log.info("the agent of %s ended", instance_id)
            parked = (self._place(instance_id) / PARKED_FILE).exists()
            self._states[instance_id] = MachineState.STOPPED if parked else MachineState.DEAD
            self._changed(instance_id)

    def _tell_what_to_watch(self, file: Path) -> None:
        """A machine that is this whole one watches what the host's own file says, whoever is its instance."""
        ours = self._root.parent / WATCH_FILE
        if self._whole_host and ours.exists():
            shutil.copyfile(ours, file)
        elif not self._whole_host and not file.exists():
            file.write_bytes(msgspec.json.encode(SHARED))

    def _boot(self, instance_id: str, token: str = "") -> int:
        """Prepare the directory and start the agent in it; returns its process id. Without `token` it keeps its own."""
        place = self._place(instance_id)
        if instance_id in self._states:
            kill_marked(DIRECTORY_VARIABLE, [place])  # a boot begins with nothing running
        place.mkdir(mode=0o700, exist_ok=True)
        if token:
            _write_private(place / TOKEN_FILE, token)
        self._tell_what_to_watch(place / WATCH_FILE)
        (place / PID_FILE).unlink(missing_ok=True)  # until the agent of this boot lives
        where = ["--instance-id", instance_id, "--server", self._server_url(), "--dir", str(place)]
        log_file = _open_log(place / LOG_FILE)
        try:
            process = subprocess.Popen(
                [*self._command, *where],
                cwd=place,
                env=_environment(place),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
            )
        finally:
            os.close(log_file)
        (place / PARKED_FILE).unlink(missing_ok=True)
        process.returncode = 0  # Watched reaps it; Popen should neither wait for it nor warn that nobody did
        return process.pid

    async def _end(self, instance_id: str) -> None:
        """End the agent, then all that its scripts left, then remove what it stored."""
        place = self._place(instance_id)
        agent = self._agents.get(instance_id)
        try:
            await _end_all([agent] if agent else [], END_GRACE_S)
            await asyncio.to_thread(_destroy, place)
        except OSError as error:
            log.error("%s cannot be removed: %s", place, error)
        del self._endings[instance_id], self._states[instance_id]
        self._changed(instance_id)


async def _end_all(agents: Sequence[Watched], grace_s: float) -> None:
    for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILLED_LIMIT_S)):
        waiting = [agent for agent in agents if not agent.gone.is_set()]
        for agent in waiting:
            agent.signal(number)
        if waiting:
            gone: list[Coroutine[Any, Any, Any]] = [agent.gone.wait() for agent in waiting]
            _, late = await asyncio.wait([asyncio.ensure_future(one) for one in gone], timeout=limit_s)
            for task in late:
                task.cancel()


def _destroy(place: Path) -> None:
    kill_marked(DIRECTORY_VARIABLE, [place])
    if (place / FAULTS_FOLDER).exists():  # its agent was killed, and left a disk mounted or an interface
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([sys.executable, "-m", LET_GO, str(place)], check=False, timeout=LET_GO_LIMIT_S)
    gone = place.with_name(place.name + GONE_SUFFIX)
    place.rename(gone)  # at once and whole: a server that dies here finds no half machine
    shutil.rmtree(gone)


def _agent_of(place: Path) -> int | None:
    """The agent in the directory, when the number it left is that of a process which works for this directory."""
    try:
        pid = int((place / PID_FILE).read_text())
        arguments = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(place).encode() in arguments else None


def _environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)}
    return kept | {DIRECTORY_VARIABLE: str(place)}


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    fresh.rename(path)


def _open_log(path: Path) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if os.fstat(handle).st_size > LOG_BYTES_MAX:
        os.ftruncate(handle, 0)
    return handle
