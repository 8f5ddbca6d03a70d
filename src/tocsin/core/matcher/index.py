"""Many patterns, one event: the keys of those that match, at a cost that hardly grows with their number.

The bus builds one Index per event bus, swaps it in whole, and asks it for every event. Each alternative of each
pattern waits under one of its own fields, the one least shared; only what an event wakes is looked at closer.
"""

from collections.abc import Hashable, Iterable
from typing import Any, Generic, TypeVar

import orjson

from tocsin.core.patterns.fields import Leaf, hold_together
from tocsin.core.patterns.numbers import load_event
from tocsin.core.patterns.reader import Pattern

from .build import Candidate, Check, Layout, lay_out
from .paths import Values

K = TypeVar("K", bound=Hashable)
Answers = dict[Check, bool]


class Index(Generic[K]):
    """Immutable once built: readers share it without a lock, a writer builds another and swaps the reference."""

    __slots__ = ("_keys", "_layout")

    def __init__(self, keys: tuple[K, ...], layout: Layout) -> None:
        self._keys = keys
        self._layout = layout

    @staticmethod
    def build(rules: Iterable[tuple[K, Pattern]]) -> "Index[K]":
        """An index of patterns under their keys; a key that comes twice stands for both patterns."""
        ranks: dict[K, int] = {}
        ranked = [(ranks.setdefault(key, len(ranks)), pattern) for key, pattern in rules]
        return Index(tuple(ranks), lay_out(ranked))

    @property
    def numbers_matter(self) -> bool:
        """Whether some pattern asks for a number, so that events should come through `load_event`."""
        return self._layout.numbers_matter

    def load(self, text: str | bytes) -> Any:
        """An event's text, parsed as exactly as these patterns need. Raises ValueError."""
        return load_event(text) if self._layout.numbers_matter else orjson.loads(text)

    def match(self, event: Any) -> list[K]:
        """The keys of all patterns that match, each once, in the order they were built in."""
        if not isinstance(event, dict):
            return []
        layout = self._layout
        values = layout.tree.values(event)
        if values is None:
            return self._named(_match_jointed(layout, layout.tree.leaves(event)))
        ranks: set[int] = set()
        answers: Answers = {}
        for candidate in _woken(layout, values, answers):
            for check in candidate.left:
                answer = answers.get(check)
                if answer is None:
                    answer = answers[check] = _answer(check, values)
                if not answer:
                    break
            else:
                ranks.update(candidate.ranks)
        return self._named(ranks)

    def _named(self, ranks: set[int]) -> list[K]:
        keys = self._keys
        return [keys[rank] for rank in sorted(ranks)]


def _woken(layout: Layout, values: Values, answers: Answers) -> list[Candidate]:
    """The alternatives that one of the event's values speaks for, and those nothing has to speak for."""
    woken = list(layout.always)
    for path, bucket in layout.buckets:
        for value in values.get(path, ()):
            woken += bucket.woken(value)
    for path, gates in layout.gates:
        if path in values:
            for check, waiting in gates:
                answer = answers[check] = _answer(check, values)
                if answer:
                    woken += waiting
    return woken


def _answer(check: Check, values: Values) -> bool:
    """A check against the values at its path, where no array elements have to agree."""
    found = values.get(check.path)
    if found is None:
        return check.may_lack
    if len(found) == 1:
        return check.test(found[0])
    return any(map(check.test, found))


def _match_jointed(layout: Layout, leaves: dict[int, list[Leaf]]) -> set[int]:
    """The ranks that match an event in which array elements have to agree."""
    values = {path: [value for value, _ in found] for path, found in leaves.items()}
    ranks: set[int] = set()
    for candidate in dict.fromkeys(_woken(layout, values, {})):
        if not ranks.issuperset(candidate.ranks) and hold_together(
            (leaves.get(check.path, ()), check.test, check.may_lack) for check in candidate.checks
        ):
            ranks.update(candidate.ranks)
    return ranks
