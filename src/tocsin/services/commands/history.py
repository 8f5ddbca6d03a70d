"""The ids of all commands there are, in the order of time, so that listings read what they tell and no more.

Ids grow with time (model/names.py), so they are their own order.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from tocsin.model.names import Scope


class History:
    def __init__(self) -> None:
        self._ids: dict[Scope, list[str]] = {}

    def add(self, scope: Scope, command_id: str) -> None:
        insort(self._ids.setdefault(scope, []), command_id)

    def forget(self, scope: Scope, command_id: str) -> None:
        ids = self._ids.get(scope, [])
        place = bisect_left(ids, command_id)
        if ids[place : place + 1] == [command_id]:
            del ids[place]

    def newest(self, scope: Scope, before: str = "") -> Iterator[str]:
        """Ids older than `before`, or all, newest first, as they are now."""
        ids = self._ids.get(scope, [])
        return reversed(ids[: bisect_left(ids, before)] if before else ids[:])

    def oldest(self) -> Iterator[tuple[Scope, list[str]]]:
        """Each scope with its ids, oldest first, as they are now."""
        return iter([(scope, ids[:]) for scope, ids in self._ids.items()])
