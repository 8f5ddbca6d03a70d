"""Reads one field's list: its plain values and its `{operator: …}` objects, in AWS's order of complaints.

`reader.py` calls `read_conditions` when a list begins. Each operator has one function; the table names them.
"""

from collections.abc import Callable
from typing import Final, Literal

from .addresses import parse_address, parse_block
from .conditions import (
    Affix,
    AnythingBut,
    AnythingButNumbers,
    Cidr,
    Condition,
    Exact,
    Exists,
    IgnoreCase,
    Number,
    Operator,
    SameAddress,
    Wildcard,
    Word,
)
from .numbers import parse_comparable
from .numeric import compared, read_numeric
from .refusal import Refused
from .scanner import NAME, NUMBER, STRING, Scanner
from .wildcards import elements

_ONLY_ONE_KEY: Final = "Only one key allowed in match expression"
_WORDS: Final = {"true": Word("true"), "false": Word("false"), "null": Word("null")}
_EXCLUDABLE: Final[dict[str, Operator]] = {
    "prefix": "prefix",
    "suffix": "suffix",
    "equals-ignore-case": "equals-ignore-case",
    "wildcard": "wildcard",
}
_TOO_MANY: Final = "Too many elements in numeric expression"  # AWS's words for anything-but too


def read_conditions(scanner: Scanner) -> tuple[Condition, ...]:
    """The conditions of the list whose bracket was just read. At least one."""
    conditions: list[Condition] = []
    while (kind := scanner.next()) != "]":
        if kind == "{":
            conditions.append(_read_operator(scanner))
        elif kind == STRING:
            text = scanner.text()
            address = parse_address(text)
            conditions.append(Exact(text) if address is None else SameAddress(text, address))
        elif kind == NUMBER:
            conditions.append(Number(scanner.text(), parse_comparable(scanner.text())))
        elif kind in _WORDS:
            conditions.append(_WORDS[kind])
        else:
            scanner.refuse("Match value must be String, number, true, false, or null")
    if not conditions:
        scanner.refuse("Empty arrays are not allowed")
    return tuple(conditions)


def _read_operator(scanner: Scanner) -> Condition:
    if scanner.next() != NAME:
        scanner.refuse("Match expression name not found")
    read = _OPERATORS.get(scanner.name)
    if read is None:
        scanner.refuse(f"Unrecognized match type {scanner.name}")
    return read(scanner)


def _read_text(scanner: Scanner, who: str) -> str:
    if scanner.next() != STRING:
        scanner.refuse(f"{who} match pattern must be a string")
    return scanner.text()


def _close(scanner: Scanner, complaint: str = _ONLY_ONE_KEY) -> None:
    if scanner.next() != "}":
        scanner.refuse(complaint)


def _exactly(scanner: Scanner) -> Condition:
    text = _read_text(scanner, "exact")
    _close(scanner)
    return Exact(text, stated=True)


def _prefix(scanner: Scanner) -> Condition:
    return _affix(scanner, "prefix", "Prefix")


def _suffix(scanner: Scanner) -> Condition:
    return _affix(scanner, "suffix", "Suffix")


def _affix(scanner: Scanner, side: Literal["prefix", "suffix"], title: str) -> Condition:
    kind = scanner.next()
    if kind == "{":
        if scanner.next() != NAME:
            scanner.refuse(f"{title} expression name not found")
        if scanner.name != "equals-ignore-case":
            scanner.refuse(f"Unsupported {side} pattern: {scanner.name}")
        text = _read_text(scanner, "equals-ignore-case")
        _close(scanner)
    elif kind == STRING:
        text = scanner.text()
    else:
        scanner.refuse(f"{side} match pattern must be a string")
    _close(scanner)
    return Affix(side, text, ignore_case=kind == "{")


def _equals_ignore_case(scanner: Scanner) -> Condition:
    text = _read_text(scanner, "equals-ignore-case")
    _close(scanner)
    return IgnoreCase(text)


def _wildcard(scanner: Scanner) -> Condition:
    text = _read_text(scanner, "wildcard")
    _check_wildcard(scanner, text)
    _close(scanner)
    return Wildcard(text)


