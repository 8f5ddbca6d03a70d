"""How a pattern is refused: AWS's sentence, and the place in the text it was noticed at.

The scanner and the readers raise Refused; `parse` turns it into the InvalidEventPattern a client sees.
"""

from typing import Final

snippet_chars_max: Final = 500
"""The parser behind AWS's messages quotes this much of the text, then says how much it left out."""


class Refused(Exception):
    """A pattern, or a part of it, that is not valid. `str()` is AWS's reason, with its location if it has one."""


def located(reason: str, text: str, position: int) -> Refused:
    """The refusal noticed when `position` characters of `text` were read."""
    return Refused(f"{reason}\n at {location(text, position)}")


def location(text: str, position: int) -> str:
    """`[Source: (String)"…"; line: L, column: C]`, columns in UTF-16 units from 1, as the JVM counts them."""
    before = text[:position].replace("\r\n", "\n").replace("\r", "\n")
    line = before.count("\n") + 1
    column = utf16_length(before[before.rfind("\n") + 1 :]) + 1
    return f"[Source: (String){_snippet(text)}; line: {line}, column: {column}]"


def utf16_length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _snippet(text: str) -> str:
    shown = "".join(
        character if character in "\r\n" or not _is_control(character) else f"\\u{ord(character):04X}"
        for character in text[:snippet_chars_max]
    )
    left_out = len(text) - snippet_chars_max
    return f'"{shown}"' + (f"[truncated {left_out} chars]" if left_out > 0 else "")


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F


def named(character: str) -> str:
    """A character as the messages show it: `'3' (code 51)`. Of one beyond 16 bits, AWS's parser sees the first half."""
    code = ord(character)
    if code > 0xFFFF:
        character, code = "?", 0xD7C0 + (code >> 10)
    if _is_control(character):
        return f"(CTRL-CHAR, code {code})"
    return f"'{character}' (code {code})" if code <= 255 else f"'{character}' (code {code} / 0x{code:x})"
