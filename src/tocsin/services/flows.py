"""How much whoever is written to gets by itself, and what is held for digests: the windows of all of them.

Mails of subscriptions and posts to channels share it. What is held is on disk with its publication; the windows are in
memory, and a restart begins new ones (core/topics/digest.py has the law).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from enum import Enum
from typing import Generic, TypeVar

from tocsin.core.topics.digest import Flow, admit, told
from tocsin.model.errors import TocsinError
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock
from tocsin.services.waiting import news_or_pause

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

PLACES_PER_MS = 1 << 20
SWEEP_S = 60.0
# After a sweep that failed: digests that are due are tried again, at the pace of whatever keeps the store away.
RETRY_PAUSE_S = 1.0


class Turn(Enum):
    """What becomes of a message."""

    ALONE = "alone"
    HELD = "held"
    FULL = "full"  # more are held than may be


class Flows(Generic[K]):
    def __init__(self, held_max: int) -> None:
        self._held_max = held_max
        self._flows: dict[K, Flow] = {}
        self._missed: set[K] = set()
        self._place = 0
        self.stirred = asyncio.Event()  # somebody's first message is held

    def load(self, now_ms: int, per_minute: int, held: Counter[K], last_place: int) -> None:
        """Take up what was held when the server ended: it is told in a minute."""
        self._place = last_place
        self._flows = {key: Flow(now_ms, per_minute, number) for key, number in held.items()}

    def turn(self, key: K, now_ms: int, per_minute: int) -> Turn:
        """Whether one more message goes out by itself."""
        flow, alone = admit(self._flows.get(key), now_ms, per_minute)
        if flow.held > self._held_max:
            return Turn.FULL
        self._flows[key] = flow
        if flow.held == 1 and not alone:
            self.stirred.set()
        return Turn.ALONE if alone else Turn.HELD

    def next_place(self, now_ms: int) -> int:
        """Where the next held message stands. Grows with the clock, so that it goes on growing when nothing was held
        over a restart."""
        self._place = max(self._place + 1, now_ms * PLACES_PER_MS)
        return self._place

    async def tell_due(self, now_ms: int, tell: Callable[[K, int], Awaitable[None]]) -> None:
        """Tell each digest that is due. An error of ours in one keeps no other back: it is tried again in a minute."""
        for key in self.due(now_ms):
            try:
                await tell(key, now_ms)
            except TocsinError:
                raise
            except Exception:
                log.exception("the digest for %s failed; trying again in a minute", key)
                if flow := self._flows.get(key):
                    self._flows[key] = Flow(now_ms, flow.sent, flow.held)

    def due(self, now_ms: int) -> list[K]:
        """Whose digest is due; windows that are over without any are forgotten."""
        over = [key for key, flow in self._flows.items() if flow.due_ms <= now_ms]
        for key in over:
            if not self._flows[key].held:
                del self._flows[key]
        return [key for key in over if key in self._flows]

    def held(self, key: K) -> int:
        return self._flows[key].held if key in self._flows else 0

    def told(self, key: K, now_ms: int, found: int) -> None:
        """A digest of so many is on disk. What was counted and not found is still being committed, or never was: a
        minute tells."""
        flow = self._flows.get(key)
        if flow is None:
            return
        if found:
            self._missed.discard(key)
            self._flows[key] = told(flow, now_ms, found)
        elif key in self._missed:
            self._missed.discard(key)
            self._flows[key] = Flow(now_ms, 0)
        else:
            self._missed.add(key)
            self._flows[key] = Flow(now_ms, flow.sent, flow.held)

    def forget(self, key: K) -> None:
        self._flows.pop(key, None)
        self._missed.discard(key)

    async def rest(self, clock: Clock) -> None:
        """Until the next digest is due, somebody holds a first message, or it is time to sweep."""
        due_ms = min((flow.due_ms for flow in self._flows.values() if flow.held), default=None)
        ahead_s = SWEEP_S if due_ms is None else (due_ms - epoch_ms(clock.now())) / 1000
        await news_or_pause(self.stirred, clock, min(max(ahead_s, 0.01), SWEEP_S))
