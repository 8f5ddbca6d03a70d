"""Faults put into a node by order of the server, through its real sources, for as long as they were asked for.

Only where `watch.json` allows it. What is put in is on disk, so that an agent that is killed by it takes it out again
in time. A line in the kernel's log cannot be unsaid: it has no end of its own.
"""

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tocsin.agent.checks.gpus import Gpu, Snapshot
from tocsin.core.faults import Catalogue
from tocsin.model.health import Reading
from tocsin.model.link import Inject, TakeOut
from tocsin.model.nodedir import INJECTED_FILE
from tocsin.model.watching import Watching

log = logging.getLogger(__name__)

INJECTED_MAX = 32  # of one node at a time; the oldest goes
# A node that is given GPUs by a fault gets so many.
GPUS_MADE = 8
XID_LINE = "NVRM: Xid (PCI:{bus}): {code}, pid=4711, name=tocsin, put in by tocsin fault inject"
FIRST_BUS = "0000:b9:00"


class Injected(Struct, frozen=True, kw_only=True):
    """One that is in. `until_ms`: when it is taken out."""

    order: Inject
    until_ms: int


class Injections:
    """`catalogue` says how a reading has to be for a fault to begin."""

    def __init__(self, directory: Path, watching: Watching, catalogue: Catalogue) -> None:
        self._directory = directory
        self._watching = watching
        self._catalogue = catalogue
        self._path = directory / INJECTED_FILE
        self._known = _read(self._path)
        self._put: dict[str, Callable[[Inject], None]] = {
            "kmsg": lambda order: self._say(order.argument),
            "xid": lambda order: self._say(XID_LINE.format(bus=FIRST_BUS, code=order.argument)),
            "gpu-lost": lambda order: self._lose_gpu(order.argument, lost=True),
            "reading": lambda order: None,  # it is read from what is known
            "hang": lambda order: _hang(order.for_s),
            "dead": lambda order: os.kill(os.getpid(), signal.SIGKILL),
        }

    async def run(self) -> None:
        """Take out what an earlier agent was to take out, and let time pass."""
        for one in self._known:
            self._later(one)
        await asyncio.Event().wait()

    def take(self, order: Inject) -> None:
        """Put a fault in, once."""
        if not self._watching.inject or any(one.order.work == order.work for one in self._known):
            return
        until_ms = now_ms() + int(order.for_s * 1000)
        one = Injected(order=order, until_ms=until_ms)
        self._keep([*self._known, one][-INJECTED_MAX:])
        self._later(one)
        log.info("fault put in: %s %s", order.what, order.argument)
        self._put[order.what](order)

    def take_out(self, order: TakeOut) -> None:
        for one in [one for one in self._known if one.order.work == order.work]:
            self._out(one)

    def readings(self, at_ms: int) -> list[Reading]:
        """Those that stand for real ones now."""
        found = []
        for one in self._known:
            if one.order.what == "reading":
                check, _, value = one.order.argument.partition("=")
                subject, words = (
                    one.order.part,
                    f"{check} of {one.order.part} is {value}: put in by tocsin fault inject",
                )
                found.append(Reading(check=check, subject=subject, value=float(value), at_ms=at_ms, text=words))
        return found

    def _later(self, one: Injected) -> None:
        pause_s = max(0.0, (one.until_ms - now_ms()) / 1000)
        asyncio.get_running_loop().call_later(pause_s, self._out, one)

    def _out(self, one: Injected) -> None:
        if one not in self._known:
            return
        self._keep([other for other in self._known if other != one])
        log.info("fault taken out: %s %s", one.order.what, one.order.argument)
        if one.order.what == "gpu-lost":
            self._lose_gpu(one.order.argument, lost=False)

    def _say(self, text: str) -> None:
        """Write a record as the kernel writes it. Into a real /dev/kmsg it goes as anybody's, and is not believed."""
        path = self._directory / self._watching.kmsg
        if path.is_char_device():
            path.write_text(f"<3>{text}")
            return
        lines = path.read_text().splitlines() if path.exists() else []
        last = lines[-1].split(",")[1] if lines and "," in lines[-1] else "0"
        with path.open("a") as file:
            file.write(f"3,{int(last) + 1 if last.isdecimal() else 1},{time.monotonic_ns() // 1000},-;{text}\n")

    def _lose_gpu(self, index: str, *, lost: bool) -> None:
        path = self._directory / self._watching.gpu_profile
        try:
            snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
        except (OSError, msgspec.MsgspecError):
            snapshot = Snapshot(gpus=tuple(Gpu(bus=f"0000:{0xB9 + number:x}:00") for number in range(GPUS_MADE)))
        number = int(index or "0")
        gpus = tuple(replace(gpu, lost=lost) if at == number else gpu for at, gpu in enumerate(snapshot.gpus))
        path.write_bytes(msgspec.json.encode(replace(snapshot, gpus=gpus)))

    def _keep(self, known: list[Injected]) -> None:
        self._known = known
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(known))
        fresh.rename(self._path)


def _hang(for_s: float) -> None:
    """Stop this process, and have it go on after a while: a stopped process cannot do that itself."""
    wake = f"sleep {for_s:g}; kill -CONT {os.getpid()}"
    subprocess.Popen(["/bin/sh", "-c", wake], start_new_session=True, stdin=subprocess.DEVNULL)
    os.kill(os.getpid(), signal.SIGSTOP)


def _read(path: Path) -> list[Injected]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Injected])
    except (OSError, msgspec.MsgspecError):
        return []


def now_ms() -> int:
    return time.time_ns() // 1_000_000
