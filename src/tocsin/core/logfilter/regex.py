"""AWS's small regular expressions (`%...%`), matched in time that grows with the message and never explodes.

There are no groups, so an expression is a choice of plain chains of atoms. A chain without repetition goes to `re`;
any other is walked as a set of places in the chain, because `re` would need n**k steps for k open repetitions.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from tocsin.core.logfilter.scan import invalid, invalid_term

# Counted repetitions are unrolled; AWS allows patterns of 1,024 characters.
PLACES_MAX = 2_000
# Remembered sets of places. Most expressions have a dozen; a hostile one is forgotten and built anew.
ROWS_MAX = 2_000

SYMBOLS = ":_#=@/;,-"  # "Supported symbol characters"; no spaces: \s stands for them
OPERATORS = "^$?[]{}|\\*+."
CLASSES = {letter: rf"\{letter}" for letter in "dDsSwW"}  # ASCII

COUNT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
HEX = re.compile(r"x([0-9a-fA-F]{2})")


class Atom(Struct, frozen=True):
    """One character of a set (spelt for `re`), repeated `least` to `most` times; None is without end."""

    chars: str
    least: int
    most: int | None


class Chain(Struct, frozen=True):
    """Atoms in a row, anywhere in the message unless tied to its start or end."""

    atoms: tuple[Atom, ...]
    from_start: bool
    to_end: bool


def compile_regex(source: str) -> Callable[[str], bool]:
    """A judge of messages that hold a match. Raises InvalidParameter."""
    if not source:
        raise invalid("a regular expression is empty")
    chains = _parse(source)
    if all(atom.least == atom.most for chain in chains for atom in chain.atoms):
        straight = re.compile("|".join(map(_spell, chains)), re.ASCII | re.DOTALL)
        return lambda message: straight.search(message) is not None
    return Walk(chains).finds


def _spell(chain: Chain) -> str:
    body = "".join(f"{atom.chars}{{{atom.least}}}" for atom in chain.atoms)
    return ("\\A" if chain.from_start else "") + body + ("\\Z" if chain.to_end else "")


def _parse(source: str) -> list[Chain]:
    chains: list[Chain] = []
    atoms: list[Atom] = []
    at, places, from_start, to_end = 0, 0, False, False
    while at < len(source):
        char = source[at]
        if char == "|":
            chains.append(Chain(tuple(atoms), from_start, to_end))
            atoms, from_start, to_end = [], False, False
            at += 1
        elif to_end or (char == "^" and (atoms or from_start)):
            raise invalid("^ stands at the start and $ at the end of a regular expression")
        elif char == "^":
            from_start, at = True, at + 1
        elif char == "$":
            to_end, at = True, at + 1
        else:
            atom, at = _atom(source, at)
            atoms.append(atom)
            places += max(atom.least, atom.most or 0, 1)
        if places > PLACES_MAX:
            raise invalid("a regular expression repeats too much")
    chains.append(Chain(tuple(atoms), from_start, to_end))
    return chains


def _atom(source: str, at: int) -> tuple[Atom, int]:
    chars, at = _bracket(source, at) if source[at] == "[" else _single(source, at)
    if count := COUNT.match(source, at):
        least = int(count[1])
        most = (int(count[3]) if count[3] else None) if count[2] else least
        if most is not None and most < least:
            raise invalid("a repetition {m,n} needs m <= n")
        return Atom(chars, least, most), count.end()
    sign = source[at : at + 1]
    if sign in ("?", "*", "+") and sign:
        return Atom(chars, 1 if sign == "+" else 0, 1 if sign == "?" else None), at + 1
    return Atom(chars, 1, 1), at


def _single(source: str, at: int) -> tuple[str, int]:
    """One character or escape outside brackets, spelt for `re`."""
    char = source[at]
    if char == "\\":
        found, end = _escape(source, at + 1)
        return _spelt(found), end
    if char == ".":
        return ".", at + 1
    if char.isascii() and (char.isalnum() or char in SYMBOLS):
        return re.escape(char), at + 1
    raise invalid_term(char)


def _escape(source: str, at: int) -> tuple[str, int]:
    """What a backslash before `at` stands for: one character, or a class as `re` spells it (two characters)."""
    char = source[at : at + 1]
    if byte := HEX.match(source, at):
        return chr(int(byte[1], 16)), byte.end()
    if char in CLASSES:
        return CLASSES[char], at + 1
    if char and char.isascii() and not char.isalnum():
        return char, at + 1
    raise invalid_term("\\" + char)


def _spelt(member: str) -> str:
    return member if len(member) > 1 else re.escape(member)


def _bracket(source: str, at: int) -> tuple[str, int]:
    """A set in brackets, spelt for `re`. Inside, only `\\`, `]` and a leading `^` mean something, and `-` a range."""
    parts = ["[^" if source[at + 1 : at + 2] == "^" else "["]
    at += len(parts[0])
    while at < len(source) and source[at] != "]":
        low, at = _member(source, at)
        if source[at : at + 1] == "-" and source[at + 1 : at + 2] not in ("]", ""):
            high, at = _member(source, at + 1)
            if len(low) > 1 or len(high) > 1 or low > high:
                raise invalid("a range in brackets runs backwards")
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            parts.append(_spelt(low))
    if at >= len(source) or len(parts) == 1:
        raise invalid("a bracket is empty or not closed")
    return "".join(parts) + "]", at + 1


def _member(source: str, at: int) -> tuple[str, int]:
    if source[at] == "\\":
        return _escape(source, at + 1)
    if not source[at].isascii():
        raise invalid_term(source[at])
    return source[at], at + 1


class Row(dict[str, "Row"]):
    """Where each character leads from one set of places. Grows as messages ask."""

    __slots__ = ("_walk", "at_end", "found", "places")

    def __init__(self, walk: "Walk", places: int) -> None:
        super().__init__()
        self._walk, self.places = walk, places
        self.found = bool(places & walk.done)
        self.at_end = bool(places & walk.done_at_end)

    def __missing__(self, char: str) -> "Row":
        # Expressions know ASCII only, so all other characters lead the same way: a row stays small.
        if char > "\x80":
            return self["\x80"]
        following = self[char] = self._walk.step(self.places, char)
        return following


class Walk:
    """All places the chains can be in at once, as bits of an integer; moves are remembered in rows."""

    def __init__(self, chains: list[Chain]) -> None:
        self._tests: list[re.Pattern[str] | None] = []
        self._optional = self._repeating = self._floating = start = 0
        self.done = self.done_at_end = 0
        for chain in chains:
            first = len(self._tests)
            for atom in chain.atoms:
                self._unroll(atom)
            start |= 1 << first
            self._floating |= 0 if chain.from_start else 1 << first
            self.done |= 0 if chain.to_end else 1 << len(self._tests)
            self.done_at_end |= 1 << len(self._tests)
            self._tests.append(None)  # the place behind the last atom reads nothing
        self._reads: dict[str, int] = {}
        self._rows: dict[int, Row] = {}
        self._start = self._row(self._closed(start))

    def finds(self, message: str) -> bool:
        row = self._start
        if row.found:
            return True
        for char in message:
            row = row[char]
            if row.found:
                return True
        return row.at_end

    def step(self, places: int, char: str) -> Row:
        if (reading := self._reads.get(char)) is None:
            fitting = (1 << at for at, test in enumerate(self._tests) if test is not None and test.match(char))
            reading = self._reads[char] = sum(fitting)
        read = places & reading
        return self._row(self._closed((read << 1) | (read & self._repeating) | self._floating))

    def _unroll(self, atom: Atom) -> None:
        test = re.compile(atom.chars, re.ASCII | re.DOTALL)
        copies = max(atom.least, 1) if atom.most is None else atom.most
        for copy in range(copies):
            place = 1 << len(self._tests)
            self._tests.append(test)
            self._optional |= place if copy >= atom.least else 0
            self._repeating |= place if atom.most is None and copy == copies - 1 else 0

    def _closed(self, places: int) -> int:
        """With the places reached by skipping what may be left out."""
        while (further := places | ((places & self._optional) << 1)) != places:
            places = further
        return places

    def _row(self, places: int) -> Row:
        row = self._rows.get(places)
        if row is None:
            if len(self._rows) >= ROWS_MAX:
                self._forget()
            row = self._rows[places] = Row(self, places)
        return row

    def _forget(self) -> None:
        for row in self._rows.values():
            row.clear()
        self._rows.clear()
