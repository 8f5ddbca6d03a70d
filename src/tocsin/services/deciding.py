"""Read, decide and commit again when another writer was faster."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tocsin.model.errors import Stale

STALE_TRIES_MAX = 5  # as in the doors: each loses only to a commit that won

T = TypeVar("T")


async def decided(attempt: Callable[[], Awaitable[T]]) -> T:
    """Raises Stale when another was faster every time."""
    for _ in range(STALE_TRIES_MAX - 1):
        try:
            return await attempt()
        except Stale:
            continue
    return await attempt()
