"""A handler's result to XML, along the output shape: one closure per shape, compiled on first use.

The Query protocol calls it. As in render, what the model does not name is our own mistake and raises TypeError.
"""

import re
from collections.abc import Callable
from typing import Any

from tocsin.doors.wire.model import Resolved, Service, Shape
from tocsin.doors.wire.render import SCALARS, unknown_member
from tocsin.doors.wire.times import WRITERS

# (value, the element's name, the text so far) -> nothing
Writer = Callable[[Any, str, list[str]], None]

# XML 1.0 has no spelling for these; a parser would refuse the whole answer.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def escaped(text: str) -> str:
    """Text as it may stand in an element; what XML cannot say becomes U+FFFD."""
    safe = FORBIDDEN.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("\r", "&#xD;")


class Writers:
    """The compiled writers of one service's shapes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiled: dict[str, Writer] = {}

    def of(self, reference: dict[str, Any]) -> Writer:
        """The writer of what a member refers to. Recursive shapes find themselves on first use."""
        resolved = Resolved(self._service, reference)
        match resolved.shape["type"]:
            case "structure" | "list" | "map":
                return self._container(resolved)
            case "timestamp":
                return scalar_writer(WRITERS[resolved.trait("timestampFormat") or "iso8601"])
        return scalar_writer(SCALARS[resolved.shape["type"]])

    def _container(self, resolved: Resolved) -> Writer:
        name = resolved.name
        if name not in self._compiled:
            self._compiled[name] = lambda value, tag, out: self._compiled[name](value, tag, out)
            match resolved.shape["type"]:
                case "structure":
                    self._compiled[name] = self._structure(name, resolved.shape)
                case "list":
                    self._compiled[name] = self._list(resolved.shape)
                case "map":
                    self._compiled[name] = self._map(resolved.shape)
        return self._compiled[name]

    def _structure(self, shape_name: str, shape: Shape) -> Writer:
        members = {
            member: (reference.get("queryName", reference.get("locationName", member)), self.of(reference))
            for member, reference in shape["members"].items()
        }

        def structure(value: Any, tag: str, out: list[str]) -> None:
            if not isinstance(value, dict):
                raise TypeError(f"a result holds {value!r:.80} where the model wants the structure {shape_name}")
            out.append(f"<{tag}>")
            for member, item in value.items():
                if member not in members:
                    raise unknown_member(member, shape_name)
                if item is not None:
                    name, write = members[member]
                    write(item, name, out)
            out.append(f"</{tag}>")

        return structure

    def _list(self, shape: Shape) -> Writer:
        write, item_name = self.of(shape["member"]), shape["member"].get("locationName")

        def items(value: Any, tag: str, out: list[str]) -> None:
            if not isinstance(value, list | tuple):
                raise TypeError(f"a result holds {value!r:.80} where the model wants a list")
            if shape.get("flattened"):
                for item in value:
                    write(item, item_name or tag, out)
                return
            out.append(f"<{tag}>")
            for item in value:
                write(item, item_name or "member", out)
            out.append(f"</{tag}>")

        return items

    def _map(self, shape: Shape) -> Writer:
        write_key, write = self.of(shape["key"]), self.of(shape["value"])
        key_name, value_name = (shape[part].get("locationName", part) for part in ("key", "value"))
        flattened = bool(shape.get("flattened"))

        def entries(value: Any, tag: str, out: list[str]) -> None:
            if not isinstance(value, dict):
                raise TypeError(f"a result holds {value!r:.80} where the model wants a map")
            entry = tag if flattened else "entry"
            out.append("" if flattened else f"<{tag}>")
            for key, item in value.items():
                out.append(f"<{entry}>")
                write_key(key, key_name, out)
                write(item, value_name, out)
                out.append(f"</{entry}>")
            out.append("" if flattened else f"</{tag}>")

        return entries


def scalar_writer(render: Callable[[Any], Any]) -> Writer:
    def scalar(value: Any, tag: str, out: list[str]) -> None:
        rendered = render(value)
        text = ("true" if rendered else "false") if isinstance(rendered, bool) else str(rendered)
        out.append(f"<{tag}>{escaped(text)}</{tag}>")

    return scalar
