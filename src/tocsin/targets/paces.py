"""How often a second somebody may be asked: requests are spread evenly, whoever makes them.

A turn that comes soon is waited for. Of one that comes later the caller hears when, and it is kept for him, one for
each caller: so nobody who asks much takes all the turns.
"""

from datetime import datetime, timedelta
from typing import TypeVar

from tocsin.ports import Clock

Key = TypeVar("Key")

# What waits here holds one of the outbox's places.
PACE_WAIT_S_MAX = 0.5
PACES_KEPT_MAX = 10_000
# A turn that was kept is lost to who comes so much too late.
LATE_S_MAX = 1.0


class Paces:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[str, datetime] = {}  # when the next request may be made, by whom it is made to
        self._kept: dict[tuple[str, str], datetime] = {}  # (to whom, by whom) -> the turn kept for him

    async def turn(self, to: str, by: str, per_s: float) -> float:
        """0 when it is the caller's turn. Else the seconds after which it is."""
        now = self._clock.now()
        at = self._kept.pop((to, by), None)
        if at is None or at < now - timedelta(seconds=LATE_S_MAX):
            at = max(self._next.pop(to, now), now)
            _put(self._next, to, at + timedelta(seconds=1 / per_s))
        wait_s = (at - now).total_seconds()
        if wait_s > PACE_WAIT_S_MAX:
            _put(self._kept, (to, by), at)
            return wait_s
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        return 0.0


def _put(times: dict[Key, datetime], key: Key, at: datetime) -> None:
    """The oldest are forgotten."""
    while len(times) >= PACES_KEPT_MAX:
        del times[next(iter(times))]
    times[key] = at
