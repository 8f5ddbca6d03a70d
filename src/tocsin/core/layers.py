"""A dict of which a changed copy costs what changed, not what there is. core/members.py keeps a cluster's nodes in it.

Below lies a dict that many share and nobody changes; above it what is different since. When that grows, both become
one.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

V = TypeVar("V")

# A copy takes these along; making both one costs the whole. In between is the least of both for thousands of entries.
ABOVE_MAX = 256


class Layered(MutableMapping[str, V]):
    """Iterated in the order of a dict. A value is never None."""

    __slots__ = ("_whole", "above", "below", "length")

    def __init__(self, items: Mapping[str, V]) -> None:
        self.below: dict[str, V] = dict(items)
        self.above: dict[str, V | None] = {}  # None: no longer there
        self.length = len(self.below)
        self._whole: dict[str, V] | None = self.below

    def copy(self) -> "Layered[V]":
        """Another one that holds the same: what is done to either leaves the other as it is."""
        twin: Layered[V] = Layered({})
        if len(self.above) > ABOVE_MAX:  # of this one too, so that it is done once, and both share what lies below
            self.below = self._whole = self.whole()
            self.above = {}
        twin.below, twin.above, twin._whole = self.below, dict(self.above), self._whole
        twin.length = self.length
        return twin

    def whole(self) -> dict[str, V]:
        """All of it, as a dict that is not to be changed: made once, for whoever looks at everything."""
        if self._whole is None:
            merged = self.below | self.above
            self._whole = {key: value for key, value in merged.items() if value is not None}
        return self._whole

    def differing(self, before: "Layered[V]") -> list[str]:
        """The keys under which the two do not hold the very same value, those that are gone last."""
        shared = self.below is before.below
        keys = self.above | before.above if shared else self.whole() | before.whole()
        changed = [key for key in keys if self.get(key) is not before.get(key)]
        return [key for key in changed if key in self] + [key for key in changed if key not in self]

    def get(self, key: str, default: Any = None) -> Any:
        value = self.above[key] if key in self.above else self.below.get(key)
        return default if value is None else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __getitem__(self, key: str) -> V:
        value: V | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        self.length += key not in self
        self.above[key] = value
        self._whole = None

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.length -= 1
        if key in self.below:
            self.above[key] = None
        else:
            del self.above[key]
        self._whole = None

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return self.length
