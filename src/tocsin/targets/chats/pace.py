"""Whose turn it is at a channel: one post at a time, and none before the chat wants the next."""

import contextlib
from collections.abc import Iterator

from tocsin.model.chat import Provider
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock

# Slack takes "1 per second per channel" (its rate limits), Teams four a second of a webhook (Microsoft's), Chime one.
PAUSE_S = {Provider.SLACK: 1.0, Provider.TEAMS: 0.25, Provider.CHIME: 1.0}
ELSEWHERE_PAUSE_S = 1.0  # what other services take is not known; none of them takes less
CHANNELS_REMEMBERED_MAX = 10_000


class Turn:
    """`wait_s` is above zero where it is not this one's turn."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.asked_s: float | None = None

    def ended(self, asked_s: float | None) -> None:
        """`asked_s`: how long the chat wants to be left alone."""
        self.asked_s = asked_s


class Pace:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy: set[str] = set()
        self._free_ms: dict[str, int] = {}

    @contextlib.contextmanager
    def turn(self, channel: str, pause_s: float) -> Iterator[Turn]:
        """Hold the channel, if it is free, until the post has ended."""
        wait_ms = self._free_ms.get(channel, 0) - epoch_ms(self._clock.now())
        if channel in self._busy or wait_ms > 0:
            yield Turn(max(wait_ms / 1000, 0) or pause_s)
            return
        self._busy.add(channel)
        turn = Turn(0)
        try:
            yield turn
        finally:
            self._busy.discard(channel)
            self._rest(channel, max(pause_s, turn.asked_s or 0))

    def _rest(self, channel: str, pause_s: float) -> None:
        self._free_ms[channel] = epoch_ms(self._clock.now()) + round(pause_s * 1000)
        while len(self._free_ms) > CHANNELS_REMEMBERED_MAX:
            del self._free_ms[next(iter(self._free_ms))]
