"""Faults put into a node by order of the server, through its real sources, for as long as they were asked for.

Only where `watch.json` allows it. What is put in is on disk before it is made, so that an agent that is killed by it
takes it out again. Disks and interfaces that are made for a fault do not outlive the agent. A line in the kernel's log
cannot be unsaid: it has no end of its own.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tocsin.agent import conditions
from tocsin.agent.checks.gpus import Gpu, Snapshot
from tocsin.agent.conditions import CannotBe, Made
from tocsin.model.health import Reading
from tocsin.model.injection import CONDITIONS, FIRST_BUS, XID_LINE, Injectable
from tocsin.model.link import Inject, Placed, Report, TakeOut
from tocsin.model.nodedir import FAULTS_FOLDER, INJECTED_FILE
from tocsin.model.watching import Watching

log = logging.getLogger(__name__)

INJECTED_MAX = 32  # in one node at a time
# A node that is given GPUs by a fault gets so many.
GPUS_MADE = 8
SHUT = "the node takes no faults in: inject is not set in its watch.json"
STOPPED = "the agent ended, and what it had made with it"
MAKING_LIMIT_S = 1.0  # of the two seconds that an orderly stop may take
# An agent's answer is on its way before it stops or kills itself.
LAST_WORDS_S = 0.2


class Injected(Struct, frozen=True, kw_only=True):
    """One that is in. `until_ms`: when it is taken out."""

    order: Inject
    until_ms: int


class Whose(Struct, frozen=True, kw_only=True):
    """The node, as its server knows it: what is asked on behalf of an agent that stands still."""

    server: str = ""
    instance_id: str = ""
    token: str = ""


class Injections:
    """`file` takes reports. `look` has all checks made once: what is to be found broken must have been seen whole."""

    def __init__(
        self, directory: Path, watching: Watching, file: Callable[[Report], object], whose: Whose | None = None
    ) -> None:
        self._directory = directory
        self._watching = watching
        self._file = file
        self._whose = whose or Whose()
        self._path = directory / INJECTED_FILE
        self._known = _read(self._path)
        self._making: set[asyncio.Task[None]] = set()
        self.look: Callable[[], Awaitable[None]] = _nothing
        self._put: dict[Injectable, Callable[[Inject], Awaitable[None]]] = {
            "kmsg": lambda order: self._say(order.argument),
            "xid": lambda order: self._say(XID_LINE.format(bus=FIRST_BUS, code=order.argument)),
            "gpu-lost": self._lose_gpu,
            "disk-full": self._fill_disk,
            "readonly": self._turn_read_only,
            "nic-down": self._take_carrier,
            "reading": lambda order: _nothing(),  # it is read from what is known
            "hang": self._hang,
            "dead": self._die,
        }

    def start(self) -> None:
        """Undo what an earlier agent made and did not undo, whether or not it is on record."""
        if (self._directory / FAULTS_FOLDER).exists():
            conditions.let_go(self._directory)
        self._let_go_all()

    async def run(self) -> None:
        """Let time pass, and at the end leave nothing made behind."""
        for one in self._known:
            self._later(one)
        try:
            await asyncio.Event().wait()
        finally:
            await self._break_off()
            self._let_go_all()

    def take(self, order: Inject) -> None:
        """Put a fault in, once, and say what became of it."""
        if any(one.order.work == order.work for one in self._known):
            return
        wrong = SHUT if not self._watching.inject else f"{INJECTED_MAX} faults are in this node already"
        if not self._watching.inject or len(self._known) >= INJECTED_MAX:
            self._answer(order, "refused", wrong)
            return
        one = Injected(order=order, until_ms=now_ms() + int(order.for_s * 1000))
        if not self._keep([*self._known, one]):
            self._known.remove(one)
            self._answer(order, "refused", "the node's disk takes no record of it")
            return
        self._later(one)
        task = asyncio.create_task(self._make(one))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    def take_out(self, order: TakeOut) -> None:
        for one in [one for one in self._known if one.order.work == order.work]:
            self._out(one)

    async def _break_off(self) -> None:
        """What is being made comes to its end, unless it waits for checks that are made no more."""
        if self._making:
            _, late = await asyncio.wait(self._making, timeout=MAKING_LIMIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until everything that was taken in is made, or refused."""
        while self._making:
            await asyncio.wait(self._making)

    def made(self) -> Made:
        """The disks and interfaces that there are for faults: checks look at them as at the node's own."""
        there = any(one.order.what in CONDITIONS for one in self._known)
        return conditions.made(self._directory) if there else Made()

    def readings(self, at_ms: int) -> list[Reading]:
        """Those that stand for real ones now."""
        return [_reading(one.order, at_ms) for one in self._known if one.order.what == "reading"]

    async def _make(self, one: Injected) -> None:
        order = one.order
        try:
            await self._put[order.what](order)
        except (CannotBe, OSError) as error:
            log.warning("fault not put in: %s %s: %s", order.what, order.argument, error)
            self._undo(one)
            self._answer(order, "refused", str(error))
            return
        log.info("fault put in: %s %s", order.what, order.argument)
        if one in self._known:
            self._answer(order, "in")
        else:
            self._unmake(order)  # it was taken out while it was being made

    def _answer(self, order: Inject, outcome: Literal["in", "refused", "out"], detail: str = "") -> None:
        self._file(Placed(n=0, work=order.work, at_ms=now_ms(), outcome=outcome, detail=detail))

    def _later(self, one: Injected) -> None:
        pause_s = max(0.0, (one.until_ms - now_ms()) / 1000)
        asyncio.get_running_loop().call_later(pause_s, self._out, one)

    def _out(self, one: Injected) -> None:
        if one in self._known:
            self._undo(one)
            log.info("fault taken out: %s %s", one.order.what, one.order.argument)

    def _undo(self, one: Injected) -> None:
        """Off the record once it is off the node: an agent that is killed in between does it again."""
        self._unmake(one.order)
        self._keep([other for other in self._known if other != one])

    def _unmake(self, order: Inject) -> None:
        if order.what in CONDITIONS:
            conditions.let_go(self._directory, order.work)
        if order.what == "gpu-lost" and self._watching.gpu_profile:
            self._set_gpu(order.argument, lost=False)

    def _let_go_all(self) -> None:
        for one in [one for one in self._known if one.order.what in CONDITIONS]:
            self._undo(one)
            self._answer(one.order, "out", STOPPED)

    async def _fill_disk(self, order: Inject) -> None:
        await asyncio.to_thread(conditions.fill, await self._disk(order))

    async def _turn_read_only(self, order: Inject) -> None:
        place = await self._disk(order)
        await self.look()
        await asyncio.to_thread(conditions.turn_read_only, place)

    async def _disk(self, order: Inject) -> Path:
        shared = not self._watching.host
        where = (self._directory, order.work, order.argument)
        return await asyncio.to_thread(conditions.mount_disk, *where, shared=shared)

    async def _take_carrier(self, order: Inject) -> None:
        where = (self._directory, order.work)
        await asyncio.to_thread(conditions.link_up, *where, order.argument)
        await self.look()
        await asyncio.to_thread(conditions.link_down, *where)

    async def _say(self, text: str) -> None:
        """Write a record as the kernel writes it. Into a real /dev/kmsg it goes as anybody's, and is not believed."""
        path = self._directory / self._watching.kmsg
        if path.is_char_device():
            path.write_text(f"<3>{text}")
            return
        lines = path.read_text().splitlines() if path.exists() else []
        last = lines[-1].split(",")[1] if lines and "," in lines[-1] else "0"
        with path.open("a") as file:
            file.write(f"3,{int(last) + 1 if last.isdecimal() else 1},{time.monotonic_ns() // 1000},-;{text}\n")

    async def _lose_gpu(self, order: Inject) -> None:
        if not self._watching.gpu_profile:
            raise CannotBe("the node's GPUs are real: only those of a gpu_profile are lost on request")
        self._set_gpu(order.argument, lost=True)

    def _set_gpu(self, index: str, *, lost: bool) -> None:
        path = self._directory / self._watching.gpu_profile
        try:
            snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
        except (OSError, msgspec.MsgspecError):
            snapshot = Snapshot(gpus=tuple(Gpu(bus=f"0000:{0xB9 + number:x}:00") for number in range(GPUS_MADE)))
        number = int(index or "0")
        gpus = tuple(replace(gpu, lost=lost) if at == number else gpu for at, gpu in enumerate(snapshot.gpus))
        _write(path, replace(snapshot, gpus=gpus))

    async def _hang(self, order: Inject) -> None:
        """Stop this process. Another one has it go on in time, or when the server takes the fault out."""
        self._start_waker(order)
        asyncio.get_running_loop().call_later(LAST_WORDS_S, os.kill, os.getpid(), signal.SIGSTOP)

    def _start_waker(self, order: Inject) -> None:
        whose = (self._whose.server, self._whose.instance_id, order.work)
        command = (sys.executable, "-m", "tocsin.agent.waking", str(os.getpid()), f"{order.for_s:g}", *whose)
        waker = subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE)
        assert waker.stdin is not None, "its input is a pipe"
        with waker.stdin as pipe:
            pipe.write(self._whose.token.encode())

    async def _die(self, order: Inject) -> None:
        asyncio.get_running_loop().call_later(LAST_WORDS_S, os.kill, os.getpid(), signal.SIGKILL)

    def _keep(self, known: list[Injected]) -> bool:
        """Whether it is on disk as well."""
        self._known = known
        try:
            _write(self._path, known)
        except OSError as error:
            log.warning("which faults are in is not kept: %s", error)
            return False
        return True


async def _nothing() -> None:
    return


def _reading(order: Inject, at_ms: int) -> Reading:
    check, _, value = order.argument.partition("=")
    words = f"{check} of {order.part} is {value}: put in by tocsin fault inject"
    return Reading(check=check, subject=order.part, value=float(value), at_ms=at_ms, text=words)


def _read(path: Path) -> list[Injected]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Injected])
    except (OSError, msgspec.MsgspecError):
        return []


def _write(path: Path, content: object) -> None:
    """Whole or not at all: others read it meanwhile."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(content))
    fresh.rename(path)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
