"""The paths all rules ask for, as a tree that an event is walked by, so that nothing else of the event is looked at.

`Index` builds one `PathTree` and walks every event with it. Arrays that hold scalars only are taken in passing; an
event with arrays of objects on the way needs the elements too, and is walked again with them.
"""

from collections.abc import Iterable
from typing import Any, Final

from tocsin.core.patterns.fields import Elements, Leaf

Values = dict[int, list[Any]]
"""The leaves found, by the number of their path."""

_MISSING: Final = object()
_few_keys_max: Final = 16
"""Up to so many wanted keys are looked up one by one; of more, only those the object has."""


class _Node:
    """What follows one prefix of the wanted paths."""

    __slots__ = ("items", "keys")

    def __init__(self) -> None:
        self.keys: dict[str, tuple[int | None, _Node | None]] = {}
        self.items: tuple[tuple[str, int | None, _Node | None], ...] = ()

    def freeze(self) -> None:
        self.items = tuple((key, number, below) for key, (number, below) in self.keys.items())


class PathTree:
    """Wanted paths, numbered in the order given."""

    __slots__ = ("_root",)

    def __init__(self, paths: Iterable[str]) -> None:
        self._root = _Node()
        nodes = [self._root]
        for number, path in enumerate(paths):
            if path.endswith("."):
                continue  # an empty last key names nothing (docs/patterns.md)
            node = self._root
            *ways, last = path.split(".")
            for key in ways:
                own, below = node.keys.get(key, (None, None))
                if below is None:
                    below = _Node()
                    nodes.append(below)
                    node.keys[key] = (own, below)
                node = below
            node.keys[last] = (number, node.keys.get(last, (None, None))[1])
        for node in nodes:
            node.freeze()

    def values(self, event: dict[str, Any]) -> Values | None:
        """The event's leaves at the wanted paths, or None if some lie in array elements that must agree."""
        found: Values = {}
        waiting: list[tuple[_Node, dict[str, Any]]] = [(self._root, event)]
        for node, source in waiting:
            if "." in "".join(source):
                return None
            for key, number, below in _present(node, source):
                value = source.get(key, _MISSING)
                kind = type(value)
                if kind is dict:
                    if below is not None:
                        waiting.append((below, value))
                elif kind is list:
                    if not _is_flat(value, below):
                        return None
                    if number is not None:
                        scalars = [inner for inner in value if type(inner) is not dict]
                        if scalars:
                            found[number] = scalars
                elif number is not None and value is not _MISSING:
                    found[number] = [value]
        return found

    def leaves(self, event: dict[str, Any]) -> dict[int, list[Leaf]]:
        """The same with the array elements every leaf lies in, and with keys that hold dots taken apart."""
        found: dict[int, list[Leaf]] = {}
        arrays = 0
        waiting: list[tuple[int | None, _Node | None, Any, Elements]] = [(None, self._root, event, ())]
        while waiting:
            number, node, value, elements = waiting.pop()
            if isinstance(value, dict):
                for key, inner in value.items() if node is not None else ():
                    step = _descend(node, key)
                    if step is not None:
                        waiting.append((*step, inner, elements))
            elif isinstance(value, list):
                arrays += 1
                waiting.extend(
                    (number, node, inner, (*elements, (arrays, index)) if isinstance(inner, (dict, list)) else elements)
                    for index, inner in enumerate(value)
                )
            elif number is not None:
                found.setdefault(number, []).append((value, elements))
        return found


def _present(node: _Node, source: dict[str, Any]) -> Iterable[tuple[str, int | None, "_Node | None"]]:
    if len(node.items) <= _few_keys_max:
        return node.items
    return ((key, *node.keys[key]) for key in node.keys.keys() & source.keys())


def _is_flat(array: list[Any], below: "_Node | None") -> bool:
    """Whether no element of this array can bind another: it holds no array, and no object that is looked into."""
    return not any(type(inner) is list or (below is not None and type(inner) is dict) for inner in array)


def _descend(node: "_Node | None", key: str) -> "tuple[int | None, _Node | None] | None":
    """Follow a key of an event, each part of it if it holds dots."""
    step: tuple[int | None, _Node | None] | None = (None, node)
    for part in key.split("."):
        if step is None or step[1] is None:
            return None
        step = step[1].keys.get(part)
    return step
