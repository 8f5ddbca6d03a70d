"""Commands: from an order to its reports, a few at a time. At most once: a start is on the disk before its process is.

The link hands in orders by `take` and `cancel`; reports go out by `file`. steps.py runs them. What an earlier agent
began and did not end was broken off with it: that is told at the start, and it is not run again.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from msgspec import Struct, field

from tocsin.agent import process
from tocsin.agent.settings import AgentSettings
from tocsin.agent.steps import Desk, now_ms, perform, shared
from tocsin.model.link import CommandEnded, CommandStarted, CommandStep, Report, RunCommand, StepResult
from tocsin.model.nodedir import COMMANDS_FOLDER, DIRECTORY_VARIABLE, STEP_FILE

log = logging.getLogger(__name__)

# As many as SSM's agent runs by default (CommandWorkersLimit).
COMMANDS_AT_ONCE_MAX = 5
INTERRUPTED = "The node's agent ended while the command ran. It was ended with it, and it is not run a second time."
FORGOTTEN = (
    "The node does not remember this command: its disk was lost after it had begun. It is not run a second time."
)
NOT_KEPT = "The node's disk cannot keep that the command began (is it full?), so it was not begun."
LATE = "The command was not begun: its time to start was over when its turn came."
CANCELLED = "The command was cancelled before it began."

_GOOD = ("succeeded", "skipped")


class Taken(Struct, eq=False, frozen=True):
    """An order in hand. `late_at` is a time of the loop; a task works at it."""

    order: RunCommand
    late_at: float
    cancel: asyncio.Event = field(default_factory=asyncio.Event)


class Commands:
    """`begun` are the works that an earlier agent began and did not end."""

    def __init__(self, settings: AgentSettings, file: Callable[[Report], bool], begun: Iterable[str]) -> None:
        self._settings = settings
        self._file = file
        self._begun = tuple(begun)
        self._in_hand: dict[str, Taken] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(COMMANDS_AT_ONCE_MAX)
        self._folder = settings.directory / COMMANDS_FOLDER
        _clear(self._folder)

    def take(self, order: RunCommand) -> None:
        """Begin the work when its turn comes."""
        taken = Taken(order, asyncio.get_running_loop().time() + order.start_within_s)
        self._in_hand[order.work] = taken
        task = asyncio.create_task(self._work(taken))
        self._waiting[order.work] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, work: str) -> None:
        """End it, or keep it from beginning."""
        taken, waiting = self._in_hand.get(work), self._waiting.pop(work, None)
        if taken and waiting:
            waiting.cancel()
            self._in_hand.pop(work)
            self._end(taken.order, "cancelled", CANCELLED)
        elif taken:
            taken.cancel.set()

    async def run(self) -> NoReturn:
        """Tell what was broken off, then work for ever. Cancelled, it ends the commands that run, and says so."""
        for work in self._begun:
            self._file(CommandEnded(n=0, work=work, at_ms=now_ms(), outcome="interrupted", detail=INTERRUPTED))
        try:
            while True:
                await asyncio.Event().wait()
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, taken: Taken) -> None:
        order = taken.order
        try:
            if order.begun:
                self._end(order, "interrupted", FORGOTTEN)
                return
            async with self._room:
                self._waiting.pop(order.work, None)
                await self._begin(taken)
        finally:
            self._waiting.pop(order.work, None)
            self._in_hand.pop(order.work, None)

    async def _begin(self, taken: Taken) -> None:
        order = taken.order
        if asyncio.get_running_loop().time() > taken.late_at:
            self._end(order, "late", LATE)
        elif not self._file(CommandStarted(n=0, work=order.work, at_ms=now_ms())):
            self._end(order, "not-started", NOT_KEPT)
        else:
            log.info("command %s begins", order.work)
            await self._perform(taken)

    async def _perform(self, taken: Taken) -> None:
        """All steps, and the one end of the work, whatever happens to this task."""
        order, results = taken.order, list[StepResult]()
        folder = self._folder / order.work.rpartition("/")[2]
        try:
            folder.mkdir(mode=0o700, parents=True)
            await _run(order, self._desk(taken, folder), results)
        except asyncio.CancelledError:
            self._end(order, "interrupted", INTERRUPTED, results)
            raise
        except Exception as error:
            log.exception("command %s broke off", order.work)
            self._end(order, "not-started", f"The command could not be run: {error}", results)
        else:
            self._end(order, _outcome(order, results), "", results)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _desk(self, taken: Taken, folder: Path) -> Desk:
        directory = self._settings.directory
        own = {DIRECTORY_VARIABLE: str(directory)}  # last: it says whose process this is
        return Desk(
            work=taken.order.work,
            folder=folder,
            environment={**shared(directory, taken.order.environment), **own},
            output_bytes_max=taken.order.output_bytes_max,
            file=self._file,
            cancel=taken.cancel,
        )

    def _end(self, order: RunCommand, outcome: str, detail: str, steps: Iterable[StepResult] = ()) -> None:
        log.info("command %s: %s %s", order.work, outcome, detail)
        ended = CommandEnded(n=0, work=order.work, at_ms=now_ms(), outcome=outcome, detail=detail, steps=tuple(steps))
        self._file(ended)


async def _run(order: RunCommand, desk: Desk, results: list[StepResult]) -> None:
    """Run the steps in order. What follows an exit is left out, but for a last step."""
    over = False
    for number, step in enumerate(order.steps):
        if desk.cancel.is_set() or (over and not step.last):
            at_ms = now_ms()
            results.append(StepResult(step=step.name, started_ms=at_ms, ended_ms=at_ms, outcome="left-out"))
            continue
        result = await perform(step, number, desk)
        results.append(result)
        over = over or _exits(step, result)


def _exits(step: CommandStep, result: StepResult) -> bool:
    return (step.on_success if result.outcome in _GOOD else step.on_failure) != "go-on"


def _outcome(order: RunCommand, results: list[StepResult]) -> str:
    """That of the first step that did not go well, unless its failure was to count as an end in good order."""
    for step, result in zip(order.steps, results, strict=True):
        if result.outcome not in (*_GOOD, "left-out"):
            well = step.on_failure == "exit-well" and result.outcome != "cancelled"
            return "succeeded" if well else result.outcome
    return "succeeded"


def _clear(folder: Path) -> None:
    """End what an earlier agent left running, and remove its files."""
    if folder.is_dir():
        for left in folder.iterdir():
            process.end_leftover(left / STEP_FILE)
    shutil.rmtree(folder, ignore_errors=True)
