"""Equality without case, character by character of the pattern.

A pattern's character stands for its lower and its upper form, and nothing else: `ß` stands for `ß` and `SS`, but `s`
does not stand for half a `ß`. That makes the comparison one-sided on purpose (facts 2.2); it is by whole characters,
so that one outside the basic plane equals itself (the reference library takes such a one apart, its defect B5).
"""

from collections.abc import Callable
from typing import Literal

Where = Literal["whole", "start", "end"]


def ignoring_case(text: str, where: Where) -> Callable[[str], bool]:
    """A test whether a value is `text`, or starts or ends with it, when case does not count."""
    if text.isascii():
        return _ascii(text.lower(), where)
    forms = [(character.lower(), character.upper()) for character in text]
    if where == "end":
        backward = [(lower[::-1], upper[::-1]) for lower, upper in reversed(forms)]
        return lambda value: bool(_ends(backward, value[::-1]))
    if where == "start":
        return lambda value: bool(_ends(forms, value))
    return lambda value: len(value) in _ends(forms, value)


def _ascii(lower: str, where: Where) -> Callable[[str], bool]:
    """The same for a text of ASCII letters only, which stand for ASCII letters only."""
    size = len(lower)
    if where == "whole":
        return lambda value: len(value) == size and value.isascii() and value.lower() == lower
    if where == "start":
        return lambda value: (part := value[:size]).isascii() and part.lower() == lower
    return lambda value: (part := value[-size:] if size else "").isascii() and part.lower() == lower


def _ends(forms: list[tuple[str, str]], value: str) -> set[int]:
    """Where in `value` the forms, one after the other, can end. More than one place where lengths differ."""
    ends = {0}
    for lower, upper in forms:
        ends = {end + len(form) for end in ends for form in (lower, upper) if value.startswith(form, end)}
        if not ends:
            break
    return ends
