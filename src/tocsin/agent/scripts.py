"""Lifecycle scripts: from an order to its reports, one script at a time.

The link hands in orders by `take`; reports go out by `file`. bundle.py and config.py fetch, process.py runs,
output.py bounds.
"""

import asyncio
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tocsin.agent import bundle, process
from tocsin.agent.config import RESOURCE_CONFIG, fetch_config
from tocsin.agent.download import NotStarted
from tocsin.agent.output import Transcript
from tocsin.agent.settings import AgentSettings
from tocsin.model.link import Report, RunScript, ScriptEnded, ScriptStarted
from tocsin.model.nodedir import DIRECTORY_VARIABLE, SCRIPT_FILE

log = logging.getLogger(__name__)

# The lines around a script's output on HyperPod (facts/hyperpod.md §4.5): people search for them.
DOWNLOADING = "[SageMaker] Downloading lifecycle scripts"
SUCCEEDED = "[SageMaker] The lifecycle scripts succeeded."
FAILED = "[SageMaker] The lifecycle scripts failed."
# A node is given one script at a time; more in line than this means that the server has lost count.
ORDERS_WAITING_MAX = 100
INHERITED = ("PATH", "LANG")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Scripts:
    """Runs scripts in the order they came: two at once would unpack into the same folder."""

    def __init__(self, settings: AgentSettings, file: Callable[[Report], object]) -> None:
        self._settings = settings
        self._file = file
        self._orders: asyncio.Queue[RunScript] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
        process.end_leftover(settings.directory / SCRIPT_FILE)

    def take(self, order: RunScript) -> None:
        if self._orders.full():
            words = f"{ORDERS_WAITING_MAX} scripts wait on this node already: let them end first"
            self._file(ScriptEnded(n=0, work=order.work, at_ms=now_ms(), outcome="not-started", detail=words))
        else:
            self._orders.put_nowait(order)

    async def run(self) -> None:
        """Work for ever. Cancelled, it ends the script that runs; that work counts as never ended."""
        while True:
            order = await self._orders.get()
            log.info("script %s of %s begins", order.on_create, order.work)
            ended = await perform(self._settings, order, self._file)
            log.info("script %s of %s: %s %s", order.on_create, order.work, ended.outcome, ended.detail)


async def perform(settings: AgentSettings, order: RunScript, file: Callable[[Report], object]) -> ScriptEnded:
    """One work, from ScriptStarted to ScriptEnded, which is also returned."""
    file(ScriptStarted(n=0, work=order.work, at_ms=now_ms()))
    transcript = Transcript(order.work, order.output_bytes_max, file, now_ms)
    try:
        ended = await _outcome(settings, order, transcript)
    except asyncio.CancelledError:
        transcript.finish()
        transcript.say("[Tocsin] the agent was stopped, and the script with it")
        transcript.flush()
        raise
    transcript.say(SUCCEEDED if ended.outcome == "succeeded" else FAILED)
    if ended.detail:
        transcript.say(f"[Tocsin] {ended.detail}")
    transcript.flush()
    file(ended)
    return ended


async def _outcome(settings: AgentSettings, order: RunScript, transcript: Transcript) -> ScriptEnded:
    def ended(outcome: str, detail: str = "", exit_code: int | None = None) -> ScriptEnded:
        return ScriptEnded(n=0, work=order.work, at_ms=now_ms(), outcome=outcome, exit_code=exit_code, detail=detail)

    transcript.say(DOWNLOADING)
    script = order.on_create
    try:
        folder = await bundle.fetch(settings, order)
        await fetch_config(settings, order)
        if order.fault:
            return ended("failed", order.fault, 1)
        if order.fresh:
            shutil.rmtree(settings.directory / "home", ignore_errors=True)
        for script in filter(None, (order.on_create, order.then)):
            exit_ = await process.run(_launch(settings, order, folder, script), transcript.feed)
            transcript.finish()
            if exit_.timed_out:
                words = f"{script} did not end within {order.time_limit_s:g} s and was killed"
                return ended("timed-out", words, exit_.code)
            if exit_.code:
                return ended("failed", f"{script} {_words(exit_.code)}", exit_.code)
    except NotStarted as error:
        return ended("not-started", str(error))
    except (OSError, ValueError) as error:  # disk full, exec refused, a NUL where none may be
        return ended("not-started", f"{script} could not be started: {error}")
    return ended("succeeded", exit_code=0)


def _launch(settings: AgentSettings, order: RunScript, folder: Path, script: str) -> process.Launch:
    """The script's place on the node: its folder, its environment."""
    home = settings.directory / "home"
    home.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {
        "HOME": str(home),
        "SAGEMAKER_RESOURCE_CONFIG_PATH": str(settings.directory / RESOURCE_CONFIG),
        **order.environment,
        DIRECTORY_VARIABLE: str(settings.directory),  # last: it says whose process this is
    }
    return process.Launch(
        argv=bundle.command(folder, script),
        cwd=folder,
        environment=environment,
        time_limit_s=order.time_limit_s,
        mark=settings.directory / SCRIPT_FILE,
    )


def _words(code: int) -> str:
    if code > 128:
        try:
            return f"was ended by {signal.Signals(code - 128).name} (exit code {code})"
        except ValueError:
            pass
    return f"exited with code {code}"
