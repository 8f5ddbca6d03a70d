"""Query's form: flat dotted names (`Tags.member.1.Key=a`) as a tree, read along the model's shapes.

The Query protocol calls it; validate comes after it. It refuses what does not read as the model's type.
"""

import base64
import binascii
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Never
from urllib.parse import parse_qsl

from tocsin.doors.wire.errors import MalformedInput
from tocsin.doors.wire.frames import Request
from tocsin.doors.wire.model import Resolved, Service
from tocsin.doors.wire.parse import BITS
from tocsin.doors.wire.times import from_text

# Form fields in one request; AWS's largest batches are some thousand.
fields_max = 10_000
# Dotted parts of one name; the deepest shapes of Query services have under twenty.
depth_max = 64
# Digits in a list's position: more than that is no position.
position_digits_max = 9


class Tree:
    """One node of the form: what stands at its own name, and what stands below it."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Tree] = {}

    def positions(self) -> list["Tree"]:
        """The numbered nodes below, in the order of their numbers."""
        numbered = [
            (int(name), node)
            for name, node in self.below.items()
            if name.isdecimal() and name.isascii() and len(name) <= position_digits_max
        ]
        return [node for _, node in sorted(numbered, key=lambda pair: pair[0])]


def pairs_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of the query string and of the form. Raises MalformedInput."""
    try:
        body = request.body.decode("utf-8")
        text = f"{request.query}&{body}" if request.query and body else request.query or body
        return parse_qsl(text, keep_blank_values=True, max_num_fields=fields_max, errors="strict")
    except ValueError as error:
        raise MalformedInput(f"The request is not a form: {error}") from error


def action_of(request: Request) -> tuple[str | None, str | None]:
    """Action and Version, where the request has them."""
    found = dict(pairs_of(request))
    return found.get("Action"), found.get("Version")


def tree_of(request: Request) -> Tree:
    """The parameters as a tree. Raises MalformedInput."""
    root = Tree()
    for name, text in pairs_of(request):
        parts = name.split(".")
        if len(parts) > depth_max:
            raise MalformedInput(f"A parameter's name has more than {depth_max} parts")
        node = root
        for part in parts:
            node = node.below.setdefault(part, Tree())
        node.text = text
    return root


Reader = Callable[[Tree], Any]


def refuse(text: str, wanted: str) -> Never:
    raise MalformedInput(f"{text[:64]!r} can not be converted to {wanted}")


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        refuse(text, "a Boolean")
    return text.lower() == "true"


def integer(text: str, kind: str) -> int:
    digits = text.strip().removeprefix("-").removeprefix("+")
    if not (digits.isdecimal() and digits.isascii() and len(digits) <= 20):  # 64 bits have 19 digits
        refuse(text, f"a number of type {kind}")
    limit, value = 2 ** BITS[kind], int(text)
    if not -limit <= value < limit:
        refuse(text, f"a number of type {kind}: out of range")
    return value


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        refuse(text, "a number")
    if not math.isfinite(value):
        refuse(text, "a number: out of range")
    return value


def timestamp(text: str) -> datetime:
    try:
        return from_text(text)
    except ValueError:
        refuse(text, "a Timestamp")


def blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse(text, "a Blob: it is not Base64")


SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "boolean": boolean,
    "integer": lambda text: integer(text, "integer"),
    "long": lambda text: integer(text, "long"),
    "float": number,
    "double": number,
    "timestamp": timestamp,
    "blob": blob,
}


class Forms:
    """The compiled readers of one service's shapes. None from a reader means: not there."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiled: dict[str, Reader] = {}

    def of(self, name: str) -> Reader:
        """The reader of a shape. Recursive shapes find themselves on first use."""
        if name not in self._compiled:
            self._compiled[name] = lambda tree: self._compiled[name](tree)  # stands in while it is compiled
            self._compiled[name] = self._compile(self._service.shapes[name])
        return self._compiled[name]

    def _compile(self, shape: dict[str, Any]) -> Reader:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
        scalar = SCALARS[shape["type"]]
        return lambda tree: None if tree.text is None else scalar(tree.text)

    def _structure(self, shape: dict[str, Any]) -> Reader:
        members = [
            (member, self._wire_name(member, reference), self.of(reference["shape"]))
            for member, reference in shape["members"].items()
        ]

        def structure(tree: Tree) -> dict[str, Any] | None:
            out = {}
            for member, name, read in members:
                below = tree.below.get(name)
                if below is not None and (value := read(below)) is not None:
                    out[member] = value
            return out

        return structure

    def _wire_name(self, member: str, reference: dict[str, Any]) -> str:
        """A flattened list is called by its items' name, everything else by its own."""
        if "queryName" in reference:
            return str(reference["queryName"])
        resolved = Resolved(self._service, reference)
        if resolved.trait("flattened") and resolved.shape["type"] == "list":
            return str(resolved.shape["member"].get("locationName") or reference.get("locationName", member))
        return str(reference.get("locationName", member))

    def _list(self, shape: dict[str, Any]) -> Reader:
        read, wrapper = self.of(shape["member"]["shape"]), shape["member"].get("locationName", "member")

        def items(tree: Tree) -> list[Any]:
            holder = tree if shape.get("flattened") else tree.below.get(wrapper)
            found = [read(node) for node in holder.positions()] if holder else []
            return [item for item in found if item is not None]

        return items

    def _map(self, shape: dict[str, Any]) -> Reader:
        read = self.of(shape["value"]["shape"])
        key_name, value_name = (shape[part].get("locationName", part) for part in ("key", "value"))

        def entries(tree: Tree) -> dict[str, Any]:
            holder = tree if shape.get("flattened") else tree.below.get("entry")
            out = {}
            for node in holder.positions() if holder else []:
                key, value = node.below.get(key_name), node.below.get(value_name)
                if key is not None and key.text is not None and value is not None:
                    out[key.text] = read(value)
            return out

        return entries
