"""A REST handler's result to an answer: members into the status, the headers and the body, as the model has them.

The REST protocol calls it. As in render, what the model does not name is our own mistake and raises TypeError.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tocsin.doors.wire.frames import Response
from tocsin.doors.wire.model import Resolved, Service, Shape
from tocsin.doors.wire.render import Renderer, Renderers, structure_renderer, text, unknown_member
from tocsin.doors.wire.times import WRITERS

Headers = tuple[tuple[str, str], ...]
# (result, the status of success, headers that go out in any case) -> answer
Answering = Callable[[Mapping[str, Any], int, Headers], Response]

NO_CONTENT = 204


class Results:
    """The compiled answers of one service, by operation."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._renderers = Renderers(service)
        self._compiled: dict[str, Answering] = {}

    def of(self, operation: str) -> Answering:
        if operation not in self._compiled:
            shape = self._service.operations[operation].get("output")
            self._compiled[operation] = self._answering(shape["shape"] if shape else None, operation)
        return self._compiled[operation]

    def _answering(self, name: str | None, operation: str) -> Answering:
        shape: Shape = self._service.shapes[name] if name else {"members": {}}
        members: dict[str, dict[str, Any]] = shape["members"]
        outside = {name for name, said in members.items() if "location" in said}
        body = self._body({name: said for name, said in members.items() if name not in outside}, shape.get("payload"))
        headers = {name: self._header(name, members[name]) for name in outside if _in_header(members[name])}
        status_of = next((name for name in outside if members[name]["location"] == "statusCode"), None)

        def answer(result: Mapping[str, Any], status: int, always: Headers) -> Response:
            for name in result:
                if name not in members:
                    raise unknown_member(name, operation)
            told = {name: value for name, value in result.items() if value is not None}
            said = [pair for name, header in headers.items() if name in told for pair in header(told[name])]
            status = int(told.get(status_of, status)) if status_of else status
            kind, content = body({name: value for name, value in told.items() if name not in outside}, status)
            typed = any(header.lower() == "content-type" for header, _ in said)
            return Response(status, (*(() if typed else kind), *always, *said), content)

        return answer

    def _header(self, name: str, reference: dict[str, Any]) -> Callable[[Any], list[tuple[str, str]]]:
        resolved = Resolved(self._service, reference)
        wire_name = reference.get("locationName", name)
        if reference["location"] == "headers":
            return lambda value: [(f"{wire_name}{key}", text(item)) for key, item in value.items()]
        if resolved.shape["type"] == "timestamp":
            write: Renderer = WRITERS[resolved.trait("timestampFormat") or "rfc822"]
        else:
            write = self._renderers.of(reference)
        return lambda value: [(wire_name, _plain(write(value)))]

    def _body(
        self, members: dict[str, dict[str, Any]], payload: str | None
    ) -> Callable[[dict[str, Any], int], tuple[Headers, bytes]]:
        if payload is None:
            fields = {
                name: (said.get("locationName", name), self._renderers.of(said)) for name, said in members.items()
            }
            render = structure_renderer(fields, "output")
            return lambda told, status: _json(render(told) if told or status != NO_CONTENT else None)
        kind = self._service.shapes[members[payload]["shape"]]["type"]
        match kind:
            case "blob":
                return lambda told, _status: (BYTES, told.get(payload, b""))
            case "string":
                return lambda told, _status: (TEXT, told.get(payload, "").encode())
        whole = self._renderers.of(members[payload])
        return lambda told, _status: _json(whole(told[payload]) if payload in told else None)


BYTES: Headers = (("content-type", "application/octet-stream"),)
TEXT: Headers = (("content-type", "text/plain"),)
JSON: Headers = (("content-type", "application/json"),)


def _json(value: Any) -> tuple[Headers, bytes]:
    return ((), b"") if value is None else (JSON, orjson.dumps(value))


def _in_header(reference: dict[str, Any]) -> bool:
    return reference["location"] in ("header", "headers")


def _plain(value: Any) -> str:
    """A rendered scalar as it stands in a header."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
