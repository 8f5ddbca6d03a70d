"""AWS JSON 1.0 and 1.1: the operation in X-Amz-Target, the input and output as one JSON object.

`wire` picks it for a call and asks its three verbs: read, write, fail.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from tocsin.doors.wire.errors import SQS_CODES, Spelling, spelling
from tocsin.doors.wire.frames import Request, Response
from tocsin.doors.wire.model import Service
from tocsin.doors.wire.parse import Parser, Parsers
from tocsin.doors.wire.render import Renderer, Renderers
from tocsin.model.errors import AwsError, Serialization


class JsonProtocol:
    """Reads and writes AWS JSON, with the shapes of each service compiled once."""

    def __init__(self) -> None:
        self._parsers: dict[str, Parsers] = {}
        self._renderers: dict[str, Renderers] = {}
        self._reads: dict[tuple[str, str], Parser | None] = {}
        self._writes: dict[tuple[str, str], Renderer | None] = {}

    def read(self, service: Service, operation: str, request: Request) -> dict[str, Any]:
        """The input's members. Raises Serialization."""
        key = (service.name, operation)
        if key not in self._reads:
            self._reads[key] = self._parser(service, operation)
        parse, body = self._reads[key], request.body
        if parse is None or not body:
            return {}
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Serialization(f"The request body is not valid JSON: {error}") from error
        try:
            return parse(found)  # type: ignore[no-any-return]
        except RecursionError as error:
            raise Serialization("The request body is nested too deeply") from error

    def write(self, service: Service, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer of a call that went well. Raises TypeError where the result is not of the output shape."""
        key = (service.name, operation)
        if key not in self._writes:
            self._writes[key] = self._renderer(service, operation)
        render = self._writes[key]
        if render is None and result:
            raise TypeError(f"{operation} has no output, yet its result has {', '.join(result)}")
        body = b"" if render is None else orjson.dumps(render(result))
        headers = (("content-type", service.content_type), ("x-amzn-RequestId", request_id))
        return Response(200, headers, body)

    def fail(self, service: Service | None, request: Request, error: AwsError, request_id: str) -> Response:
        """The answer of a call that failed; without a service where it could not even be told which."""
        said = spelling(service, error)
        fields = {"__type": said.code, said.message_name: error.message, **error.fields}
        headers = [
            ("content-type", service.content_type if service else _content_type(request)),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", said.code),
        ]
        if service is not None and service.query_compatible:
            headers.append(("x-amzn-query-error", _query_error(said)))
        return Response(said.status, tuple(headers), orjson.dumps(fields, default=str))

    def _parser(self, service: Service, operation: str) -> Parser | None:
        shape = service.operations[operation].get("input")
        if shape is None:
            return None
        return self._parsers.setdefault(service.name, Parsers(service)).of(shape["shape"])

    def _renderer(self, service: Service, operation: str) -> Renderer | None:
        shape = service.operations[operation].get("output")
        if shape is None:
            return None
        return self._renderers.setdefault(service.name, Renderers(service)).of(shape)


def _query_error(said: Spelling) -> str:
    return f"{SQS_CODES.get(said.code, said.code)};{'Sender' if said.sender else 'Receiver'}"


def _content_type(request: Request) -> str:
    asked = request.headers.get("content-type", "")
    return "application/x-amz-json-1.0" if "json-1.0" in asked else "application/x-amz-json-1.1"
