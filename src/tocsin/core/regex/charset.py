"""Character classes of Java's regular expressions as items of a Python class: escapes, ranges, properties.

The pattern parser calls it for what stands between brackets; Unicode's properties are collected on first use.
"""

import functools
import re
import unicodedata
from itertools import groupby


class Untranslatable(ValueError):
    """A construct of Java's that has no safe spelling here: the pattern is skipped and listed."""


# Assigned letters, marks, numbers, separators, symbols and punctuation all lie in these blocks (Unicode 17).
BLOCKS = (range(0x34000), range(0xE0000, 0xE0200))

CONTROLS = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C, "a": 0x07, "e": 0x1B}

# Java's POSIX names cover ASCII only (java.util.regex.Pattern).
POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": "\\x00-\\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": "!-/:-@\\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1f\\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": " \\t\\n\\x0b\\f\\r",
}

HEX = {"x": 2, "u": 4}


def spell(code: int) -> str:
    """One character, safe in and out of a Python class."""
    char = chr(code)
    if char.isascii() and (char.isalnum() or char == "_"):
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@functools.cache
def _runs() -> list[tuple[str, str]]:
    """All runs of characters of one category, as (category, items of a class). One pass, some 20 ms, once."""
    found = []
    for block in BLOCKS:
        at = block.start
        for category, run in groupby(map(unicodedata.category, map(chr, block))):
            last = at + len(list(run)) - 1
            found.append((category, spell(at) if at == last else f"{spell(at)}-{spell(last)}"))
            at = last + 1
    return found


@functools.cache
def _category(name: str) -> str:
    found = "".join(items for category, items in _runs() if category.startswith(name))
    if not found or len(name) > 2:
        raise Untranslatable(f"unknown property {name!r}")
    return found


def _property(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == "{":
        end = text.find("}", at)
        name, after = text[at + 1 : end], end + 1
    else:
        name, after = text[at : at + 1], at + 1
    name = name.removeprefix("Is")
    if after == 0 or not name:
        raise Untranslatable("a property without a name")
    return POSIX.get(name) or _category(name), after


def code_point(text: str, at: int) -> tuple[int, int] | None:
    r"""The character written \xHH, \uHHHH (surrogate pairs joined), \0oo, \t ...: its code and where it ends."""
    letter = text[at]
    if letter in HEX:
        end = at + 1 + HEX[letter]
        digits = text[at + 1 : end]
        if not re.fullmatch(r"[0-9A-Fa-f]+", digits) or len(digits) < HEX[letter]:
            raise Untranslatable(f"\\{letter} without its digits")
        code = int(digits, 16)
        low = re.match(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})", text[end:])
        if 0xD800 <= code < 0xDC00 and low:
            return 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00), end + 6
        return code, end
    if letter in CONTROLS:
        return CONTROLS[letter], at + 1
    if letter == "0" and (octal := re.match(r"[0-7]{1,3}", text[at + 1 :])):
        return int(octal[0], 8), at + 1 + octal.end()
    return None if letter.isalnum() else (ord(letter), at + 1)


def class_escape(text: str, at: int, *, inside: bool) -> tuple[str, int] | None:
    r"""\d, \w, \s, \p{L} and their negations: the Python spelling and where it ends, None for other escapes."""
    letter = text[at]
    if letter in "dDwWsS":
        return f"\\{letter}", at + 1
    if letter == "p":
        items, after = _property(text, at + 1)
        return (items if inside else f"[{items}]"), after
    if letter == "P" and not inside:
        items, after = _property(text, at + 1)
        return f"[^{items}]", after
    return None


def bracket(text: str, at: int) -> tuple[str, int]:
    """The class that opens before `at` (just past its bracket): the whole class for Python, and where it ends."""
    negated = text.startswith("^", at)
    at += negated
    items: list[str] = []
    first: int | None = None  # the single character a following hyphen would make a range of
    while at < len(text) and text[at] != "]":
        if text[at] == "[" or text.startswith("&&", at):
            raise Untranslatable("unions and intersections of classes")
        if text[at] == "-" and first is not None and text[at + 1 : at + 2] not in ("]", ""):
            last, after = _item(text, at + 1)
            if not isinstance(last, int):
                items.append(spell(ord("-")) + last)  # [a-\w]: the hyphen is one
            elif last < first:
                raise Untranslatable("a range that runs backwards")
            else:
                items[-1] = f"{spell(first)}-{spell(last)}"
            first, at = None, after
            continue
        item, at = _item(text, at)
        items.append(spell(item) if isinstance(item, int) else item)
        first = item if isinstance(item, int) else None
    if at >= len(text) or not items:
        raise Untranslatable("a class that is empty or never closes")
    return f"[{'^' if negated else ''}{''.join(items)}]", at + 1


def _item(text: str, at: int) -> tuple[int | str, int]:
    if text[at] != "\\":
        return ord(text[at]), at + 1
    if at + 1 >= len(text):
        raise Untranslatable("a lone backslash at the end")
    found = class_escape(text, at + 1, inside=True) or code_point(text, at + 1)
    if found is None:
        raise Untranslatable(f"\\{text[at + 1]} in a class")
    return found
