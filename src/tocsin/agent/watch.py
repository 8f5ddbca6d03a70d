"""Watching: what sources and checks see becomes findings, and findings become reports. Wired by main.py.

A fault that comes again at once is not told a thousand times: it is counted, and told once a while.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tocsin.agent.injections import Injections, Whose
from tocsin.agent.sources import FollowedFile, Journal, KernelLog, crashes
from tocsin.agent.sources.kmsg import SOURCE as KMSG
from tocsin.agent.sources.kmsg import kernel_boot_id
from tocsin.agent.sources.pstore import SOURCE as CRASH
from tocsin.core import faults
from tocsin.core.faults import Catalogue, CatalogueError, diagnose, read_catalogue
from tocsin.core.faults.codes import CHI_ERROR, UVM_IN_USE
from tocsin.model.health import BOOT, Finding, Line
from tocsin.model.link import Found, Report
from tocsin.model.nodedir import WATCH_FILE
from tocsin.model.watching import LogFile, Watching

if TYPE_CHECKING:
    from tocsin.agent.checks import Rounds

log = logging.getLogger(__name__)

UVM_USERS = Path("/sys/module/nvidia_uvm/refcnt")
# The same fault of the same part is told at most so often.
REPEAT_S = 30.0
# Parts whose repeats are counted at a time. Beyond, a finding is dropped, and the log says so.
PARTS_MAX = 256


class Repeat(Struct):
    """A fault told of late. `held` is what came since."""

    source: str
    held: Finding | None = None
    place: str = ""


class Watch:
    """`places` says how far each source was reported by an earlier agent; `file` keeps a report until it is heard."""

    def __init__(
        self,
        directory: Path,
        places: dict[str, str],
        file: Callable[[Report], object],
        gpus_expected: Callable[[], int] = lambda: 0,
        whose: Whose | None = None,
    ) -> None:
        self._directory = directory
        self._places = places
        self._file = file
        self._gpus_expected = gpus_expected
        self._watching = read_watching(directory)
        self._catalogue = _catalogue(directory, self._watching)
        self.injections = Injections(directory, self._watching, file, whose)
        self._repeats: dict[tuple[str, str, int, bool], Repeat] = {}
        self._opened: list[KernelLog | FollowedFile] = []
        self._checks: Rounds | None = None

    async def run(self) -> None:
        """Watch for ever."""
        works: list[Coroutine[Any, Any, object]] = [asyncio.Event().wait()]
        try:
            boot = self._booted()
            self.injections.start()
            for line in crashes([self._directory / one for one in self._watching.crashes], self._places.get(CRASH, "")):
                self.see(line)
            self._open_kernel_log(boot)
            for one in self._watching.files:
                self._follow(one)
            if self._watching.journal:
                works.append(Journal(self._places.get("journal", ""), self.see).run())
            if self._watching.host or self._watching.gpus or self._watching.checks or self._watching.inject:
                works.append(self._rounds(boot))
            if self._watching.inject:
                works.append(self.injections.run())
            async with asyncio.TaskGroup() as group:  # not gather: at the end it waits until all have cleaned up
                for work in works:
                    group.create_task(work)
        finally:
            for source in self._opened:
                source.close()

    def see(self, line: Line) -> None:
        """A line of a source."""
        finding = diagnose(line, self._catalogue)
        if finding and finding.code == CHI_ERROR and _uvm_in_use():
            finding = replace(finding, text=f"{finding.text} {UVM_IN_USE}")
        if finding:
            self.tell(finding, line.place)

    def tell(self, finding: Finding, place: str = "") -> None:
        """Report a finding; one that was told a moment ago is held, and told with its count."""
        part = (finding.fault, finding.subject, finding.code, finding.over)
        repeat = self._repeats.get(part)
        if repeat is not None and repeat.source != finding.source:
            return  # the same error, told by the kernel's log and by the GPU's library
        if repeat is not None:
            count = finding.count + (repeat.held.count if repeat.held else 0)
            repeat.held, repeat.place = replace(finding, count=count), place
        elif len(self._repeats) >= PARTS_MAX:
            log.warning("too many faults at once: %s of %s is not reported", finding.name, finding.subject)
        else:
            self._repeats[part] = Repeat(source=finding.source)
            self._file(Found(n=0, finding=finding, place=place))
            # The end of a fault makes its next beginning news.
            self._repeats.pop((*part[:3], not finding.over), None)
            asyncio.get_running_loop().call_later(REPEAT_S, self._release, part, self._repeats[part])

    def _release(self, part: tuple[str, str, int, bool], repeat: Repeat) -> None:
        if self._repeats.get(part) is not repeat:
            return
        del self._repeats[part]
        if repeat.held:
            self.tell(repeat.held, repeat.place)

    async def _rounds(self, boot: str) -> None:
        # Here, not above: what it loads is not needed where only lines are watched.
        from tocsin.agent.checks import Rounds

        where = (self._directory, self._watching, self._catalogue, boot)
        put_in = (self.injections.readings, self.injections.made)
        rounds = self._checks = Rounds(*where, self.tell, self._gpus_expected, put_in=put_in)
        self.injections.look = rounds.look
        await rounds.run()

    @property
    def gpu_reset_command(self) -> str:
        return self._watching.gpu_reset

    @contextlib.asynccontextmanager
    async def gpus_let_go(self, gpus: tuple[str, ...]) -> AsyncIterator[None]:
        """While this is held the driver's library is not used; after it, what is seen of GPUs is news."""
        if self._checks:
            await self._checks.let_go_of_gpus(gpus)
        try:
            yield
        finally:
            self._repeats.clear()
            if self._checks:
                self._checks.take_up_gpus()

    def _booted(self) -> str:
        """The id of this boot. One that is new is told: it ends what a reboot mends."""
        boot = secrets.token_hex(8) if self._watching.start_is_boot else kernel_boot_id()
        if self._watching.kmsg and boot != self._places.get(BOOT, ""):
            at_ms = time.time_ns() // 1_000_000
            self._file(Found(n=0, finding=Finding(fault=BOOT, at_ms=at_ms, text=boot, source=BOOT), place=boot))
        return boot

    def _open_kernel_log(self, boot: str) -> None:
        if not self._watching.kmsg:
            return
        path = self._directory / self._watching.kmsg
        if self._watching.start_is_boot:
            path.unlink(missing_ok=True)
        kernel = KernelLog(path, boot, self._places.get(KMSG, ""), self.see)
        try:
            kernel.open()
        except OSError as error:
            log.warning("the kernel's log is not watched: %s", error)
            return
        self._opened.append(kernel)

    def _follow(self, one: LogFile) -> None:
        facility = 0 if one.trusted else -1

        def take(text: str) -> None:
            at_ms = time.time_ns() // 1_000_000
            self.see(Line(source=f"file:{one.path}", text=text, at_ms=at_ms, facility=facility))

        followed = FollowedFile(self._directory / one.path, take)
        try:
            followed.open()
        except OSError as error:
            log.warning("the log %s is not watched: %s", one.path, error)
            return
        self._opened.append(followed)


def _uvm_in_use() -> bool:
    """Whether anybody uses the module by which CUDA programs share memory with the GPU."""
    try:
        return int(UVM_USERS.read_text()) > 0
    except (OSError, ValueError):
        return False


def read_watching(directory: Path) -> Watching:
    """What the node's directory says is to be watched; the whole host where it says nothing."""
    path = directory / WATCH_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Watching) if path.exists() else Watching()
    except (OSError, msgspec.MsgspecError) as error:
        log.error("%s cannot be used, so the whole host is watched: %s", path, error)
        return Watching()


def _catalogue(directory: Path, watching: Watching) -> Catalogue:
    shipped = (Path(faults.__file__).parent / "catalogue.toml").read_bytes()
    try:
        own = (directory / watching.catalogue).read_bytes() if watching.catalogue else b""
        return read_catalogue(shipped, changes=own)
    except (OSError, CatalogueError) as error:
        log.error("the site's table of faults is left out: %s", error)
        return read_catalogue(shipped)
