"""From a pattern as AWS's models and people write it to a yes or no about a text: full match, in bounded time.

Who asks keeps the answer: validators of the wire, and documents with their allowed patterns. A pattern without a safe
spelling in Python is Untranslatable.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from tocsin.core.regex.automaton import Automaton, walkable
from tocsin.core.regex.charset import Untranslatable
from tocsin.core.regex.syntax import (
    Choice,
    Group,
    Mark,
    Node,
    One,
    Repeat,
    Sequence,
    compiled_set,
    parsed,
    spelled,
    walk,
)

Matcher = Callable[[str], object]

# A counted repetition below this can multiply the ways to match, but not without end.
repeat_harmless_max = 4
# Below this length even a fourth power of the length is done in a moment; above it the automaton walks.
backtrack_chars_max = 256
# So many open repetitions in one pattern make the work grow with a power of the length.
open_repeats_max = 2

# Characters that tell AWS's classes apart: all of Latin-1, and some beyond it.
SAMPLES = [chr(code) for code in range(0x100)] + ["Ω", "Ж", "中", "\u2028", "\u3000", "\U0001f514"]


def _reads(node: Node) -> frozenset[str]:
    """The sample characters that may stand anywhere in what the node matches."""
    found: set[str] = set()
    for part in walk(node):
        if isinstance(part, One):
            pattern = compiled_set(part.source)
            found.update(char for char in SAMPLES if pattern.fullmatch(char))
    return frozenset(found)


def _loops(node: Node) -> Iterator[Repeat]:
    for part in walk(node):
        if isinstance(part, Repeat) and (part.most is None or part.most > repeat_harmless_max):
            yield part


def _width(node: Node) -> int | None:
    """How many characters the node matches, None where that varies."""
    match node:
        case One():
            return 1
        case Mark():
            return 0
        case Group(opening, body):
            return _width(body) if opening in ("(", "(?:") else 0
        case Sequence(items):
            widths = [_width(item) for item in items]
            return None if None in widths else sum(width or 0 for width in widths)
        case Choice(branches):
            kinds = {_width(branch) for branch in branches}
            return kinds.pop() if len(kinds) == 1 else None
        case Repeat(body, least, most, _):
            width = _width(body)
            return None if width is None or least != most else width * least


def _apart(nodes: Iterable[Node]) -> bool:
    """Whether no two of the nodes share a character."""
    return not any(a & b for a, b in combinations([_reads(node) for node in nodes], 2))


def _one_way(node: Node) -> bool:
    """Whether the node reads any text in one way at most, as far as a look at its character sets tells."""
    match node:
        case Group(_, body):
            return _one_way(body)
        case Choice(branches):
            return all(map(_one_way, branches)) and _apart(branches)
        case Repeat(body, _, most, _):
            return _one_way(body) if most == 1 else _turns_tell(body)
        case Sequence(items):
            varying = [item for item in items if _width(item) is None]
            return all(map(_one_way, items)) and (len(varying) <= 1 or _apart(items))
    return True


def _turns_tell(body: Node) -> bool:
    """Whether a loop over `body` can cut a text into turns in one way only.

    Turns of one width can be; so can turns that begin or end with a character nothing else in them can be, as the
    hyphen of `(-[a-z]+)*` and the letter of `(-*[a-z])*`; and choices between such turns that share no character.
    """
    if _width(body):
        return _one_way(body)
    match body:
        case Mark():
            return True
        case Group(_, inner):
            return _turns_tell(inner)
        case Choice(branches):
            return all(map(_turns_tell, branches)) and _apart(branches)
        case Sequence(items) if len(items) > 1:
            ends = ((items[0], Sequence(items[1:])), (items[-1], Sequence(items[:-1])))
            return any(isinstance(mark, One) and _one_way(rest) and _apart((mark, rest)) for mark, rest in ends)
    return False


def may_explode(node: Node) -> bool:
    """Whether `re` might try exponentially many ways: a loop over a body that reads the same text in several."""
    return any(not _turns_tell(loop.body) for loop in _loops(node))


def matcher(text: str) -> Matcher:
    """The full-match test of a pattern as AWS writes it. Raises Untranslatable."""
    node = parsed(text)
    explosive, walks = may_explode(node), walkable(node)
    if explosive and not walks:
        raise Untranslatable("may backtrack without end, and looks around or back")
    if explosive:
        return Automaton(node).fullmatch
    try:
        fast = re.compile(spelled(node), re.ASCII).fullmatch
    except (re.error, OverflowError) as error:
        raise Untranslatable(str(error)) from error
    if not walks or sum(loop.most is None for loop in _loops(node)) <= open_repeats_max:
        return fast
    walk_it = Automaton(node).fullmatch
    return lambda value: fast(value) if len(value) <= backtrack_chars_max else walk_it(value)
