"""A pattern walked as an automaton: time grows with the text, never with the ways to match it.

The pattern compiler takes it where `re` could backtrack without end: nested repetitions that can read the same
text in many ways, and long texts under several open repetitions.
"""

import functools

from tocsin.core.regex.charset import Untranslatable
from tocsin.core.regex.syntax import Choice, Group, Mark, Node, One, Repeat, Sequence, walk

# Counted repetitions are unrolled: {0,1024} of a group of three makes some 5,000 states.
states_max = 20_000
# Remembered steps of one pattern: a step is a set of states and a character.
steps_max = 10_000

States = frozenset[int]


class Automaton:
    """Thompson's construction; sets of states are walked, and the steps taken are remembered."""

    def __init__(self, node: Node) -> None:
        self._free: list[list[tuple[str, int]]] = []  # per state: (condition, next) taken without reading
        self._reads: list[tuple[One, int] | None] = []  # per state: what it reads, and where that leads
        start = self._state()
        self._final = self._add(node, start)
        self._start = start
        self._steps: dict[tuple[States, str], States] = {}

    def fullmatch(self, text: str) -> bool:
        states = self._closure(frozenset({self._start}), first=True, rest=text[:2])
        for at, char in enumerate(text):
            states = self._step(states, char, text[at + 1 : at + 3])
            if not states:
                return False
        return self._final in states

    def _step(self, states: States, char: str, rest: str) -> States:
        # What follows matters to `$` only within the last two characters.
        key = (states, char)
        if len(rest) == 2 and key in self._steps:
            return self._steps[key]
        arrived = {read[1] for s in states if (read := self._reads[s]) and read[0].matches(char)}
        found = self._closure(frozenset(arrived), first=False, rest=rest)
        if len(rest) == 2 and len(self._steps) < steps_max:
            self._steps[key] = found
        return found

    def _closure(self, states: States, *, first: bool, rest: str) -> States:
        seen, todo = set(states), list(states)
        while todo:
            for condition, target in self._free[todo.pop()]:
                if target not in seen and _holds(condition, first=first, rest=rest):
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)

    def _state(self) -> int:
        if len(self._free) >= states_max:
            raise Untranslatable("a repetition too large to unroll")
        self._free.append([])
        self._reads.append(None)
        return len(self._free) - 1

    def _add(self, node: Node, start: int) -> int:
        """Build `node` from `start` on; the state in which it has matched."""
        match node:
            case One():
                end = self._state()
                self._reads[start] = (node, end)
                return end
            case Mark(source):
                return self._link(start, self._state(), source)
            case Sequence(items):
                return functools.reduce(lambda at, item: self._add(item, at), items, start)
            case Choice(branches):
                end = self._state()
                for branch in branches:
                    self._link(self._add(branch, self._link(start, self._state())), end)
                return end
            case Group(_, body):
                return self._add(body, start)
            case Repeat():
                return self._repeat(node, start)

    def _repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.least):
            start = self._add(node.body, start)
        if node.most is None:
            again = self._link(start, self._state())
            self._link(self._add(node.body, self._link(again, self._state())), again)
            return self._link(again, self._state())
        end = self._link(start, self._state())
        for _ in range(node.most - node.least):
            start = self._add(node.body, self._link(start, self._state()))
            self._link(start, end)
        return end

    def _link(self, start: int, end: int, condition: str = "") -> int:
        self._free[start].append((condition, end))
        return end


def _holds(condition: str, *, first: bool, rest: str) -> bool:
    match condition:
        case "":
            return True
        case r"\A":
            return first
        case r"\Z":
            return not rest
    return rest in ("", "\n")  # $


WALKABLE = {r"\A", r"\Z", r"(?=\n?\Z)"}


def walkable(node: Node) -> bool:
    """Whether the automaton can stand in for `re`: no look-around, back reference, word edge or possessive."""
    for part in walk(node):
        match part:
            case Mark(source) if source not in WALKABLE:
                return False
            case Group(opening) if opening not in ("(", "(?:"):
                return False
            case Repeat(mode="+"):
                return False
            case _:
                pass
    return True
