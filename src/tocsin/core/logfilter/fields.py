"""Patterns for messages that are JSON objects: `{ $.user.id = 1 && ($.level = "error" || $.level = "fatal") }`.

A selector that points to nothing, or to no single value, makes its comparison false, `!=` included; only `IS NULL`
and `NOT EXISTS` see such places. AWS selects keys of letters, digits, - and _; bracketed keys
(`$.["details: "]`) are ours, because HyperPod's own health records have such names (facts/hyperpod.md §4.5).
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from tocsin.core.logfilter.scan import REGEX_MAX, invalid, invalid_term
from tocsin.core.logfilter.selector import Selector, parse_selector
from tocsin.core.logfilter.values import comparison, parse_value

# A pattern of 1,024 characters could nest a thousand deep; nobody writes more than a few.
NESTING_MAX = 50
# "three wildcard selectors in a metric filter pattern" (AWS, JSON filter patterns).
WILDCARD_SELECTORS_MAX = 3

Test = Callable[[Any], bool]

OPERATOR = re.compile(r"<=|>=|!=|=|<|>")
STATE = re.compile(r"IS\s+(TRUE|FALSE|NULL)\b", re.IGNORECASE)
ABSENT = re.compile(r"NOT\s+EXISTS\b", re.IGNORECASE)
STATES = {"TRUE": True, "FALSE": False, "NULL": None}


def parse_fields(inner: str) -> Callable[[str], bool]:
    """The judge of a pattern without its braces. Raises InvalidParameter."""
    reader = Reader(inner)
    test = reader.either(0)
    reader.expect_end()
    if reader.wildcards > WILDCARD_SELECTORS_MAX:
        raise invalid(f"at most {WILDCARD_SELECTORS_MAX} selectors with a wildcard in one pattern")
    if reader.regexes > REGEX_MAX:
        raise invalid(f"at most {REGEX_MAX} regular expressions in one pattern")

    def judge(message: str) -> bool:
        try:
            found = orjson.loads(message)
        except orjson.JSONDecodeError:
            return False
        return test(found)

    return judge


class Reader:
    """A recursive descent over the pattern: `||` binds weakest, `&&` next, brackets and comparisons strongest."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.wildcards = self.regexes = 0

    def either(self, depth: int) -> Test:
        if depth > NESTING_MAX:
            raise invalid(f"parentheses nest deeper than {NESTING_MAX}")
        choices = [self._both(depth)]
        while self._takes("||"):
            choices.append(self._both(depth))
        return choices[0] if len(choices) == 1 else lambda root: any(choice(root) for choice in choices)

    def expect_end(self) -> None:
        self._skip_spaces()
        if self._at < len(self._text):
            raise invalid_term(self._text[self._at])

    def _both(self, depth: int) -> Test:
        parts = [self._one(depth)]
        while self._takes("&&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda root: all(part(root) for part in parts)

    def _one(self, depth: int) -> Test:
        if self._takes("("):
            test = self.either(depth + 1)
            if not self._takes(")"):
                raise invalid("a parenthesis is not closed")
            return test
        return self._condition()

    def _condition(self) -> Test:
        self._skip_spaces()
        selector, self._at = parse_selector(self._text, self._at)
        self.wildcards += selector.wild
        self._skip_spaces()
        if state := STATE.match(self._text, self._at):
            self._at = state.end()
            return _is_state(selector, STATES[state[1].upper()])
        if absent := ABSENT.match(self._text, self._at):
            self._at = absent.end()
            return lambda root: not selector.values(root)
        operator = OPERATOR.match(self._text, self._at)
        if operator is None:
            raise invalid("after a selector comes an operator, IS TRUE, IS FALSE, IS NULL or NOT EXISTS")
        self._at = operator.end()
        self._skip_spaces()
        value, self._at = parse_value(self._text, self._at)
        self.regexes += value.regex is not None
        compares = comparison(operator[0], value)
        return lambda root: any(compares(found) for found in selector.values(root))

    def _takes(self, token: str) -> bool:
        self._skip_spaces()
        taken = self._text.startswith(token, self._at)
        self._at += len(token) if taken else 0
        return taken

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1


def _is_state(selector: Selector, wanted: bool | None) -> Test:
    return lambda root: any(found is wanted for found in selector.values(root))
