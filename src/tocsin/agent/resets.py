"""Resets of GPUs on their way through the agent: an order, a command for each GPU, a report. One at a time.

Nothing may hold a GPU that is reset, so the agent lets go of the driver's library first, and has the driver let go of
GPUs that it keeps up (persistence mode). The link hands in orders by `take`; the report goes out by `file`.
"""

import asyncio
import logging
import os
import shlex
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

from tocsin.agent import process
from tocsin.agent.settings import AgentSettings
from tocsin.agent.steps import now_ms
from tocsin.model.link import GpuResetEnded, Report, RunGpuReset
from tocsin.model.nodedir import DIRECTORY_VARIABLE, RESET_FILE

log = logging.getLogger(__name__)

# A node is given one reset at a time; more in line than this means that the server has lost count.
ORDERS_WAITING_MAX = 8
OUTPUT_BYTES_MAX = 4096  # of a command that fails; its end is told
TAIL_CHARS = 200


class GpuResets:
    """`command` resets one GPU, whose PCI address stands for {gpu}; `let_go` of these GPUs is held while it runs."""

    def __init__(
        self,
        settings: AgentSettings,
        command: str,
        let_go: Callable[[tuple[str, ...]], AbstractAsyncContextManager[None]],
        file: Callable[[Report], object],
    ) -> None:
        self._settings = settings
        self._command = shlex.split(command)
        self._let_go = let_go
        self._file = file
        self._orders: asyncio.Queue[RunGpuReset] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
        process.end_leftover(settings.directory / RESET_FILE)

    @property
    def able(self) -> bool:
        """Whether there is a command, and a program for it."""
        return bool(self._command) and shutil.which(self._command[0]) is not None

    def take(self, order: RunGpuReset) -> None:
        if self._orders.full():
            self._end(order, f"{ORDERS_WAITING_MAX} resets wait on this node already")
        else:
            self._orders.put_nowait(order)

    async def run(self) -> NoReturn:
        """Work for ever. Cancelled, it ends the command that runs; that work counts as never ended."""
        while True:
            order = await self._orders.get()
            log.info("GPUs are reset: %s", ", ".join(order.gpus))
            async with self._let_go(order.gpus):
                failed = await self._failed(order)
            self._end(order, failed)

    def _end(self, order: RunGpuReset, failed: str) -> None:
        if failed:
            log.info("GPUs could not be reset: %s", failed)
        self._file(GpuResetEnded(n=0, work=order.work, at_ms=now_ms(), failed=failed))

    async def _failed(self, order: RunGpuReset) -> str:
        """Why a GPU could not be reset; those after it are left."""
        if not self.able:
            return "this node has no command that resets a GPU"
        for gpu in order.gpus:
            why = await self._reset(gpu, order.time_limit_s)
            if why:
                return f"{gpu}: {why}"
        return ""

    async def _reset(self, gpu: str, time_limit_s: float) -> str:
        output = bytearray()
        launch = process.Launch(
            argv=[part.replace("{gpu}", address(gpu)) for part in self._command],
            cwd=self._settings.directory,
            environment={**os.environ, DIRECTORY_VARIABLE: str(self._settings.directory)},
            time_limit_s=time_limit_s,
            mark=self._settings.directory / RESET_FILE,
        )
        try:
            ended = await process.run(launch, lambda piece: output.extend(piece[: OUTPUT_BYTES_MAX - len(output)]))
        except OSError as error:
            return f"{self._command[0]} cannot be started: {error}"
        if ended.timed_out:
            return f"{self._command[0]} did not end within {time_limit_s:g} s"
        said = " ".join(output.decode(errors="replace").split())[-TAIL_CHARS:]
        return f"{self._command[0]} ended with code {ended.code}: {said}" if ended.code else ""


def address(gpu: str) -> str:
    """As nvidia-smi takes it: with the function, which the driver's log leaves out."""
    return gpu if "." in gpu else f"{gpu}.0"
