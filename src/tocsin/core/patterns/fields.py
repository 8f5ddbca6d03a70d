"""An event as fields, and the one question arrays make hard: can these fields hold together?

An event's arrays are flattened, but two fields may not use different elements of the same array. Both matchers ask
`hold_together`; only the naive one flattens whole events.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from .limits import assignments_max

Elements = tuple[tuple[int, int], ...]
"""The array elements a leaf lies in, outermost first: (number of the array, index in it)."""

Leaf = tuple[Any, Elements]
Question = tuple[Sequence[Leaf], Callable[[Any], bool], bool]
"""One field: the event's leaves at its path, the test one of them must pass, and whether none at all will do too."""


def flatten(event: Mapping[str, Any]) -> dict[str, list[Leaf]]:
    """Every leaf of an event under its path. Objects and arrays that hold no leaf leave no trace."""
    leaves: dict[str, list[Leaf]] = {}
    arrays = 0
    waiting: list[tuple[str, Any, Elements]] = [(key, value, ()) for key, value in event.items()]
    while waiting:  # a stack of our own: an event may be nested deeper than Python likes to call
        path, value, elements = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((f"{path}.{key}", inner, elements) for key, inner in value.items())
        elif isinstance(value, list):
            arrays += 1
            waiting.extend(
                (path, inner, (*elements, (arrays, index)) if isinstance(inner, (dict, list)) else elements)
                for index, inner in enumerate(value)
            )
        else:
            leaves.setdefault(path, []).append((value, elements))
    return leaves


def hold_together(questions: Iterable[Question]) -> bool:
    """Whether one choice of array elements answers all questions.

    Asked in order. A question met by a leaf binds the arrays the leaf lies in; one met by absence looks only at
    elements chosen so far, so that the order counts, as on AWS (facts 2.4).
    """
    choices: list[Elements] = [()]
    for leaves, test, may_lack in questions:
        passing = [elements for value, elements in leaves if test(value)]
        met = dict.fromkeys(islice(_joined(choices, passing), assignments_max))
        if may_lack:
            anywhere = _Join([elements for _, elements in leaves])
            met.update(dict.fromkeys(choice for choice in choices if next(anywhere.partners(choice), None) is None))
        if not met:
            return False
        choices = list(islice(met, assignments_max))
    return True


def _joined(choices: Sequence[Elements], found: Sequence[Elements]) -> Iterator[Elements]:
    """Every choice extended by every element chain that does not contradict it."""
    if not any(found):
        return iter(choices if found else ())
    join = _Join(found)
    return (_merged(choice, partner) for choice in choices for partner in join.partners(choice))


def _merged(choice: Elements, chain: Elements) -> Elements:
    if not choice or choice == chain:
        return chain
    return tuple(sorted({*choice, *chain})) if chain else choice


class _Join:
    """Element chains, found by what they share with a choice instead of one by one: an array may be long."""

    def __init__(self, chains: Iterable[Elements]) -> None:
        self._by_arrays: dict[tuple[int, ...], list[Elements]] = {}
        for chain in dict.fromkeys(chains):
            self._by_arrays.setdefault(tuple(array for array, _ in chain), []).append(chain)
        self._tables: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[Elements, list[Elements]]] = {}

    def partners(self, choice: Elements) -> Iterator[Elements]:
        chosen = dict(choice)
        for arrays, chains in self._by_arrays.items():
            shared = tuple(array for array in arrays if array in chosen)
            if not shared:
                yield from chains
                continue
            table = self._tables.get((arrays, shared))
            if table is None:
                table = self._tables[arrays, shared] = {}
                for chain in chains:
                    table.setdefault(tuple(link for link in chain if link[0] in shared), []).append(chain)
            yield from table.get(tuple((array, chosen[array]) for array in shared), ())
