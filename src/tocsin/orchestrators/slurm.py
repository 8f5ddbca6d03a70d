"""Slurm through its own commands: sinfo to see, scontrol to change. One call takes all the nodes there are to change.

slurmrestd of the versions in use cannot change nodes, and libraries have to match the build (facts/health.md §7.1).
"""

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from tocsin.model.scheduling import Scheduled

TIME_LIMIT_S = 10.0  # for a command: a controller that is busy answers within a few
ANSWER_CHARS_MAX = 300
# Of names in one command: Linux takes 128 KiB in one argument.
NAMES_CHARS_MAX = 100_000
# Of sinfo's long state names, without the marks behind them (slurm 22.05: sinfo(1), NODE STATE CODES).
BUSY = frozenset({"allocated", "mixed", "completing", "draining", "failing", "allocated+", "planned"})
DRAINED = frozenset({"drained", "draining", "drain", "fail", "failing", "down", "maint"})
# Behind a state: slurmctld does not reach the node's slurmd. A node that an administrator calls down has none.
NOT_RESPONDING = "*"
_MARKS = re.compile(r"[^a-z]+$")


class Slurm:
    """`conf` is the path of slurm.conf; empty: what the commands find by themselves."""

    def __init__(self, conf: str = "") -> None:
        self._environment = {**os.environ, **({"SLURM_CONF": conf} if conf else {})}

    async def seen(self) -> Mapping[str, Scheduled]:
        """All nodes, by their names. Raises OSError when it cannot be asked."""
        told = await self._run("sinfo", "--noheader", "--Node", "--format=%N|%T|%E")
        return dict(filter(None, map(read_node, told.splitlines())))

    async def drain(self, names: Sequence[str], reason: str) -> None:
        """Let the nodes take no more jobs. Those that run go on."""
        for some in _listed(names):
            await self._run("scontrol", "update", f"nodename={some}", "state=drain", f"reason={reason}")

    async def resume(self, names: Sequence[str]) -> None:
        for some in _listed(names):
            await self._run("scontrol", "update", f"nodename={some}", "state=resume")

    async def _run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                told, _ = await process.communicate()
        except BaseException:
            with contextlib.suppress(
                ProcessLookupError
            ):  # it has just ended: not that is raised, but why it was to end
                process.kill()
            await process.communicate()  # until its pipe is closed too
            raise
        text = told.decode(errors="replace")
        if process.returncode:
            raise OSError(errno.EIO, f"{command[0]}: {text.strip()[:ANSWER_CHARS_MAX]}")
        return text


def _listed(names: Sequence[str]) -> Iterator[str]:
    """The names with commas between them, in pieces that a command can be given."""
    listed = ""
    for name in names:
        if len(listed) + 1 + len(name) > NAMES_CHARS_MAX:
            yield listed
            listed = ""
        listed = f"{listed},{name}" if listed else name
    if listed:
        yield listed


def read_node(line: str) -> tuple[str, Scheduled] | None:
    """A line of sinfo: name, state, reason. A node stands there once for each of its partitions."""
    name, _, rest = line.strip().partition("|")
    state, _, reason = rest.partition("|")
    word = _MARKS.sub("", state.lower())
    if not name or not word:
        return None
    said = "" if reason.strip() == "none" else reason.strip()
    silent = NOT_RESPONDING in state[len(word) :]
    return name, Scheduled(busy=word in BUSY, drained=word in DRAINED, reached=not silent, reason=said)
