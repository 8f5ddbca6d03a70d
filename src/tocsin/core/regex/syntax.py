"""Java's regular expressions, parsed: AWS's models write them, Python must match them.

A pattern becomes a small tree; the tree spells itself for `re`, or walks as an automaton where `re` could
backtrack without end (see automaton). What has no safe spelling raises Untranslatable.
"""

import functools
import re
from collections.abc import Iterator

import msgspec

from tocsin.core.regex.charset import Untranslatable, bracket, class_escape, code_point, spell

# Java's dot knows five line ends, Python's one.
DOT = r"[^\n\r\x85\u2028\u2029]"

# `re` takes up to 2**32 - 2; AWS writes up to 100,000.
repeat_max = 1_000_000


class One(msgspec.Struct, frozen=True):
    """Exactly one character, of a set."""

    source: str

    def matches(self, char: str) -> bool:
        return compiled_set(self.source).fullmatch(char) is not None


class Mark(msgspec.Struct, frozen=True):
    """Something without width, or that the automaton cannot walk: ^, $, word edges, back references."""

    source: str


class Sequence(msgspec.Struct, frozen=True):
    items: tuple["Node", ...]


class Choice(msgspec.Struct, frozen=True):
    branches: tuple["Node", ...]


class Group(msgspec.Struct, frozen=True):
    """`opening` is '(', '(?:', or a look-around."""

    opening: str
    body: "Node"


class Repeat(msgspec.Struct, frozen=True):
    """`most` None is without end; `mode` is '', '?' (lazy) or '+' (possessive)."""

    body: "Node"
    least: int
    most: int | None
    mode: str


Node = One | Mark | Sequence | Choice | Group | Repeat


@functools.lru_cache(maxsize=1024)
def compiled_set(source: str) -> re.Pattern[str]:
    return re.compile(source, re.ASCII)


def spelled(node: Node) -> str:
    """The node as Python's `re` writes it (to be compiled with re.ASCII, as \\w is ASCII in Java)."""
    match node:
        case One(source) | Mark(source):
            return source
        case Sequence(items):
            return "".join(map(spelled, items))
        case Choice(branches):
            return "|".join(map(spelled, branches))
        case Group(opening, body):
            return f"{opening}{spelled(body)})"
        case Repeat(body, least, most, mode):
            inner = spelled(body) if isinstance(body, One | Group) else f"(?:{spelled(body)})"
            return f"{inner}{{{least},{'' if most is None else most}}}{mode}"


def walk(node: Node) -> Iterator[Node]:
    """The node and everything in it."""
    yield node
    match node:
        case Sequence(parts) | Choice(parts):
            for part in parts:
                yield from walk(part)
        case Group(_, body) | Repeat(body):
            yield from walk(body)
        case _:
            pass


class _Reader:
    """Recursive descent over one pattern's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self, size: int = 1) -> str:
        return self.text[self.at : self.at + size]

    def choice(self) -> Node:
        branches = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.peek() not in "|)":
            items.append(self.repeated(self.atom()))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, node: Node) -> Node:
        while bounds := re.compile(r"([*+?])|\{(\d+)(,?)(\d*)\}").match(self.text, self.at):
            self.at = bounds.end()
            sign, least, comma, most = bounds.groups()
            if sign:
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
            else:
                low, high = int(least), (int(most) if most else None) if comma else int(least)
            mode = self.peek() if self.peek() and self.peek() in "?+" else ""
            self.at += len(mode)
            if low > repeat_max or (high is not None and not low <= high <= repeat_max):
                raise Untranslatable("a repetition out of bounds")
            node = Repeat(node, low, high, mode)
        return node

    def atom(self) -> Node:
        char = self.peek()
        self.at += 1
        match char:
            case "(":
                return self.group()
            case "[":
                source, self.at = bracket(self.text, self.at)
                return One(source)
            case ".":
                return One(DOT)
            case "^":
                return Mark(r"\A")
            case "$":
                return Mark(r"(?=\n?\Z)")
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                raise Untranslatable("nothing to repeat")
        return One(spell(ord(char)))

    def group(self) -> Node:
        opening = re.compile(r"\?(?:[:=!]|<[=!])").match(self.text, self.at)
        if opening is None and self.peek() == "?":
            raise Untranslatable(f"(? {self.peek(3)}: named groups and flags")
        self.at = opening.end() if opening else self.at
        body = self.choice()
        if self.peek() != ")":
            raise Untranslatable("a group that never closes")
        self.at += 1
        return Group("(" + (opening[0] if opening else ""), body)

    def escape(self) -> Node:
        if self.at >= len(self.text):
            raise Untranslatable("a lone backslash at the end")
        if reference := re.compile(r"[1-9]\d?").match(self.text, self.at):
            self.at = reference.end()
            return Mark(f"(?:\\{reference[0]})")
        if (letter := self.peek()) in "bBAZz":
            self.at += 1
            return Mark({"Z": r"(?=\n?\Z)", "z": r"\Z"}.get(letter, f"\\{letter}"))
        if found := class_escape(self.text, self.at, inside=False):
            source, self.at = found
            return One(source)
        if point := code_point(self.text, self.at):
            code, self.at = point
            return One(spell(code))
        raise Untranslatable(f"\\{self.peek()}")


def parsed(text: str) -> Node:
    """The tree of a pattern. Raises Untranslatable."""
    reader = _Reader(text)
    node = reader.choice()
    if reader.at < len(text):
        raise Untranslatable("a group that never opened")
    return node
