"""JSON text as a stream of tokens, with the positions and the complaints of the parser AWS uses.

The readers pull one token at a time and ask for a string's text only when they need it: where an error is noticed,
and so its column, depends on how far the text was read. Knows JSON, nothing of patterns.

Source of the behaviour: messages recorded on AWS (facts/peers.md 3.1) and Jackson's published documentation.
"""

import re
from typing import Final, NoReturn

from .limits import nesting_levels_max
from .refusal import located, location, named

NAME: Final = "name"
STRING: Final = "string"
NUMBER: Final = "number"
END: Final = ""

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NO_NUMBER = re.compile(r"NaN|[-+]?Infinity|[-+]INF")  # numbers elsewhere, but not in JSON
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_KINDS = {"[": "Array", "{": "Object"}
_CLOSERS = {"[": "]", "{": "}"}
_WORDS = {"t": "true", "f": "false", "n": "null"}


class Scanner:
    """One pass over one text. `next()` steps, `text()` is the current token's own text."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.token: str = END
        self.name = ""
        self._text = ""
        self._unread = False  # the current token is a string of which only the opening quote was read
        self._ahead: str | None = None  # a name's value is looked at together with the name
        self._ahead_unread = False
        self._open: list[tuple[str, int]] = []
        self._fresh = True  # nothing was read yet in the innermost array or object

    def next(self) -> str:
        """Step to the next token and return its kind: a bracket, NAME, STRING, NUMBER, a word, or END."""
        if self._ahead is not None:
            token, self._ahead = self._ahead, None
            self._unread, self._ahead_unread = self._ahead_unread, False
            return self._entered(token, self.position - 1)
        if self._unread:
            self.text()
        character = self._after_space()
        if not character:
            return self._end()
        if character in "]}":
            return self._close(character)
        if self._open and not self._fresh:
            character = self._after_comma(character)
        self._fresh = False
        if self._open and self._open[-1][0] == "{":
            return self._read_name(character)
        token, self._unread = self._read_value(character)
        return self._entered(token, self.position - 1)

    def text(self) -> str:
        """The current token's text: a string's content, a number as it was written, else the token itself."""
        if self._unread:
            self._text = self._read_string(": was expecting closing quote for a string value", "string value")
            self._unread = False
        if self.token == NAME:
            return self.name
        return self._text if self.token in (STRING, NUMBER) else self.token

    def refuse(self, reason: str) -> NoReturn:
        raise located(reason, self.source, self.position)

    def _entered(self, token: str, start: int) -> str:
        self.token = token
        if token in _KINDS:
            if len(self._open) >= nesting_levels_max:
                self.refuse(
                    f"Document nesting depth ({nesting_levels_max + 1}) exceeds the maximum allowed"
                    f" ({nesting_levels_max})"
                )
            self._open.append((token, start))
            self._fresh = True
        return token

    def _after_space(self) -> str:
        self.position = _SPACE.match(self.source, self.position).end()  # type: ignore[union-attr]
        character = self.source[self.position : self.position + 1]
        if character and character < " ":
            self.position += 1
            self.refuse(
                f"Illegal character ({named(character)}): only regular white space (\\r, \\n, \\t) is allowed"
                " between tokens"
            )
        if character == "/":
            self._unexpected(
                character,
                "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not enabled"
                " for parser)",
            )
        return character

    def _end(self) -> str:
        if self._open:
            bracket, start = self._open[-1]
            self.refuse(
                f"Unexpected end-of-input: expected close marker for {_KINDS[bracket]} (start marker at"
                f" {location(self.source, start)})"
            )
        self.token = END
        return END

    def _close(self, character: str) -> str:
        self.position += 1
        if not self._open or _CLOSERS[self._open[-1][0]] != character:
            bracket, start = self._open[-1] if self._open else ("{", 0)
            self.refuse(
                f"Unexpected close marker '{character}': expected '{_CLOSERS[bracket]}' (for"
                f" {_KINDS[bracket] if self._open else 'root'} starting at {location(self.source, start)})"
            )
        self._open.pop()
        self._fresh = False
        self.token = character
        return character

    def _after_comma(self, character: str) -> str:
        kind = _KINDS[self._open[-1][0]]
        if character != ",":
            self._unexpected(character, f"was expecting comma to separate {kind} entries")
        self.position += 1
        following = self._after_space()
        if not following:
            self.refuse(f"Unexpected end-of-input within/between {kind} entries")
        return following

    def _read_name(self, character: str) -> str:
        if character != '"':
            self._unexpected(character, "was expecting double-quote to start field name")
        self.position += 1
        self.name = self._read_string(" in field name", "name")
        colon = self._after_space()
        if colon != ":":
            if not colon:
                self.refuse("Unexpected end-of-input within/between Object entries")
            self._unexpected(colon, "was expecting a colon to separate field name and value")
        self.position += 1
        following = self._after_space()
        if not following:
            self.refuse("Unexpected end-of-input within/between Object entries")
        self._ahead, self._ahead_unread = self._read_value(following)
        self.token = NAME
        return NAME

    def _read_value(self, character: str) -> tuple[str, bool]:
        """The kind of the value that starts here, and whether it is a string still to be read."""
        if character in '"[{':
            self.position += 1
            return (STRING, True) if character == '"' else (character, False)
        if character in _WORDS:
            return self._read_word(_WORDS[character]), False
        if character not in "-0123456789":
            self._odd(character)
        self._text = self._read_number()
        return NUMBER, False

    def _read_word(self, word: str) -> str:
        for length, expected in enumerate(word):
            if self.source[self.position + length : self.position + length + 1] != expected:
                self._unknown(word[:length], self.position + length)
        end = self.position + len(word)
        if _is_part(self.source[end : end + 1]):
            self._unknown(word, end)
        self.position = end
        return word

    def _read_number(self) -> str:
        start = self.position
        found = _NUMBER.match(self.source, start)
        if found is None:
            self._demand_number()
            self.position += 1
            follower = self.source[self.position : self.position + 1]
            self._bad_digit(
                follower,
                "expected digit (0-9) to follow minus sign, for valid numeric value",
                cut="No digit following sign",
            )
        end = self.position = found.end()
        follower = self.source[end : end + 1]
        if follower.isdecimal() and found[0] in ("0", "-0"):
            self.refuse("Invalid numeric value: Leading zeroes not allowed")
        if follower == "." and "." not in found[0] and "e" not in found[0].lower():
            self.position += 1
            self._bad_digit(self.source[end + 1 : end + 2] or ".", "Decimal point not followed by a digit")
        if follower in ("e", "E") and "e" not in found[0].lower():
            sign = self.source[end + 1 : end + 2] in ("+", "-")
            self.position += 1 + sign
            self._bad_digit(
                self.source[self.position : self.position + 1],
                "Exponent indicator not followed by a digit",
                cut="expected a digit for number exponent",
            )
        if not self._open and follower and follower not in " \t\r\n":
            self._unexpected(follower, "Expected space separating root-level values")
        return found[0]

    def _bad_digit(self, follower: str, comment: str, cut: str = "") -> NoReturn:
        """`cut` is said where the text ends; AWS's parser has no space before it."""
        if not follower:
            self.refuse(f"Unexpected end-of-input{cut}")
        self.refuse(f"Unexpected character ({named(follower)}) in numeric value: {comment}")

    def _read_string(self, cut: str, kind: str) -> str:
        """The rest of a string whose opening quote was read. `cut` says where the text ended, if it does."""
        parts: list[str] = []
        while True:
            plain = _PLAIN.match(self.source, self.position)
            assert plain is not None
            parts.append(plain[0])
            self.position = plain.end()
            character = self.source[self.position : self.position + 1]
            if not character:
                self.refuse(f"Unexpected end-of-input{cut}")
            self.position += 1
            if character == '"':
                return _paired("".join(parts))
            if character != "\\":
                self.refuse(
                    f"Illegal unquoted character ({named(character)}): has to be escaped using backslash to be"
                    f" included in {kind}"
                )
            parts.append(self._read_escape())

    def _read_escape(self) -> str:
        character = self.source[self.position : self.position + 1]
        if not character:
            self.refuse("Unexpected end-of-input in character escape sequence")
        if character in _ESCAPES:
            self.position += 1
            return _ESCAPES[character]
        if character != "u":
            self.refuse(f"Unrecognized character escape {named(character)}")
        self.position += 1
        digits = _HEX.match(self.source, self.position)
        if digits is None:
            while self.source[self.position : self.position + 1] in tuple("0123456789abcdefABCDEF"):
                self.position += 1
            wrong = self.source[self.position : self.position + 1]
            if not wrong:
                self.refuse("Unexpected end-of-input in character escape sequence")
            self._unexpected(wrong, "expected a hex-digit for character escape sequence")
        self.position += 4
        return chr(int(digits[0], 16))

    def _odd(self, character: str) -> NoReturn:
        if character == "}":
            self._unexpected(character, "expected a value")
        self._demand_number()
        if character == "+":
            self.position += 1
            self.refuse(
                "Unexpected character ('+' (code 43)) in numeric value: JSON spec does not allow numbers to have plus"
                " signs: enable `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow"
            )
        if character.isidentifier() or character == "$":
            self._unknown("", self.position)
        self._unexpected(character, f"expected a valid value {_VALUES}")

    def _demand_number(self) -> None:
        """Refuse what is a number elsewhere."""
        found = _NO_NUMBER.match(self.source, self.position)
        if found is None:
            return
        if _is_part(self.source[found.end() : found.end() + 1]):
            self._unknown(found[0], found.end())
        self.position = found.end()
        self.refuse(f"Non-standard token '{found[0]}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow")

    def _unexpected(self, character: str, comment: str) -> NoReturn:
        """The column of an unexpected character is its own, not the one after it."""
        raise located(f"Unexpected character ({named(character)}): {comment}", self.source, self.position)

    def _unknown(self, read: str, position: int) -> NoReturn:
        end = position
        while _is_part(self.source[end : end + 1]):
            end += 1
        self.position = end
        self.refuse(f"Unrecognized token '{read}{self.source[position:end]}': was expecting {_VALUES}")


def _is_part(character: str) -> bool:
    return bool(character) and (character == "$" or ("a" + character).isidentifier())


def _paired(text: str) -> str:
    """Escaped surrogates that stand side by side are one character."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
