"""An event loop whose time jumps to the next deadline as soon as nobody has anything to do."""

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
REAL_WAIT_S = 0.5  # a thread that answers later than this is asked again, up to the limit
REAL_WAITS_MAX = 180

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands while a real thread is waited for (`real`), and jumps otherwise."""

    def __init__(self) -> None:
        self.moment = 0.0
        self._threads = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.moment

    @contextmanager
    def real(self) -> Iterator[None]:
        """Something is under way in a thread: its answer comes before any time passes."""
        self._threads += 1
        try:
            yield
        finally:
            self._threads -= 1

    @property
    def waits_for_threads(self) -> bool:
        return self._threads > 0


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._waits = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or (timeout > 0 and self._loop.waits_for_threads):
            found = super().select(REAL_WAIT_S)
            self._waits = 0 if found else self._waits + 1
            assert self._waits < REAL_WAITS_MAX, "everybody waits, and nothing will ever happen"
            return found
        if timeout > 0:
            self._loop.moment += timeout
        return super().select(0)


class VirtualClock:
    """The Clock port on the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self._loop.moment)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Still:
    """A store that answers before any time passes, though it works in threads."""

    def __init__(self, store: Any, loop: VirtualLoop) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._store, name)

        async def still(*args: Any, **more: Any) -> Any:
            with self._loop.real():
                return await ask(*args, **more)

        return still


def run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
