"""The wildcard: its parts, its test, and how complex a field's wildcards are together.

`*` is any run of characters, none included; `\\*` and `\\\\` are the characters themselves.
"""

from collections.abc import Callable, Iterable
from typing import Final

from .limits import complexity_states_max
from .refusal import Refused

STAR: Final = None


def elements(text: str) -> list[str | None]:
    """A wildcard's characters, and STAR for each star. Raises Refused; positions are bytes in the quoted text."""
    found: list[str | None] = []
    position = 1
    characters = iter(range(len(text)))
    for index in characters:
        character = text[index]
        following = text[index + 1 : index + 2]
        if character == "*":
            if following == "*":
                raise Refused(f"Consecutive wildcard characters at pos {position}")
            found.append(STAR)
        elif character == "\\":
            if following not in ("*", "\\"):
                raise Refused(f"Invalid escape character at pos {position}")
            found.append(following)
            next(characters)
            position += 1
        else:
            found.append(character)
        position += len(character.encode("utf-8", "surrogatepass"))
    return found


def literals(text: str) -> list[str]:
    """The runs of plain characters before, between and after the stars."""
    runs = [""]
    for element in elements(text):
        if element is STAR:
            runs.append("")
        else:
            runs[-1] += element
    return runs


def wildcard(text: str) -> Callable[[str], bool]:
    """A test of one wildcard. Each run is looked for once, leftmost, so that the time is linear in the value."""
    first, *rest = literals(text)
    if not rest:
        return lambda value: value == first
    last = rest.pop()
    shortest = len(first) + sum(map(len, rest)) + len(last)

    def test(value: str) -> bool:
        if len(value) < shortest or not value.startswith(first) or not value.endswith(last):
            return False
        start, end = len(first), len(value) - len(last)
        for run in rest:
            start = value.find(run, start, end)
            if start < 0:
                return False
            start += len(run)
        return True

    return test


def complexity(texts: Iterable[str], most: int) -> int:
    """The greatest number of prefixes of these wildcards that one text can match at once, or `most + 1` if over it.

    All wildcards of one field are read side by side, quotes included, as sets of positions (bits). Only sets that
    some text leads to are looked at, and no more than `complexity_states_max` of them. Two positions of a wildcard
    are no choice and do not count: its start, and the one that its first star holds behind a literal head.
    """
    start, steps, before_star, after_star, free = _automaton(sorted(set(texts)))
    greatest = 0
    seen = {start}
    waiting = [start]
    while waiting:
        alive = waiting.pop()
        greatest = max(greatest, (alive & ~free).bit_count())
        if greatest > most or len(seen) > complexity_states_max:
            return most + 1
        kept = alive & after_star
        for positions in (0, *(mask for mask in steps.values() if mask & alive)):
            following = ((alive & positions) << 1) | kept
            following |= (following & before_star) << 1
            if following and following not in seen:
                seen.add(following)
                waiting.append(following)
    return greatest


def _automaton(texts: list[str]) -> tuple[int, dict[str, int], int, int, int]:
    """Positions as bits: the starts, those a character leaves, those before a star, those after one, the free ones."""
    start = before_star = after_star = free = base = 0
    steps: dict[str, int] = {}
    for text in texts:
        quoted: list[str | None] = ['"', *elements(text), '"']
        start |= 1 << base
        free |= 1 << base
        if STAR in quoted and quoted[1] is not STAR:
            free |= 1 << (base + quoted.index(STAR) + 1)
        for index, element in enumerate(quoted):
            bit = 1 << (base + index)
            if element is STAR:
                before_star |= bit
                after_star |= bit << 1
            else:
                steps[element] = steps.get(element, 0) | bit
        base += len(quoted) + 1
    return start, steps, before_star, after_star, free
