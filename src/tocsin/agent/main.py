"""A node's agent, from its start to its end: lock, spool, link and scripts wired together.

Called by `tocsin agent` and started by machine providers. Exit codes are below.
"""

import argparse
import asyncio
import fcntl
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tocsin.agent.settings import AgentSettings
from tocsin.model.nodedir import LOCK_FILE, PARKED_FILE, PID_FILE, SPOOL_FILE, TOKEN_FILE

if TYPE_CHECKING:
    from tocsin.agent.link import Link
    from tocsin.agent.spool import Spool

log = logging.getLogger(__name__)

EXIT_ENDED = 0  # asked to: by a signal, or by the server's Halt
EXIT_USAGE = 2  # no token, or a directory that cannot be used
EXIT_LOCKED = 3  # another agent runs in this directory
TOKEN_VARIABLE = "TOCSIN_NODE_TOKEN"  # the name of the variable, not a token  # noqa: S105
# A provider that looks whether an agent lives holds the lock for a moment; an agent holds it for good.
LOCK_TRIES_MAX = 5
LOCK_RETRY_S = 0.02
FLUSH_LIMIT_S = 0.3  # of the two seconds that an orderly stop may take


class AlreadyRunning(Exception):
    """Another agent holds the directory."""


async def run(settings: AgentSettings) -> int:
    """Live in the directory until asked to end; returns the exit code."""
    try:
        lock = _lock(settings.directory)
    except AlreadyRunning as error:
        log.error("%s", error)
        return EXIT_LOCKED
    try:
        return await _live(settings)
    finally:
        os.close(lock)


async def _live(settings: AgentSettings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Here, not above: it takes as long to load as all the rest, and a second agent should be refused at once.
    from tocsin.agent.spool import Spool

    try:
        spool = Spool(settings.directory / SPOOL_FILE)
    except OSError as error:
        log.error("cannot keep reports in %s: %s", settings.directory, error)
        return EXIT_USAGE
    link, works = _wired(settings, spool)
    linking = asyncio.create_task(link.run())
    working = [asyncio.create_task(work.run()) for work in works]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([linking, *working, stopping], return_when=asyncio.FIRST_COMPLETED)
        if linking.done():
            log.info("the server ended this node: %s", linking.result().reason)
        for task in working:
            if task.done():
                task.result()  # it never returns: this raises why
        await _ended(*working)
        await link.flush(FLUSH_LIMIT_S)
        if stop.is_set():
            # Whoever stops an agent in good order finds its machine stopped, not dead: also a service manager that
            # signals the server and all its agents at once.
            (settings.directory / PARKED_FILE).touch()
        return EXIT_ENDED
    finally:
        await _ended(linking, *working, stopping)
        spool.close()
        log.info("ended")


class Work(Protocol):
    async def run(self) -> None:
        """Until cancelled."""


def _wired(settings: AgentSettings, spool: "Spool") -> tuple["Link", list[Work]]:
    """The link to the server, and what is done at its orders and by itself."""
    from tocsin.agent.commands import Commands
    from tocsin.agent.deep.checks import DeepChecks
    from tocsin.agent.extensions import Extensions
    from tocsin.agent.injections import Whose
    from tocsin.agent.link import Link
    from tocsin.agent.resets import GpuResets
    from tocsin.agent.scripts import Scripts
    from tocsin.agent.watch import Watch
    from tocsin.model.link import (
        AnswerPeers,
        CancelCommand,
        Inject,
        Order,
        RunCommand,
        RunDeepCheck,
        RunGpuReset,
        RunScript,
        TakeOut,
        UnwatchExtension,
        WatchExtension,
    )

    heed: dict[type[Order], Callable[[Any], None]] = {
        RunScript: lambda order: scripts.take(order),
        RunCommand: lambda order: commands.take(order),
        CancelCommand: lambda order: commands.cancel(order.work),
        RunDeepCheck: lambda order: deep.take(order),
        AnswerPeers: lambda order: deep.answer(order),
        RunGpuReset: lambda order: resets.take(order),
        Inject: lambda order: watch.injections.take(order),
        TakeOut: lambda order: watch.injections.take_out(order),
        WatchExtension: lambda order: extensions.watch(order),
        UnwatchExtension: lambda order: extensions.unwatch(order),
    }
    link = Link(settings, secrets.token_hex(8), spool, lambda order: heed[type(order)](order), lambda: resets.able)
    scripts = Scripts(settings, link.file)
    commands = Commands(settings, link.file, spool.session.begun)
    deep = DeepChecks(settings, link.file)
    extensions = Extensions(settings, link.file)
    whose = Whose(server=settings.server, instance_id=settings.instance_id, token=settings.token)
    watch = Watch(settings.directory, spool.session.places, link.file, lambda: link.gpus_expected, whose)
    resets = GpuResets(settings, watch.gpu_reset_command, watch.gpus_let_go, link.file)
    return link, [scripts, commands, deep, resets, extensions, watch]


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _lock(directory: Path) -> int:
    """Take the directory for this process's life. The lock goes with the process, however it ends."""
    handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOCK_TRIES_MAX):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(LOCK_RETRY_S)
    else:
        os.close(handle)
        pid = (directory / PID_FILE).read_text() if (directory / PID_FILE).exists() else "?"
        words = f"another agent (process {pid}) runs in {directory}: stop it, or give this one its own --dir"
        raise AlreadyRunning(words)
    fresh = directory / f"{PID_FILE}.new"
    try:
        fresh.write_text(str(os.getpid()))
        fresh.rename(directory / PID_FILE)
    except OSError as error:  # a full disk is to be told, and it takes a living agent to tell it
        log.error("cannot write %s: %s", fresh, error)
    return handle


def _token(directory: Path) -> str:
    """From the environment or the file; never from the command line, which everyone can read."""
    token = os.environ.pop(TOKEN_VARIABLE, "")
    file = directory / TOKEN_FILE
    return token or (file.read_text().strip() if file.exists() else "")


def _start_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s"
    )
    logging.Formatter.converter = time.gmtime
    logging.raiseExceptions = False  # a full disk under the log is no reason to say so in the log


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tocsin agent", description="Run a node's agent.", allow_abbrev=False)
    parser.add_argument("--instance-id", required=True)
    parser.add_argument("--server", required=True, help="base URL, such as http://127.0.0.1:4566")
    parser.add_argument("--dir", required=True, type=Path, help=f"the node's own directory; its token in {TOKEN_FILE}")
    arguments = parser.parse_args(argv)
    _start_logging()
    directory = arguments.dir.absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = _token(directory)
    except OSError as error:
        log.error("cannot use %s: %s", directory, error)
        return EXIT_USAGE
    if not token:
        log.error("no token: put it into %s or into %s", directory / TOKEN_FILE, TOKEN_VARIABLE)
        return EXIT_USAGE
    settings = AgentSettings(
        instance_id=arguments.instance_id, server=arguments.server.rstrip("/"), directory=directory, token=token
    )
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
