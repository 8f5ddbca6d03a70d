"""JSON values to an operation's input: one closure per shape, compiled on first use.

json.loads comes before it, validate after it. It refuses what has the wrong JSON type (SerializationException, in
the words of AWS's parser); it knows no constraints and no HTTP.
"""

import base64
import binascii
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Never

from tocsin.doors.wire.model import Resolved, Service
from tocsin.doors.wire.times import from_epoch, from_text
from tocsin.model.errors import Serialization

Parser = Callable[[Any], Any]

BITS = {"integer": 31, "long": 63}
ARTICLES = {"Integer": "an", "String": "a", "Boolean": "a", "Long": "a", "Float": "a", "Double": "a"}


def refuse(value: object, wanted: str) -> Never:
    """Raise SerializationException for a value whose JSON type is not what the model wants."""
    if isinstance(value, list):
        raise Serialization("Start of list found where not expected")
    if isinstance(value, dict):
        raise Serialization("Start of structure or map found where not expected")
    if wanted == "List":
        raise Serialization("Expected list or null")
    if wanted in ("Structure", "Map"):
        raise Serialization("Unexpected field type")
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    else:
        token = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    raise Serialization(f"{token} can not be converted to {ARTICLES.get(wanted, 'a')} {wanted}")


def text(value: Any) -> str:
    if value.__class__ is str:
        return value
    refuse(value, "String")


def boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    refuse(value, "Boolean")


def integer_parser(kind: str) -> Parser:
    """Integers of 32 or 64 bits; 1.0 is one, true is none."""
    limit, wanted = 2 ** BITS[kind], kind.capitalize()

    def integer(value: Any) -> int:
        if value.__class__ is float and value.is_integer():
            value = int(value)
        if value.__class__ is not int:
            refuse(value, wanted)
        if not -limit <= value < limit:
            raise Serialization(f"{value} can not be converted to {ARTICLES[wanted]} {wanted}: out of range")
        return int(value)

    return integer


def number_parser(kind: str) -> Parser:
    wanted = kind.capitalize()

    def number(value: Any) -> float:
        if value.__class__ is not float and value.__class__ is not int:
            refuse(value, wanted)
        if not math.isfinite(value):
            raise Serialization(f"{value} can not be converted to a {wanted}: out of range")
        return float(value)

    return number


def timestamp(value: Any) -> datetime:
    try:
        if value.__class__ is int or value.__class__ is float:
            return from_epoch(value)
        if value.__class__ is str:
            return from_text(value)
    except ValueError as error:
        raise Serialization(f"{str(value)[:64]!r} can not be converted to a Timestamp") from error
    refuse(value, "Timestamp")


def blob(value: Any) -> bytes:
    if value.__class__ is not str:
        refuse(value, "Blob")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Serialization(f"Invalid Base64 in a blob: {error}") from error


def anything(value: Any) -> Any:
    return value


SCALARS: dict[str, Parser] = {
    "string": text,
    "character": text,
    "boolean": boolean,
    "integer": integer_parser("integer"),
    "long": integer_parser("long"),
    "float": number_parser("float"),
    "double": number_parser("double"),
    "timestamp": timestamp,
    "blob": blob,
}


class Parsers:
    """The compiled parsers of one service, by shape name. Recursive shapes find themselves on first use."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiled: dict[str, Parser] = {}

    def of(self, name: str) -> Parser:
        """The parser of a shape. Raises KeyError for a shape the model does not have."""
        shape = self._service.shapes[name]
        scalar = SCALARS.get(shape["type"])
        if scalar is not None:
            return scalar
        if name not in self._compiled:
            self._compiled[name] = lambda value: self._compiled[name](value)  # stands in while it is compiled
            self._compiled[name] = self._container(shape)
        return self._compiled[name]

    def _container(self, shape: dict[str, Any]) -> Parser:
        if shape.get("document"):
            return anything
        match shape["type"]:
            case "list":
                return list_parser(self.of(shape["member"]["shape"]))
            case "map":
                return map_parser(self.of(shape["value"]["shape"]))
            case _:
                return self.structure(shape["members"])

    def structure(self, members: dict[str, dict[str, Any]]) -> Parser:
        """The parser of a structure with these members, which may be a part of a shape's."""
        fields = {
            Resolved(self._service, member).traits.get("locationName", name): (
                name,
                self.of(member["shape"]),
            )
            for name, member in members.items()
        }
        return structure_parser(fields)


def structure_parser(fields: dict[str, tuple[str, Parser]]) -> Parser:
    find = fields.get

    def structure(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            refuse(value, "Structure")
        out = {}
        for name, item in value.items():
            if item is not None and (field := find(name)) is not None:
                try:
                    out[field[0]] = field[1](item)
                except Serialization as error:
                    error.path = (name, *error.path)
                    raise
        return out

    return structure


def list_parser(parse: Parser) -> Parser:
    def items(value: Any) -> list[Any]:
        if value.__class__ is not list:
            refuse(value, "List")
        out = []
        for at, item in enumerate(value):
            if item is not None:
                try:
                    out.append(parse(item))
                except Serialization as error:
                    error.path = (at, *error.path)
                    raise
        return out

    return items


def map_parser(parse: Parser) -> Parser:
    def entries(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            refuse(value, "Map")
        return {key: parse(item) for key, item in value.items() if item is not None}

    return entries
