"""Where a REST operation's members stand: in the path, the query, the headers, or the body.

The REST protocol asks for an operation's bindings once and reads requests with them. Only text outside the body is
read here; what stands in the body is parse's affair, and the constraints are validate's.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tocsin.doors.wire.errors import MalformedInput
from tocsin.doors.wire.form import SCALARS
from tocsin.doors.wire.model import Resolved, Service
from tocsin.model.errors import Serialization

# An item of a list in a header: quoted where it holds commas (RFC 9110, 5.6.4), else up to the next comma.
HEADER_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]+))')
ESCAPED = re.compile(r"\\(.)")


class Outside(msgspec.Struct, frozen=True):
    """What a request says beside its body. Header names are lower-case."""

    labels: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


Locator = Callable[[Outside], Any]
Scalar = Callable[[str], Any]


class Bindings:
    """An input structure taken apart: `outside` finds what stands beside the body, `body` is what stands in it."""

    def __init__(self, service: Service, shape_name: str) -> None:
        shape = service.shapes[shape_name]
        self.payload: str | None = shape.get("payload")
        located = {name: said for name, said in shape["members"].items() if "location" in said}
        self.body = {name: said for name, said in shape["members"].items() if name not in located}
        asked = frozenset(
            said.get("locationName", name) for name, said in located.items() if said["location"] == "querystring"
        )
        # Outside a body, an empty list and none at all look the same: the first is meant where one is required.
        self._empty: dict[str, Any] = {
            name: []
            for name, said in located.items()
            if service.shapes[said["shape"]]["type"] == "list" and name in shape.get("required", ())
        }
        self._locators = {
            name: _locator(Resolved(service, said), said.get("locationName", name), service, asked)
            for name, said in located.items()
        }

    def outside(self, found: Outside) -> dict[str, Any]:
        """The members beside the body. Raises Serialization."""
        try:
            read = {name: locate(found) for name, locate in self._locators.items()}
        except MalformedInput as error:
            raise Serialization(error.message) from error
        return self._empty | {name: value for name, value in read.items() if value is not None}


def _locator(resolved: Resolved, name: str, service: Service, asked: frozenset[str]) -> Locator:
    """`asked` are the query parameters that have a member of their own: a map takes the others."""
    kind = resolved.shape["type"]
    match resolved.traits["location"], kind:
        case "uri", _:
            return lambda found: _one(SCALARS[kind], found.labels.get(name))
        case "headers", _:
            return lambda found: _prefixed(name.lower(), found.headers)
        case "header", "list":
            item = SCALARS[_item_kind(service, resolved, "member")]
            return lambda found: _listed(item, found.headers.get(name.lower()))
        case "header", _:
            return lambda found: _one(SCALARS[kind], found.headers.get(name.lower()))
        case "querystring", "list":
            item = SCALARS[_item_kind(service, resolved, "member")]
            return lambda found: [item(text) for text in found.query[name]] if name in found.query else None
        case "querystring", "map":
            lists = _item_kind(service, resolved, "value") == "list"
            return lambda found: _others(found.query, asked, lists=lists)
        case "querystring", _:
            return lambda found: _one(SCALARS[kind], found.query.get(name, [None])[-1])
    raise NotImplementedError(f"{resolved.name} is bound to {resolved.traits['location']}, which is not read here")


def _item_kind(service: Service, resolved: Resolved, part: str) -> str:
    return str(service.shapes[resolved.shape[part]["shape"]]["type"])


def _one(read: Scalar, text: str | None) -> Any:
    return None if text is None else read(text)


def _listed(read: Scalar, text: str | None) -> Any:
    if text is None:
        return None
    items = [(quoted, plain) for quoted, plain in HEADER_ITEM.findall(text) if quoted or plain.strip()]
    return [read(ESCAPED.sub(r"\1", quoted) if quoted else plain.strip()) for quoted, plain in items]


def _prefixed(prefix: str, headers: Mapping[str, str]) -> dict[str, str] | None:
    return {name[len(prefix) :]: text for name, text in headers.items() if name.startswith(prefix)} or None


def _others(query: Mapping[str, list[str]], asked: frozenset[str], *, lists: bool) -> dict[str, Any] | None:
    return {name: texts if lists else texts[-1] for name, texts in query.items() if name not in asked} or None
