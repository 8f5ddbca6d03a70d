"""Slurm through its own commands: sinfo and squeue to see, scontrol to change. One call takes all nodes it is about.

slurmrestd of the versions in use cannot change nodes, and libraries have to match the build (facts/health.md §7.1).
"""

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from tocsin.model.scheduling import Job, Scheduled

TIME_LIMIT_S = 10.0  # for a command: a controller that is busy answers within a few
ANSWER_CHARS_MAX = 300
# Of names in one command: Linux takes 128 KiB in one argument.
NAMES_CHARS_MAX = 100_000
# Of sinfo's long state names, without the marks behind them (slurm 22.05: sinfo(1), NODE STATE CODES).
BUSY = frozenset({"allocated", "mixed", "completing", "draining", "failing", "allocated+", "planned"})
DRAINED = frozenset({"drained", "draining", "drain", "fail", "failing", "down", "maint"})
# Of squeue's: a job in one of these has not ended, whatever end is told of it: that is when its time is up.
RUNS = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT"})
# Behind a state: slurmctld does not reach the node's slurmd. A node that an administrator calls down has none.
NOT_RESPONDING = "*"
_MARKS = re.compile(r"[^a-z]+$")


class Slurm:
    """`conf` is the path of slurm.conf; empty: what the commands find by themselves."""

    def __init__(self, conf: str = "") -> None:
        self._environment = {**os.environ, **({"SLURM_CONF": conf} if conf else {}), "SLURM_TIME_FORMAT": "%s"}

    async def seen(self) -> Mapping[str, Scheduled]:
        """All nodes, by their names. Raises OSError when it cannot be asked."""
        told = await self._run("sinfo", "--noheader", "--Node", "--format=%N|%T|%E")
        return dict(filter(None, map(read_node, told.splitlines())))

    async def jobs(self, names: Sequence[str]) -> Sequence[Job]:
        """slurmctld forgets a job MinJobAge after its end: five minutes, if nobody says otherwise."""
        told = [
            await self._run("squeue", "--noheader", "--states=all", f"--nodelist={some}", "--format=%A|%T|%S|%e|%N")
            for some in _listed(names)
        ]
        found = filter(None, (read_job(line) for text in told for line in text.splitlines()))
        return list({job.id: job for job in found}.values())

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


def read_job(line: str) -> Job | None:
    """A line of squeue: id, state, start, end (epoch seconds), nodes. Nothing for a job that has no nodes yet."""
    job, *rest = line.strip().split("|")
    if len(rest) != 4:
        return None
    state, since, until, listed = rest
    nodes = frozenset(hosts_in(listed))
    if not nodes or not since.isdecimal():
        return None
    ended = state not in RUNS and until.isdecimal()
    return Job(id=job, nodes=nodes, since_ms=int(since) * 1000, until_ms=int(until) * 1000 if ended else 0)


def hosts_in(listed: str) -> Iterator[str]:
    """The names in a list as Slurm writes it: gpu-[1-2,08-10],login."""
    for some in re.split(r",(?![^\[]*\])", listed):
        yield from filter(None, _expanded(some))


def _expanded(some: str) -> Iterator[str]:
    head, _, rest = some.partition("[")
    ranges, bracket, tail = rest.partition("]")
    for number in _numbers(ranges) if bracket else [rest]:
        for end in _expanded(tail) if tail else [""]:
            yield f"{head}{number}{end}"


def _numbers(ranges: str) -> Iterator[str]:
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))
