"""What a field's value can be asked: one record per operator, each with its own test.

The readers make them from a pattern's text, matcher and explanation ask them. A value is a leaf of an event: a
string, a number, a boolean or null; `Exists(False)` alone asks for no value, and is the matcher's business.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from .addresses import Address, Block, parse_address
from .casing import ignoring_case
from .numbers import ExactNumber, comparable, exact_integer_max, number_text
from .wildcards import wildcard

Test = Callable[[Any], bool]
Text = Callable[[str], bool]
Operator = Literal["prefix", "suffix", "equals-ignore-case", "wildcard"]


class Condition(msgspec.Struct, frozen=True):
    """One entry of a field's list."""

    def test(self) -> Test:
        """A function that says whether a value meets the condition."""
        raise AssertionError(f"{type(self).__name__} does not say")

    def shown(self) -> Any:
        """The condition as it stands in a pattern, as JSON."""
        raise AssertionError(f"{type(self).__name__} does not say")

    def __str__(self) -> str:
        return json.dumps(self.shown(), ensure_ascii=False)


class Exact(Condition, frozen=True):
    """Equal text, code point by code point. `stated` if written as {"exactly": …}."""

    text: str
    stated: bool = False

    def test(self) -> Test:
        text = self.text
        return lambda value: type(value) is str and value == text

    def shown(self) -> Any:
        return {"exactly": self.text} if self.stated else self.text


class SameAddress(Condition, frozen=True):
    """A plain text that is an IP address literal: it stands for the address, however that is spelled."""

    text: str
    address: Address

    def test(self) -> Test:
        text, address = self.text, self.address
        return lambda value: type(value) is str and (value == text or parse_address(value) == address)

    def shown(self) -> Any:
        return self.text


class Cidr(Condition, frozen=True):
    """A string that is an address of the block's own family and lies in it."""

    text: str
    block: Block

    def test(self) -> Test:
        block = self.block
        return lambda value: type(value) is str and parse_address(value) in block

    def shown(self) -> Any:
        return {"cidr": self.text}


class Word(Condition, frozen=True):
    """true, false or null, and only that."""

    word: Literal["true", "false", "null"]

    def test(self) -> Test:
        wanted = {"true": True, "false": False, "null": None}[self.word]
        return lambda value: value is wanted

    def shown(self) -> Any:
        return {"true": True, "false": False, "null": None}[self.word]


class Number(Condition, frozen=True):
    """The same number; one that no double says exactly is the same only if its text is."""

    text: str
    value: float | None

    def test(self) -> Test:
        wanted, text = self.value, self.text
        if wanted is None:
            return lambda value: _is_number(value) and comparable(value) is None and number_text(value) == text
        return lambda value: _is_number(value) and comparable(value) == wanted

    def shown(self) -> Any:
        return json.loads(self.text) if self.value is not None else self.text

    def __str__(self) -> str:
        return self.text


class Numeric(Condition, frozen=True):
    """A number between bounds; None is no bound. `terms` is the list as written."""

    terms: tuple[str | float, ...]
    low: float | None = None
    low_open: bool = False
    high: float | None = None
    high_open: bool = False

    def test(self) -> Test:
        low, high = self.low, self.high
        above: Callable[[float], bool] = lambda number: True  # noqa: E731
        below: Callable[[float], bool] = lambda number: True  # noqa: E731
        if low is not None:
            above = low.__lt__ if self.low_open else low.__le__
        if high is not None:
            below = high.__gt__ if self.high_open else high.__ge__

        def test(value: Any) -> bool:
            number = comparable(value) if _is_number(value) else None
            return number is not None and above(number) and below(number)

        return test

    def shown(self) -> Any:
        return {"numeric": [term if isinstance(term, str) else _plain(term) for term in self.terms]}


class Affix(Condition, frozen=True):
    """A string that starts (prefix) or ends (suffix) with a text, with or without regard to case."""

    kind: Literal["prefix", "suffix"]
    text: str
    ignore_case: bool = False

    def test(self) -> Test:
        return _of_strings(affix(self.kind, self.text, self.ignore_case))

    def shown(self) -> Any:
        return {self.kind: {"equals-ignore-case": self.text} if self.ignore_case else self.text}


class IgnoreCase(Condition, frozen=True):
    """A string equal to a text when case does not count."""

    text: str

    def test(self) -> Test:
        return _of_strings(ignoring_case(self.text, "whole"))

    def shown(self) -> Any:
        return {"equals-ignore-case": self.text}


class Wildcard(Condition, frozen=True):
    """A string that a text with stars describes."""

    text: str

    def test(self) -> Test:
        return _of_strings(wildcard(self.text))

    def shown(self) -> Any:
        return {"wildcard": self.text}


class Exists(Condition, frozen=True):
    """Some leaf is there, or none. Whether none is there is not asked of a value: see `fields.py`."""

    present: bool

    def test(self) -> Test:
        present = self.present
        return lambda value: present

    def shown(self) -> Any:
        return {"exists": self.present}


class AnythingBut(Condition, frozen=True):
    """A leaf, of any kind, that is none of these texts (`operator` None) or that the operator finds in none."""

    texts: tuple[str, ...]
    operator: Operator | None = None
    listed: bool = False

    def test(self) -> Test:
        if self.operator is None:
            excluded = frozenset(self.texts)
            return lambda value: type(value) is not str or value not in excluded
        tests = [_text_test(self.operator, text) for text in self.texts]
        return lambda value: type(value) is not str or not any(test(value) for test in tests)

    def shown(self) -> Any:
        texts = list(self.texts) if self.listed else self.texts[0]
        return {"anything-but": texts if self.operator is None else {self.operator: texts}}


class AnythingButNumbers(Condition, frozen=True):
    """A leaf, of any kind, that is none of these numbers."""

    numbers: tuple[float, ...]
    listed: bool = False

    def test(self) -> Test:
        excluded = frozenset(self.numbers)
        return lambda value: not _is_number(value) or comparable(value) not in excluded

    def shown(self) -> Any:
        numbers = [_plain(number) for number in self.numbers]
        return {"anything-but": numbers if self.listed else numbers[0]}


NUMBER_CONDITIONS = (Number, Numeric, AnythingButNumbers)
"""Those to whom the text of an event's number can matter."""


def affix(kind: Literal["prefix", "suffix"], text: str, ignore_case: bool) -> Text:
    if ignore_case:
        return ignoring_case(text, "start" if kind == "prefix" else "end")
    return (lambda value: value.startswith(text)) if kind == "prefix" else (lambda value: value.endswith(text))


def _text_test(operator: Operator, text: str) -> Text:
    if operator == "prefix" or operator == "suffix":
        return affix(operator, text, ignore_case=False)
    return wildcard(text) if operator == "wildcard" else ignoring_case(text, "whole")


def _of_strings(test: Text) -> Test:
    return lambda value: type(value) is str and test(value)


def _is_number(value: Any) -> bool:
    kind = type(value)
    return kind is int or kind is float or kind is ExactNumber


def _plain(number: float) -> int | float:
    """A number as people write it: 3, not 3.0."""
    return int(number) if number.is_integer() and abs(number) <= exact_integer_max else number
