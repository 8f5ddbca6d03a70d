"""The health of extensions: each one's script, run again and again; told when its end is another than the last.

The link hands in orders by `watch` and `unwatch`; reports go out by `file`. Nothing is kept on disk: on a new link the
server says again what it asks for.
"""

import asyncio
import logging
import random
import shutil
from collections.abc import Callable
from typing import NoReturn

from tocsin.agent import process
from tocsin.agent.settings import AgentSettings
from tocsin.agent.steps import now_ms, shared
from tocsin.model.link import ExtensionChecked, Report, UnwatchExtension, WatchExtension
from tocsin.model.nodedir import DIRECTORY_VARIABLE, EXTENSIONS_FOLDER, STEP_FILE

log = logging.getLogger(__name__)

# A cluster's extensions; more than this would not come round.
EXTENSIONS_MAX = 20
OUTPUT_BYTES_MAX = 4096  # of stderr: its end is told
EVERY_MIN_S = 0.05  # whatever the server asks: not more than twenty times a second
TIMED_OUT, NOT_STARTED = 124, 126  # as a shell would say it


class Extensions:
    def __init__(self, settings: AgentSettings, file: Callable[[Report], object]) -> None:
        self._settings = settings
        self._file = file
        self._folder = settings.directory / EXTENSIONS_FOLDER
        self._watched: dict[str, tuple[str, asyncio.Task[None]]] = {}  # by extension: its work
        for left in self._folder.iterdir() if self._folder.is_dir() else ():
            process.end_leftover(left / STEP_FILE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def watch(self, order: WatchExtension) -> None:
        """Ask from now on. What is asked for already goes on."""
        known = self._watched.get(order.extension)
        if known is not None and known[0] == order.work and not known[1].done():
            return
        if known is None and len(self._watched) >= EXTENSIONS_MAX:
            log.warning("the health of extension %s is not asked for: %d are", order.extension, EXTENSIONS_MAX)
            return
        before = self._stop(order.extension)
        self._watched[order.extension] = order.work, asyncio.create_task(self._ask(order, before))

    def unwatch(self, order: UnwatchExtension) -> None:
        self._stop(order.extension)

    def _stop(self, extension: str) -> asyncio.Task[None] | None:
        _, task = self._watched.pop(extension, ("", None))
        if task is not None:
            task.cancel()
        return task

    async def run(self) -> NoReturn:
        """Work for ever. Cancelled, it ends the scripts that run."""
        try:
            while True:
                await asyncio.Event().wait()
        finally:
            tasks = [task for _, task in self._watched.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, order: WatchExtension, before: asyncio.Task[None] | None) -> None:
        """`before` asked in its place, and is over first. Not all nodes ask at the same time."""
        if before is not None:
            await asyncio.wait([before])
        known: int | None = 0 if order.well else None  # None: some end that was not well
        every_s = max(order.every_s, EVERY_MIN_S)
        await asyncio.sleep(every_s * random.uniform(0.5, 1.0))  # noqa: S311
        while True:
            code, text = await self._asked(order)
            if code != known and (code == 0 or known is not None):
                self._file(ExtensionChecked(n=0, work=order.work, at_ms=now_ms(), exit_code=code, text=text))
            known = code
            await asyncio.sleep(every_s)

    async def _asked(self, order: WatchExtension) -> tuple[int, str]:
        """The script's exit code and the end of what it wrote to stderr, or why it has none."""
        errors = bytearray()

        def keep(piece: bytes) -> None:
            errors.extend(piece)
            del errors[:-OUTPUT_BYTES_MAX]

        try:
            ended = await process.run(self._launch(order), lambda _: None, keep)
        except (OSError, ValueError) as error:
            return NOT_STARTED, f"The health script could not be started: {error}"
        if ended.timed_out:
            return TIMED_OUT, f"The health script did not end within {order.time_limit_s:g} s."
        return ended.code, errors.decode(errors="replace")

    def _launch(self, order: WatchExtension) -> process.Launch:
        """Raises OSError where the disk takes no script."""
        folder = self._folder / order.extension
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        script = folder / "script"
        script.write_text(order.script)
        script.chmod(0o700)
        directory = self._settings.directory
        return process.Launch(
            argv=[str(script)],
            cwd=folder,
            environment={**shared(directory, order.environment), DIRECTORY_VARIABLE: str(directory)},
            time_limit_s=order.time_limit_s,
            mark=folder / STEP_FILE,
        )
