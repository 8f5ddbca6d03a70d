"""Deep health checks on their way through the agent: an order, a process that tests, a report. One at a time.

The link hands in orders by `take` and `answer`; the report goes out by `file`.
"""

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Callable
from typing import NoReturn

import msgspec

from tocsin.agent import process
from tocsin.agent.deep.answering import Answering
from tocsin.agent.settings import AgentSettings
from tocsin.agent.steps import now_ms
from tocsin.model.deep import CheckResult
from tocsin.model.link import AnswerPeers, CheckEnded, Report, RunDeepCheck
from tocsin.model.nodedir import DEEP_FOLDER, DIRECTORY_VARIABLE, STEP_FILE

log = logging.getLogger(__name__)

ORDER_FILE = "order.json"
OUTPUT_BYTES_MAX = 1 << 20
# A node is given one check at a time; more in line than this means that the server has lost count.
ORDERS_WAITING_MAX = 8
# The whole check ends before the server stops waiting for it, so that what it found is told.
TELL_S = 30.0
TAIL_CHARS = 300
_decode = msgspec.json.Decoder(CheckResult).decode


class DeepChecks:
    """What an earlier agent left running is ended at the start."""

    def __init__(self, settings: AgentSettings, file: Callable[[Report], object]) -> None:
        self._settings = settings
        self._file = file
        self._folder = settings.directory / DEEP_FOLDER
        self._orders: asyncio.Queue[RunDeepCheck] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
        self._answering = Answering()
        self._tasks: set[asyncio.Task[None]] = set()
        if self._folder.is_dir():
            process.end_leftover(self._folder / STEP_FILE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def take(self, order: RunDeepCheck) -> None:
        if self._orders.full():
            why = f"{ORDERS_WAITING_MAX} checks wait on this node already"
            self._end(order, (_failed(order.kinds[0], why),))
            return
        self._orders.put_nowait(order)
        if order.peers:
            self._answer(order.address, order.port, order.secret, order.time_limit_s)

    def answer(self, order: AnswerPeers) -> None:
        self._answer(order.address, order.port, order.secret, order.for_s)

    def _answer(self, address: str, port: int, secret: str, for_s: float) -> None:
        task = asyncio.create_task(self._answering.answer(address, port, secret, for_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> NoReturn:
        """Work for ever. Cancelled, it ends the check that runs; that work counts as never ended."""
        try:
            while True:
                order = await self._orders.get()
                log.info("deep health check %s begins", order.work)
                self._end(order, await self._results(order))
        finally:
            self._answering.close()

    def _end(self, order: RunDeepCheck, results: tuple[CheckResult, ...]) -> None:
        self._file(CheckEnded(n=0, work=order.work, at_ms=now_ms(), results=results))

    async def _results(self, order: RunDeepCheck) -> tuple[CheckResult, ...]:
        if order.fault:
            return tuple(_failed(kind, order.fault) for kind in order.kinds)
        output, errors = bytearray(), bytearray()
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / ORDER_FILE).write_bytes(msgspec.json.encode(order))
            ended = await process.run(self._launch(order), _bounded(output), _bounded(errors))
        except OSError as error:
            return (_failed(order.kinds[0], f"the tests could not be started: {error}"),)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        results = tuple(_decode(line) for line in bytes(output).split(b"\n")[:-1])
        if ended.timed_out or ended.code:
            limit = f"did not end within {_time_limit_s(order):g} s"
            tail = errors.decode(errors="replace").strip()[-TAIL_CHARS:]
            why = limit if ended.timed_out else f"ended with code {ended.code}: {tail}"
            results = (*results, _failed(order.kinds[0], f"the tests {why}"))
        return results

    def _launch(self, order: RunDeepCheck) -> process.Launch:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return process.Launch(
            argv=[sys.executable, "-m", "tocsin.agent.deep", str(self._folder / ORDER_FILE)],
            cwd=self._folder,
            environment={**inherited, DIRECTORY_VARIABLE: str(self._settings.directory)},
            time_limit_s=_time_limit_s(order),
            mark=self._folder / STEP_FILE,
        )


def _time_limit_s(order: RunDeepCheck) -> float:
    return max(order.time_limit_s - TELL_S, order.time_limit_s / 2)


def _failed(kind: str, why: str) -> CheckResult:
    return CheckResult(kind=kind, test=kind, outcome="failed", detail=why)


def _bounded(into: bytearray) -> Callable[[bytes], None]:
    return lambda piece: into.extend(piece[: max(0, OUTPUT_BYTES_MAX - len(into))])
