"""Selectors of JSON patterns: `$.user.roles[0]`, `$.users[*].id`, `$.*`, and our `$.["any key"]`."""

import re
from typing import Any

from msgspec import Struct

from tocsin.core.logfilter.scan import invalid, invalid_term, quoted

KEY = re.compile(r"[\w-]+")
INDEX = re.compile(r"\[\s*(\d{1,9}|\*)\s*\]")
KEY_BRACKET = re.compile(r"\.?\[\s*(?=[\"'])")
CLOSE = re.compile(r"\s*\]")


class Every(Struct, frozen=True, kw_only=True):
    """All members of an object (`.*`) or all items of a list (`[*]`)."""

    items: bool


class Selector(Struct, frozen=True):
    """Steps from the root: a key, an index, or Every."""

    steps: tuple[str | int | Every, ...]

    @property
    def wild(self) -> bool:
        return any(isinstance(step, Every) for step in self.steps)

    def values(self, root: Any) -> list[Any]:
        """What the selector points to: nothing, one value, or with a wildcard several."""
        found = [root]
        for step in self.steps:
            found = [value for place in found for value in _inside(place, step)]
        return found


def _inside(place: Any, step: str | int | Every) -> list[Any]:
    if isinstance(step, Every):
        if step.items:
            return place if isinstance(place, list) else []
        return list(place.values()) if isinstance(place, dict) else []
    if isinstance(step, int):
        return [place[step]] if isinstance(place, list) and step < len(place) else []
    return [place[step]] if isinstance(place, dict) and step in place else []


def parse_selector(text: str, at: int) -> tuple[Selector, int]:
    """The selector that begins at `at`, and where it ends. Raises InvalidParameter."""
    if text[at : at + 1] != "$":
        raise invalid("a selector begins with $")
    at += 1
    steps: list[str | int | Every] = []
    while (step := _step(text, at)) is not None:
        steps.append(step[0])
        at = step[1]
    if not steps:
        raise invalid_term(text[at - 1 : at + 2])
    if sum(isinstance(step, Every) for step in steps) > 1:
        raise invalid("a selector takes one wildcard")
    return Selector(tuple(steps)), at


def _step(text: str, at: int) -> tuple[str | int | Every, int] | None:
    if opening := KEY_BRACKET.match(text, at):
        key, end = quoted(text, opening.end())
        if (closing := CLOSE.match(text, end)) is None:
            raise invalid("a bracketed key is not closed")
        return key, closing.end()
    if index := INDEX.match(text, at):
        return (Every(items=True) if index[1] == "*" else int(index[1])), index.end()
    if text[at : at + 1] != ".":
        return None
    if text[at + 1 : at + 2] == "*":
        return Every(items=False), at + 2
    if (key_found := KEY.match(text, at + 1)) is None:
        raise invalid_term(f"$.{text[at + 1 : at + 2]}")
    return key_found[0], key_found.end()
