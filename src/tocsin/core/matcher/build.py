"""Lays out an index: interns what rules share, and picks for each alternative the field it waits under.

`Index.build` calls `lay_out` once per change of the rules; nothing here runs per event.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tocsin.core.patterns.conditions import NUMBER_CONDITIONS
from tocsin.core.patterns.matching import compiled, may_lack
from tocsin.core.patterns.reader import Field, Pattern

from .lookups import Bucket, Lookup, lookup
from .paths import PathTree

Alternative = tuple[Field, ...]


class Check(msgspec.Struct, frozen=True, eq=False):
    """One distinct field of the rules, compiled: the number of its path and the question to its leaves."""

    path: int
    test: Callable[[Any], bool]
    may_lack: bool


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """One distinct alternative: its checks in order, those left once it was woken, and the ranks of its rules."""

    checks: tuple[Check, ...]
    left: tuple[Check, ...]
    ranks: tuple[int, ...]


class Layout(msgspec.Struct, frozen=True, eq=False):
    """What an event is put through: walk `tree`, wake by `buckets`, ask `gates`, and always look at `always`."""

    tree: PathTree
    buckets: tuple[tuple[int, Bucket[Candidate]], ...]
    gates: tuple[tuple[int, tuple[tuple[Check, tuple[Candidate, ...]], ...]], ...]
    always: tuple[Candidate, ...]
    numbers_matter: bool


def lay_out(patterns: Iterable[tuple[int, Pattern]]) -> Layout:
    """The layout for patterns and their ranks."""
    owners: dict[Alternative, dict[int, None]] = {}
    for rank, pattern in patterns:
        for alternative in pattern.alternatives:
            owners.setdefault(alternative, {})[rank] = None
    numbers = {path: number for number, path in enumerate(dict.fromkeys(_paths(owners)))}
    checks = {field: _check(field, numbers) for alternative in owners for field in alternative}
    wakes = {field: _lookups(field) for field in checks}
    shared = Counter(key for alternative in owners for field in alternative for key in _wake_keys(field, wakes[field]))

    bucketed: dict[int, list[tuple[Lookup, Candidate]]] = {}
    gated: dict[int, dict[Check, list[Candidate]]] = {}
    always: list[Candidate] = []
    for alternative, ranks in owners.items():
        pivot = _pivot(alternative, wakes, shared)
        candidate = _candidate(alternative, tuple(ranks), checks, pivot, wakes)
        if pivot is None:
            always.append(candidate)
        elif found := wakes[pivot]:
            bucketed.setdefault(checks[pivot].path, []).extend((one, candidate) for one in found)
        else:
            gated.setdefault(checks[pivot].path, {}).setdefault(checks[pivot], []).append(candidate)
    return Layout(
        tree=PathTree(path for path in numbers),
        buckets=tuple((path, Bucket(entries)) for path, entries in bucketed.items()),
        gates=tuple(
            (path, tuple((check, tuple(waiting)) for check, waiting in by_check.items()))
            for path, by_check in gated.items()
        ),
        always=tuple(always),
        numbers_matter=any(isinstance(one, NUMBER_CONDITIONS) for field in checks for one in field.conditions),
    )


def _paths(alternatives: Iterable[Alternative]) -> Iterable[str]:
    return (field.path for alternative in alternatives for field in alternative)


def _check(field: Field, numbers: dict[str, int]) -> Check:
    return Check(numbers[field.path], compiled(field.conditions), may_lack(field.conditions))


def _lookups(field: Field) -> tuple[Lookup, ...]:
    """How a field can be waited under; nothing if one of its conditions names no text."""
    found = [lookup(condition) for condition in field.conditions]
    return tuple(one for one in found if one is not None) if None not in found else ()


def _wake_keys(field: Field, found: Sequence[Lookup]) -> Iterable[tuple[object, ...]]:
    """What a field shares with others: each of its lookups, or, without, the field as a whole."""
    return ((field.path, one.kind, one.text) for one in found) if found else ((field,),)


def _pivot(
    alternative: Alternative, wakes: dict[Field, tuple[Lookup, ...]], shared: Counter[tuple[object, ...]]
) -> Field | None:
    """The field to wait under: one that can be looked up, else one that can be asked; then the least shared."""
    needed = [field for field in alternative if not may_lack(field.conditions)]
    if not needed:
        return None
    return min(
        needed, key=lambda field: (not wakes[field], sum(shared[key] for key in _wake_keys(field, wakes[field])))
    )


def _candidate(
    alternative: Alternative,
    ranks: tuple[int, ...],
    checks: dict[Field, Check],
    pivot: Field | None,
    wakes: dict[Field, tuple[Lookup, ...]],
) -> Candidate:
    known = pivot if pivot is None or not wakes[pivot] or all(one.sure for one in wakes[pivot]) else None
    left = tuple(checks[field] for field in alternative if field is not known)
    return Candidate(tuple(checks[field] for field in alternative), left, ranks)
