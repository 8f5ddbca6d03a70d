"""One script as a process: its own session, its output read, its end waited for, its tree ended when need be.

Called by scripts.py. What it leaves running when it ends well (daemons!) lives on.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
TERM_GRACE_S = 2.0  # from SIGTERM to SIGKILL
STOP_GRACE_S = 1.0  # the same when the agent itself is stopped: it has two seconds for everything
# A daemon may hold the pipe for ever. When the script has ended and nothing came for the first time, or in any case
# after the second, its output counts as complete.
QUIET_S = 0.2
TAIL_S_MAX = 2.0


class Exit(Struct, frozen=True):
    """How a script ended. `code` is as a shell would say it: 128 + signal when a signal ended it."""

    code: int
    timed_out: bool = False
    cancelled: bool = False


class Launch(Struct, frozen=True, kw_only=True):
    """What to run. `mark` is a file that says which process runs, for as long as it runs."""

    argv: list[str]
    cwd: Path
    environment: Mapping[str, str]
    time_limit_s: float
    mark: Path


async def run(
    launch: Launch,
    feed: Callable[[bytes], None],
    feed_errors: Callable[[bytes], None] | None = None,
    cancel: asyncio.Event | None = None,
) -> Exit:
    """Run to the end, to the time limit or until `cancel` is set. Cancelled as a task, it ends the tree as well.

    `feed_errors` gets stderr, which else comes with stdout. Raises OSError when it cannot be started.
    """
    process, pipes = _started(launch, feed, feed_errors)
    exited = _Exited(process.pid)
    timed_out = cancelled = False
    try:
        launch.mark.write_text(f"{process.pid} {started_at(process.pid)}")
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes in the moment of the event.
            async with asyncio.timeout(launch.time_limit_s):
                cancelled = not await _first(exited, cancel)
        except TimeoutError:
            timed_out = True
        if timed_out or cancelled:
            await _end(process.pid, exited, TERM_GRACE_S)
        code = process.wait()
        for pipe in pipes:
            await pipe.quiet()
    except BaseException:
        if process.returncode is None:
            await _end(process.pid, exited, STOP_GRACE_S)
            process.wait()
        raise
    finally:
        exited.close()
        for pipe in pipes:
            pipe.let_go()
        launch.mark.unlink(missing_ok=True)
    return Exit(code if code >= 0 else 128 - code, timed_out, cancelled)


def _started(
    launch: Launch, feed: Callable[[bytes], None], feed_errors: Callable[[bytes], None] | None
) -> tuple["subprocess.Popen[bytes]", list["Pipe"]]:
    feeds = [feed] if feed_errors is None else [feed, feed_errors]
    ends = [os.pipe() for _ in feeds]
    try:
        # Popen returns when exec has happened or failed: milliseconds, with vfork less.
        process = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            env=launch.environment,
            stdin=subprocess.DEVNULL,
            stdout=ends[0][1],
            stderr=ends[-1][1],
            start_new_session=True,
        )
    except BaseException:
        for reading, _ in ends:
            os.close(reading)
        raise
    finally:
        for _, writing in ends:
            os.close(writing)
    return process, [Pipe(reading, one) for (reading, _), one in zip(ends, feeds, strict=True)]


async def _first(exited: "_Exited", cancel: asyncio.Event | None) -> bool:
    """Whether the process ended; False when it is to be ended."""
    if cancel is None:
        await exited.wait()
        return True
    waits = [asyncio.ensure_future(exited.wait()), asyncio.ensure_future(cancel.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[0].done()
    finally:
        for wait in waits:
            wait.cancel()


async def _end(group: int, exited: "_Exited", grace_s: float) -> None:
    """SIGTERM to the group, then SIGKILL. The leader is not reaped until after, so its number is still the group's."""
    os.killpg(group, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            await exited.wait()
    os.killpg(group, signal.SIGKILL)
    await exited.wait()


class _Exited:
    """The end of a child, seen through a pidfd: at once and without a thread."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)
        self._event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._seen)

    def _seen(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


class Pipe:
    """Reads a pipe to its end. After `let_go` what comes is thrown away: a daemon that still writes into the pipe would
    die of SIGPIPE if we closed it, and hang if we did not read it."""

    def __init__(self, fd: int, feed: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._feed: Callable[[bytes], None] | None = feed
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._came_at = self._loop.time()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        self._came_at = self._loop.time()
        if not data:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._ended.set()
        elif self._feed:
            self._feed(data)

    async def quiet(self) -> None:
        """Return when all writers have closed the pipe, or none has written for QUIET_S, or after TAIL_S_MAX."""
        self._came_at = begun = self._loop.time()
        while not self._ended.is_set():
            now = self._loop.time()
            rest_s = min(self._came_at + QUIET_S, begun + TAIL_S_MAX) - now
            if rest_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._ended.wait()

    def let_go(self) -> None:
        self._feed = None


def started_at(pid: int) -> str:
    """When a process started, in ticks since boot: with the pid it names one process for ever. Empty when gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22; the name in field 2 may hold spaces


def end_leftover(mark: Path) -> None:
    """End the script that an earlier agent left when it was killed: it is to be run again, and not two at once."""
    try:
        pid, start = mark.read_text().split()
    except (OSError, ValueError):
        return
    if started_at(int(pid)) == start:
        log.warning("ending process group %s: a script of an agent that was killed", pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(pid), signal.SIGKILL)
    mark.unlink(missing_ok=True)
