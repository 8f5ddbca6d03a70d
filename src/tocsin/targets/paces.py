"""How often a second somebody may be asked: requests are spread evenly, whoever makes them.

A turn that comes soon is waited for; of one that comes later the caller hears when to ask again.
"""

from datetime import datetime, timedelta

from tocsin.ports import Clock

# What waits here holds one of the outbox's places.
PACE_WAIT_S_MAX = 0.5
PACES_KEPT_MAX = 10_000


class Paces:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[str, datetime] = {}  # when the next request may be made, by name

    async def turn(self, name: str, per_s: float) -> float:
        """0 when it is the caller's turn. Else the seconds after which it may come, and nothing is reserved."""
        now = self._clock.now()
        at = max(self._next.pop(name, now), now)
        wait_s = (at - now).total_seconds()
        if wait_s > PACE_WAIT_S_MAX:
            self._next[name] = at
            return wait_s
        while len(self._next) >= PACES_KEPT_MAX:
            del self._next[next(iter(self._next))]
        self._next[name] = at + timedelta(seconds=1 / per_s)
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        return 0.0
