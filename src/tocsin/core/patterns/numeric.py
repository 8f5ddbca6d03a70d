"""Reads the list of a `numeric` condition: one comparison, or a lower bound and an upper bound, in this order.

`operators.py` calls it when the list begins.
"""

from .conditions import Numeric
from .numbers import parse_comparable
from .refusal import Refused
from .scanner import NUMBER, STRING, Scanner


def compared(text: str) -> float:
    """A pattern's number that has to be compared with. Raises Refused if no double says it exactly."""
    value = parse_comparable(text)
    if value is None:
        raise Refused(f"Cannot compare number : {text}")
    return value


def read_numeric(scanner: Scanner) -> Numeric:
    if scanner.next() != STRING:
        scanner.refuse(f"Invalid member in numeric match: {scanner.text()}")
    operator = scanner.text()
    kind = scanner.next()
    if operator not in ("=", "<", "<=", ">", ">="):
        scanner.refuse(f"Unrecognized numeric range operator: {operator}")
    if kind != NUMBER:
        scanner.refuse(f"Value of {'equals' if operator == '=' else operator} must be numeric")
    text = scanner.text()
    kind = scanner.next()
    if kind == "]":
        return _compare(scanner, operator, text)
    if operator not in (">", ">="):
        scanner.refuse("Too many elements in numeric expression")
    return _between(scanner, operator, text)


def _compare(scanner: Scanner, operator: str, text: str) -> Numeric:
    value = _compared(scanner, text)
    terms = (operator, value)
    if operator == "=":
        return Numeric(terms, low=value, high=value)
    if operator in (">", ">="):
        return Numeric(terms, low=value, low_open=operator == ">")
    return Numeric(terms, high=value, high_open=operator == "<")


def _between(scanner: Scanner, bottom_operator: str, bottom_text: str) -> Numeric:
    if scanner.token != STRING:
        scanner.refuse(f"Bad value in numeric range: {scanner.text()}")
    operator = scanner.text()
    if operator not in ("<", "<="):
        scanner.refuse(f"Bad numeric range operator: {operator}")
    if scanner.next() != NUMBER:
        scanner.refuse(f"Value of {operator} must be numeric")
    top_text = scanner.text()
    if scanner.next() != "]":
        scanner.refuse("Too many terms in numeric range expression")
    low, high = _compared(scanner, bottom_text), _compared(scanner, top_text)
    if low >= high:
        scanner.refuse("Bottom must be less than top")
    return Numeric((bottom_operator, low, operator, high), low, bottom_operator == ">", high, operator == "<")


def _compared(scanner: Scanner, text: str) -> float:
    try:
        return compared(text)
    except Refused as refused:
        scanner.refuse(str(refused))
