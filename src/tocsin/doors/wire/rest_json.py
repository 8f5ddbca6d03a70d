"""REST-JSON: the operation in method and path, the input spread over path, query, headers and a JSON body (chatbot).

`wire` picks it for a call and asks its three verbs: read, write, fail.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from tocsin.doors.wire.bindings import Bindings, Outside
from tocsin.doors.wire.errors import spelling
from tocsin.doors.wire.form import fields_max
from tocsin.doors.wire.frames import Request, Response
from tocsin.doors.wire.model import Service, Shape
from tocsin.doors.wire.parse import Parser, Parsers
from tocsin.doors.wire.paths import paths_of
from tocsin.doors.wire.results import Results
from tocsin.model.errors import AwsError, Serialization

CONTENT_TYPE = ("content-type", "application/json")

# body -> members
Body = Callable[[bytes], dict[str, Any]]


class RestJsonProtocol:
    """Reads and writes REST-JSON, with the shapes of each service compiled once."""

    def __init__(self) -> None:
        self._parsers: dict[str, Parsers] = {}
        self._results: dict[str, Results] = {}
        self._reads: dict[tuple[str, str], tuple[Bindings, Body] | None] = {}

    def read(self, service: Service, operation: str, request: Request) -> dict[str, Any]:
        """The input's members. Raises Serialization."""
        key = (service.name, operation)
        if key not in self._reads:
            self._reads[key] = self._reader(service, operation)
        reader = self._reads[key]
        if reader is None:
            return {}
        bindings, body = reader
        labels = paths_of(service).labels(operation, request.path)
        return bindings.outside(Outside(labels, _query(request.query), request.headers)) | body(request.body)

    def write(self, service: Service, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer of a call that went well. Raises TypeError where the result is not of the output shape."""
        status = int(service.operations[operation]["http"].get("responseCode", 200))
        results = self._results.setdefault(service.name, Results(service))
        return results.of(operation)(result, status, (("x-amzn-RequestId", request_id),))

    def fail(self, service: Service | None, request: Request, error: AwsError, request_id: str) -> Response:
        """The answer of a call that failed; without a service where it could not even be told which."""
        said = spelling(service, error)
        fields = {said.message_name: error.message, **error.fields}
        headers = (CONTENT_TYPE, ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", said.code))
        return Response(said.status, headers, orjson.dumps(fields, default=str))

    def _reader(self, service: Service, operation: str) -> tuple[Bindings, Body] | None:
        shape = service.operations[operation].get("input")
        if shape is None:
            return None
        bindings = Bindings(service, shape["shape"])
        parsers = self._parsers.setdefault(service.name, Parsers(service))
        if bindings.payload is None:
            return bindings, _members(parsers.structure(bindings.body))
        payload = service.shapes[bindings.body[bindings.payload]["shape"]]
        return bindings, _payload(bindings.payload, payload, parsers.of(bindings.body[bindings.payload]["shape"]))


def _query(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=fields_max, errors="strict")
    except ValueError as error:
        raise Serialization(f"The query string cannot be read: {error}") from error


def _members(parse: Parser) -> Body:
    """The body is one object with the members that stand nowhere else."""

    def members(body: bytes) -> dict[str, Any]:
        return _parsed(parse, body) if body else {}

    return members


def _payload(member: str, shape: Shape, parse: Parser) -> Body:
    """The body is one member, whole: bytes, text or JSON. An empty body is an absent member."""

    def whole(body: bytes) -> Any:
        match shape["type"]:
            case "blob":
                return body
            case "string":
                return _text(body)
        return _parsed(parse, body)

    return lambda body: {member: whole(body)} if body else {}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Serialization(f"The request body is not UTF-8: {error}") from error


def _parsed(parse: Parser, body: bytes) -> Any:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Serialization(f"The request body is not valid JSON: {error}") from error
    try:
        return parse(found)
    except RecursionError as error:
        raise Serialization("The request body is nested too deeply") from error
