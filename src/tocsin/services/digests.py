"""Digests that are due while no event comes: what a throttle held back is told when its window is over.

Where events do come, the router itself tells it, in their order. So this one speaks only while the router has nothing
left to route: what is still in the journal may belong to the window.
"""

import logging

from tocsin.model.errors import TocsinError
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store
from tocsin.services.bus import ROUTER, Bus
from tocsin.services.noise import Noise

log = logging.getLogger(__name__)

# A digest comes at most that much after the end of its window.
LOOK_EVERY_S = 1.0


class Digests:
    def __init__(self, *, noise: Noise, bus: Bus, store: Store, clock: Clock) -> None:
        self._noise = noise
        self._bus = bus
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            if self._noise.quiet:
                continue
            try:
                await self.tell()
            except TocsinError as away:
                log.warning("digests of noise control wait for the store: %s", away)
            except Exception:
                log.exception("digests of noise control failed; trying again")

    async def tell(self) -> None:
        """End what is over now."""
        async with self._noise.turn:
            _, last = await self._store.journal_bounds()
            if await self._store.cursor(ROUTER) < last:
                return
            now_ms = epoch_ms(self._clock.now())
            sifting = self._noise.sifting()
            sifting.close(now_ms)
            changes = sifting.changes()
            if changes:
                await self._bus.deliver(sifting.digests(now_ms), *changes)
                sifting.committed()
