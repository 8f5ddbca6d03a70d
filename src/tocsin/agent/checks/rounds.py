"""Rounds: every check at its time, each reading held against its thresholds, what is found handed on.

The state of the thresholds is on disk, so that a fault that began before a restart ends after it.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tocsin.agent.checks import plugins, system
from tocsin.agent.checks.disks import Smart
from tocsin.agent.checks.gpu_library import Nvml, ProfiledGpus
from tocsin.agent.checks.gpus import GpuLibrary, LibraryState, Xid, on_the_bus, readings
from tocsin.agent.checks.mounts import Disks
from tocsin.agent.checks.network import Network, Port, Promised
from tocsin.agent.conditions import Made
from tocsin.core.faults import Catalogue, Gauge, measure
from tocsin.model.health import Finding, Reading
from tocsin.model.nodedir import GAUGES_FILE
from tocsin.model.watching import Watching

log = logging.getLogger(__name__)

# Counting all processes, and a site's own checks, come round more rarely: they cost more.
SLOW_ROUNDS = 6

# Readings of the host that are cheap.
HOST_FAMILIES = ("nic", "ib", "efa", "clock", "files", "edac")
# Readings of what is made for faults.
MADE_FAMILIES = ("disk", "mount", "nic")

Check = Callable[[int], Coroutine[Any, Any, list[Reading]]]


class Kept(Struct, kw_only=True):
    """What outlives the agent, within one boot: thresholds, and what was seen to be well."""

    boot: str = ""
    gauges: dict[str, Gauge] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    ports: dict[str, Port] = field(default_factory=dict)
    daemons: dict[str, system.Daemon] = field(default_factory=dict)
    synchronised: bool = False


class Rounds:
    """`tell` gets what is found, `seen` every reading; `gpus_expected` says how many GPUs the node is held to.
    `put_in`: which readings are taken for real ones, and which disks and interfaces were made for faults."""

    def __init__(
        self,
        directory: Path,
        watching: Watching,
        catalogue: Catalogue,
        boot: str,
        tell: Callable[[Finding], None],
        gpus_expected: Callable[[], int],
        root: Path = Path("/"),
        put_in: tuple[Callable[[int], list[Reading]], Callable[[], Made]] = (lambda at_ms: [], Made),
        seen: Callable[[Reading], object] = lambda reading: None,
    ) -> None:
        self._directory = directory
        self._watching = watching
        self._catalogue = catalogue
        self._tell = tell
        self._gpus_expected = gpus_expected
        self._root = root
        self._injected, self._made = put_in
        self._wake, self._looked = asyncio.Event(), asyncio.Condition()
        self._seen = seen
        self._made_up: set[str] = set()  # gauges whose last reading was put in by hand
        self._read: set[str] = set()  # gauges that were read in this round
        self._changed = False
        self._path = directory / GAUGES_FILE
        self._kept = _read(self._path, boot)
        promised = Promised(watching.ports, watching.port_gbps)
        self._disks, self._network, self._clock = Disks(root), Network(root, promised), system.Clock(root)
        self._smart, self._processes = Smart(root), system.Processes(watching.daemons, root)
        self._disks.written, self._network.seen_up = self._kept.written, self._kept.up
        self._network.ports, self._processes.seen = self._kept.ports, self._kept.daemons
        self._clock.synchronised = self._kept.synchronised
        self._gpus: GpuLibrary | None = None
        if watching.gpus:
            profile = watching.gpu_profile
            self._gpus = ProfiledGpus(directory / profile) if profile else Nvml()
        self._ended = threading.Event()
        self._listening = False
        self._xids = 0  # of the snapshot's, told

    async def run(self) -> None:
        """Go round for ever."""
        number = 0
        try:
            while True:
                await self.round(slow=number % SLOW_ROUNDS == 0)
                number += 1
                async with self._looked:
                    self._looked.notify_all()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._watching.interval_s):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            self._ended.set()
            self._disks.close()
            self._keep()

    async def look(self) -> None:
        """Have rounds made now, and wait until one is over that began later than this."""
        async with self._looked:
            for _ in range(2):  # one that is under way may have passed by what is to be seen
                self._wake.set()
                await self._looked.wait()

    async def round(self, *, slow: bool) -> None:
        """Make all checks once. One that fails is said, and does not keep the others from their turn."""
        at_ms = time.time_ns() // 1_000_000
        self._read, self._changed = set(), False
        injected = self._injected(at_ms)
        instead = {(reading.check, reading.subject) for reading in injected}
        made_up = {name for reading in injected for name in self._hold(reading)}
        for check, families in self._due(slow=slow):
            try:
                found = await check(at_ms)
            except Exception:
                log.exception("a check failed: %s", check.__name__)
                continue
            for reading in found:
                if (reading.check, reading.subject) not in instead:
                    self._hold(reading)
            self._forget(name for name in list(self._kept.gauges) if self._family(name) in families)
        self._forget(self._made_up - made_up)
        self._made_up = made_up
        if self._changed or slow:
            self._keep()

    def _due(self, *, slow: bool) -> list[tuple[Check, tuple[str, ...]]]:
        """The checks of this round, and the families of readings whose parts are gone when they are not read any more.

        A GPU that is not read any more is not gone: it is worse.
        """
        due: list[tuple[Check, tuple[str, ...]]] = []
        if self._gpus:
            due.append((self._read_gpus, ()))
        if self._watching.host:
            due += [(self._disks.read, ("disk", "mount")), (self._read_host, HOST_FAMILIES)]
            due += [(self._smart.read, ("smart",))] if self._smart.due(time.time_ns() // 1_000_000) else []
            due += [(self._read_processes, ("processes", "daemon"))] if slow else []
        elif self._watching.inject and (self._made().devices or self._made().interfaces or self._of_made()):
            due.append((self._read_made, MADE_FAMILIES))
        if self._watching.checks and slow:
            due.append((self._run_plugins, ("user",)))
        return due

    def _of_made(self) -> bool:
        """Whether there is a threshold of a disk or interface that was made for a fault, and may be gone by now."""
        return any(self._family(name) in MADE_FAMILIES for name in self._kept.gauges if name not in self._made_up)

    async def let_go_of_gpus(self, gpus: tuple[str, ...]) -> None:
        if self._gpus:
            await asyncio.to_thread(self._gpus.rest, gpus)

    def take_up_gpus(self) -> None:
        """What was bad may be well now, and counters begin anew: thresholds of GPUs begin anew too."""
        if self._gpus:
            self._gpus.wake()
        for name in [one for one in self._kept.gauges if self._family(one) == "gpu"]:
            del self._kept.gauges[name]
        self._keep()

    def _hold(self, reading: Reading) -> list[str]:
        """Hold a reading against its thresholds; answers the names of their gauges."""
        names = []
        self._seen(reading)
        for fault in self._catalogue.by_check.get(reading.check, ()):
            name = f"{fault.name} {reading.subject}"
            names.append(name)
            gauge, finding = measure(self._kept.gauges.get(name, Gauge()), reading, fault)
            self._kept.gauges[name] = gauge
            if finding:
                self._tell(finding)
                self._changed = True
        self._read.update(names)
        return names

    def _forget(self, names: Iterable[str]) -> None:
        """Let go of parts that are not there any more, and were not read: an unmounted disk is not full."""
        at_ms = time.time_ns() // 1_000_000
        for name in [one for one in names if one not in self._read and one in self._kept.gauges]:
            fault, _, subject = name.partition(" ")
            if self._kept.gauges.pop(name).open:
                words = f"{subject} is not there any more"
                source = self._family(name)
                self._tell(Finding(fault=fault, subject=subject, at_ms=at_ms, text=words, source=source, over=True))
                self._changed = True

    def _family(self, name: str) -> str:
        fault = self._catalogue.faults.get(name.partition(" ")[0])
        return fault.check.partition(".")[0] if fault else ""

    async def _read_gpus(self, at_ms: int) -> list[Reading]:
        if self._gpus is None:
            return []
        own = isinstance(self._gpus, ProfiledGpus)  # a small file, read at once
        snapshot = self._gpus.sweep() if own else await asyncio.to_thread(self._gpus.sweep)
        for xid in snapshot.xids[self._xids :]:
            self._struck(xid)
        self._xids = len(snapshot.xids)
        if snapshot.state is LibraryState.READY and not own and not self._listening:
            self._listen(self._gpus)
        # GPUs out of a file are on no bus, and those on the bus of a shared host are not theirs.
        present = 0 if own else on_the_bus(self._root)
        return readings(snapshot, self._gpus_expected(), present, at_ms)

    async def _read_made(self, at_ms: int) -> list[Reading]:
        """Of a host that is shared with others, what was made for this node's faults."""
        made = self._made()
        return [*await self._disks.read(at_ms, only=made.devices), *self._network.made(made.interfaces, at_ms)]

    async def _read_host(self, at_ms: int) -> list[Reading]:
        network = [*self._network.made(self._made().interfaces, at_ms), *self._network.read(at_ms)]
        memory = system.memory_errors(self._root, at_ms)
        return [*network, *memory, *self._clock.read(at_ms), *system.open_files(self._root, at_ms)]

    async def _read_processes(self, at_ms: int) -> list[Reading]:
        return await asyncio.to_thread(self._processes.read, at_ms)

    async def _run_plugins(self, at_ms: int) -> list[Reading]:
        folder = self._directory / self._watching.checks
        return [reading for check in plugins.executables(folder) for reading in await plugins.run(check, at_ms)]

    def _listen(self, gpus: GpuLibrary) -> None:
        """A thread that blocks in the library until a GPU has an error to tell."""
        self._listening = True
        loop = asyncio.get_running_loop()

        def listen() -> None:
            while not self._ended.is_set():
                for xid in gpus.wait():
                    loop.call_soon_threadsafe(self._struck, xid)
            gpus.close()

        threading.Thread(target=listen, name="gpu-errors", daemon=True).start()

    def _struck(self, xid: Xid) -> None:
        at_ms = time.time_ns() // 1_000_000
        words = f"NVML: Xid {xid.code} on GPU {xid.bus}"
        self._tell(Finding(fault="xid", subject=xid.bus, code=xid.code, at_ms=at_ms, text=words, source="gpu"))

    def _keep(self) -> None:
        self._kept.synchronised = self._clock.synchronised
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self._kept))
            fresh.rename(self._path)
        except OSError as error:
            log.warning("the state of the thresholds is not kept: %s", error)


def _read(path: Path, boot: str) -> Kept:
    """The state of this boot; an earlier boot's says nothing any more."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return Kept(boot=boot)
    return kept if kept.boot == boot else Kept(boot=boot)
