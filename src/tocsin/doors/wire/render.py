"""A handler's result to JSON values, along the output shape: one closure per shape, compiled on first use.

The JSON protocol calls it and dumps what it returns. A member the model does not name, or a value of the wrong
type, is our own mistake and raises TypeError, so that no handler leaks what AWS would not say.
"""

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.doors.wire.model import Resolved, Service, Shape
from tocsin.doors.wire.times import WRITERS

Renderer = Callable[[Any], Any]


def text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise TypeError(f"a result holds {value!r:.80} where the model wants a string")


def boolean(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise TypeError(f"a result holds {value!r:.80} where the model wants a boolean")


def integer(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"a result holds {value!r:.80} where the model wants an integer")


def number(value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"a result holds {value!r:.80} where the model wants a number")
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def blob(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a result holds {value!r:.80} where the model wants bytes")


def unknown_member(name: object, shape: str) -> TypeError:
    return TypeError(f"a result has a member {name!r} that the model's {shape} does not name")


SCALARS: dict[str, Renderer] = {
    "string": text,
    "character": text,
    "boolean": boolean,
    "integer": integer,
    "long": integer,
    "float": number,
    "double": number,
    "blob": blob,
}


class Renderers:
    """The compiled renderers of one service, by shape name. Recursive shapes find themselves on first use."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiled: dict[str, Renderer] = {}

    def of(self, reference: Mapping[str, Any]) -> Renderer:
        """The renderer of what a member refers to, with the member's own timestamp format."""
        resolved = Resolved(self._service, dict(reference))
        kind = resolved.shape["type"]
        if kind == "timestamp":
            return WRITERS[resolved.trait("timestampFormat") or "unixTimestamp"]
        return SCALARS.get(kind) or self._container(resolved.name, resolved.shape)

    def _container(self, name: str, shape: Shape) -> Renderer:
        if name not in self._compiled:
            self._compiled[name] = lambda value: self._compiled[name](value)  # stands in while it is compiled
            self._compiled[name] = self._compile(name, shape)
        return self._compiled[name]

    def _compile(self, name: str, shape: Shape) -> Renderer:
        if shape.get("document"):
            return lambda value: value
        match shape["type"]:
            case "list":
                return list_renderer(self.of(shape["member"]), name)
            case "map":
                return map_renderer(self.of(shape["value"]), name)
        fields = {
            member: (reference.get("locationName", member), self.of(reference))
            for member, reference in shape["members"].items()
        }
        return structure_renderer(fields, name)


def structure_renderer(fields: dict[str, tuple[str, Renderer]], shape: str) -> Renderer:
    def structure(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"a result holds {value!r:.80} where the model wants the structure {shape}")
        out = {}
        for member, item in value.items():
            if member not in fields:
                raise unknown_member(member, shape)
            if item is not None:
                name, render = fields[member]
                out[name] = render(item)
        return out

    return structure


def list_renderer(render: Renderer, shape: str) -> Renderer:
    def items(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise TypeError(f"a result holds {value!r:.80} where the model wants the list {shape}")
        return [render(item) for item in value]

    return items


def map_renderer(render: Renderer, shape: str) -> Renderer:
    def entries(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"a result holds {value!r:.80} where the model wants the map {shape}")
        return {text(key): render(item) for key, item in value.items() if item is not None}

    return entries
