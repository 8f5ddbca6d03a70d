"""An InputTemplate's text -> the pieces to join: literal text, and slots for values.

What a value looks like hangs on where its slot stands, so a slot knows whether it is inside quotes. A template whose
text begins with `{` is a JSON template: its blanks outside strings are dropped here, once.

Source of the behaviour: the user guide's page on input transformation, payloads recorded on AWS (docs/transform.md).
"""

import re
from typing import Final, TypeAlias

from msgspec import Struct

_SLOT: Final = re.compile(r"<([^<>\r\n]+)>")
_PIECE: Final = re.compile(r'<[^<>\r\n]+>|"|\\.|[ \t\r\n]+|[^<"\\ \t\r\n]+|.', re.DOTALL)
_BLANKS: Final = frozenset(" \t\r\n")


class Slot(Struct, frozen=True):
    """Where a value goes. `quoted`: inside a string of the template."""

    name: str
    quoted: bool


Piece: TypeAlias = bytes | Slot


class Template(Struct, frozen=True):
    """`is_json`: the template is a JSON object, and so must be what comes of it."""

    pieces: tuple[Piece, ...]
    is_json: bool


def slot_names(text: str) -> list[str]:
    """The names between angle brackets, in order; they cannot be escaped."""
    return _SLOT.findall(text)


def without_slots(text: str) -> str:
    """The template with a JSON value in place of every slot: what has to be well-formed."""
    return _SLOT.sub("null", text)


def is_json_template(text: str) -> bool:
    return text.lstrip(" \t\r\n").startswith("{")


def read_template(text: str) -> Template:
    """The pieces of a template's text. Knows nothing of which names exist."""
    is_json = is_json_template(text)
    pieces: list[Piece] = []
    literal: list[str] = []
    quoted = False
    for piece in _PIECE.findall(text):
        if len(piece) > 2 and piece[0] == "<" and piece[-1] == ">":
            pieces += [_encoded(literal), Slot(piece[1:-1], quoted)]
            literal = []
            continue
        if piece == '"':
            quoted = not quoted
        if not (is_json and not quoted and piece[0] in _BLANKS):
            literal.append(piece)
    return Template(tuple(piece for piece in [*pieces, _encoded(literal)] if piece != b""), is_json)


def _encoded(parts: list[str]) -> bytes:
    return "".join(parts).encode("utf-8", "replace")