def _check_wildcard(scanner: Scanner, text: str) -> None:
    try:
        elements(text)
    except Refused as refused:
        scanner.refuse(str(refused))


def _cidr(scanner: Scanner) -> Condition:
    text = _read_text(scanner, "prefix")  # sic: AWS names the prefix here
    block = parse_block(text)
    _close(scanner)
    return Cidr(text, block)


def _exists(scanner: Scanner) -> Condition:
    kind = scanner.next()
    if kind not in ("true", "false"):
        scanner.refuse("exists match pattern must be either true or false.")
    _close(scanner)
    return Exists(kind == "true")


def _numeric(scanner: Scanner) -> Condition:
    if scanner.next() != "[":
        scanner.refuse("Value of numeric must be an array.")
    condition = read_numeric(scanner)
    _close(scanner, _TOO_MANY)
    return condition


def _anything_but(scanner: Scanner) -> Condition:
    operator: Operator | None = None
    kind = scanner.next()
    if kind == "{":
        if scanner.next() != NAME:
            scanner.refuse("Anything-But expression name not found")
        operator = _EXCLUDABLE.get(scanner.name)
        if operator is None:
            scanner.refuse(f"Unsupported anything-but pattern: {scanner.name}")
        kind = scanner.next()
    if kind not in ("[", STRING, NUMBER):
        scanner.refuse("Value of anything-but must be an array or single string/number value.")
    if operator is None:
        condition = _values_list(scanner) if kind == "[" else _single_value(scanner, kind)
    else:
        texts = _texts_list(scanner, operator) if kind == "[" else (_excluded_text(scanner, kind, operator),)
        if operator == "wildcard":
            for text in texts:
                _check_wildcard(scanner, text)
        condition = AnythingBut(texts, operator, listed=kind == "[")
        _close(scanner, _TOO_MANY)
    _close(scanner, _TOO_MANY)
    return condition


def _single_value(scanner: Scanner, kind: str) -> Condition:
    if kind == STRING:
        return AnythingBut((scanner.text(),))
    return AnythingButNumbers((compared(scanner.text()),))  # its refusal has no location on AWS either


def _values_list(scanner: Scanner) -> Condition:
    texts: list[str] = []
    numbers: list[float] = []
    try:
        while (kind := scanner.next()) != "]":
            if kind == STRING:
                texts.append(scanner.text())
            elif kind == NUMBER:
                numbers.append(compared(scanner.text()))
            else:
                scanner.refuse("Inside anything but list, start|null|boolean is not supported.")
    except Refused as refused:
        # Inside a list AWS complains about the complaint: the location stands there twice.
        scanner.refuse(str(refused))
    if bool(texts) == bool(numbers):
        scanner.refuse("Inside anything but list, either all values are number or string, mixed type is not supported")
    if texts:
        return AnythingBut(tuple(texts), listed=True)
    return AnythingButNumbers(tuple(numbers), listed=True)


def _texts_list(scanner: Scanner, operator: str) -> tuple[str, ...]:
    texts: list[str] = []
    try:
        while (kind := scanner.next()) != "]":
            texts.append(_excluded_text(scanner, kind, operator))
    except Refused as refused:
        scanner.refuse(str(refused))
    if not texts:  # the reference library takes this and then fails on use; nobody can rely on it
        scanner.refuse("Empty arrays are not allowed")
    return tuple(texts)


def _excluded_text(scanner: Scanner, kind: str, operator: str) -> str:
    if kind != STRING:
        scanner.refuse(
            {
                "equals-ignore-case": "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not"
                " supported.",
                "wildcard": "wildcard match pattern must be a string",
            }.get(operator, "prefix/suffix match pattern must be a string")
        )
    text = scanner.text()
    if not text and operator in ("prefix", "suffix"):
        scanner.refuse("Null prefix/suffix not allowed")
    return text


_OPERATORS: Final[dict[str, Callable[[Scanner], Condition]]] = {
    "exactly": _exactly,
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
    "anything-but": _anything_but,
}
