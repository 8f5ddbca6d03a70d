"""One step of a command: its script written, run, and its end put into words.

Called by commands.py. process.py runs it, streams.py bounds what it says.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from tocsin.agent import process
from tocsin.agent.streams import Stream
from tocsin.model.link import CommandOutput, CommandStep, Report, StepResult
from tocsin.model.nodedir import STEP_FILE

# What runs a script, by the name the server uses: the programs that will do, the first that is there.
INTERPRETERS = {"sh": ("/bin/sh",), "python3": ("python3", "python")}


class Desk(Struct, frozen=True, kw_only=True):
    """Where a command's steps run: its own folder, the environment they share, what becomes of their output."""

    work: str
    folder: Path
    environment: Mapping[str, str]
    output_bytes_max: int
    file: Callable[[Report], object]
    cancel: asyncio.Event


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def perform(step: CommandStep, number: int, desk: Desk) -> StepResult:
    """Run the step to its end. Whatever goes wrong is a result."""
    began_ms = now_ms()

    def result(outcome: str, detail: str = "", exit_code: int | None = None) -> StepResult:
        return StepResult(
            step=step.name,
            started_ms=began_ms,
            ended_ms=now_ms(),
            outcome=outcome,
            exit_code=exit_code,
            detail=detail,
        )

    if step.skip:
        return result("skipped", step.skip, 0)
    out, errors = _stream(step, "stdout", desk), _stream(step, "stderr", desk)
    try:
        launch = _launch(step, number, desk)
        ended = await process.run(launch, out.feed, errors.feed, desk.cancel)
    except (OSError, ValueError) as error:  # no such directory, no interpreter, disk full, a NUL where none may be
        return result("not-started", f"The step could not be started: {error}")
    finally:
        out.finish()
        errors.finish()
    if ended.cancelled:
        return result("cancelled", "The command was cancelled and its process group ended.", ended.code)
    if ended.timed_out:
        words = f"The step did not end within {step.time_limit_s:g} s and its process group was ended."
        return result("timed-out", words, ended.code)
    return result("failed" if ended.code else "succeeded", _words(ended.code), ended.code)


def _stream(step: CommandStep, name: str, desk: Desk) -> Stream:
    empty = CommandOutput(n=0, work=desk.work, step=step.name, stream=name, at=0, pieces=())
    return Stream(empty, desk.output_bytes_max, desk.file, now_ms)


def _launch(step: CommandStep, number: int, desk: Desk) -> process.Launch:
    """Raises OSError when the step has nowhere or nothing to run."""
    script = desk.folder / f"{number}-script"
    script.write_text(step.script)
    script.chmod(0o700)
    directory = Path(step.directory) if step.directory else desk.folder
    if not directory.is_dir():
        raise FileNotFoundError(f"the working directory {directory} is not there")
    return process.Launch(
        argv=[*_interpreter(step), str(script)],
        cwd=directory,
        environment={**step.environment, **desk.environment},
        time_limit_s=step.time_limit_s,
        mark=desk.folder / STEP_FILE,
    )


def _interpreter(step: CommandStep) -> list[str]:
    """None for a script that names its own in its first line, as the kernel would have it."""
    if step.script.startswith("#!"):
        return []
    names = INTERPRETERS.get(step.interpreter, (step.interpreter,))
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise FileNotFoundError(f"{' or '.join(names)} is not on this node")
    return [found]


def _words(code: int) -> str:
    """What an exit code alone does not say."""
    if code <= 128:
        return ""
    try:
        return f"The step was ended by {signal.Signals(code - 128).name}."
    except ValueError:
        return ""


def shared(directory: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of every step: little of the agent's own, a home, what the server says."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**inherited, "HOME": str(home), **given}
