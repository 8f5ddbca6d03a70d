"""The wire: which operation a request calls, its input parsed and validated, its result or error as an answer.

The front calls resolve, read, (a handler), write or fail, in this order. Protocols are a table of objects with the
same three verbs; nothing here does I/O but for botocore's data files, once each.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tocsin.doors.wire import aws_json, query, rest_json
from tocsin.doors.wire.errors import invalid
from tocsin.doors.wire.frames import Call, Request, Response
from tocsin.doors.wire.model import Service
from tocsin.doors.wire.resolve import Directory, looks_like_query
from tocsin.doors.wire.validate import Check, Validators, sentence
from tocsin.model.errors import AwsError, Serialization


class WireProtocol(Protocol):
    """What every protocol can do."""

    def read(self, service: Service, operation: str, request: Request) -> dict[str, Any]: ...

    def write(self, service: Service, operation: str, result: Mapping[str, Any], request_id: str) -> Response: ...

    def fail(self, service: Service | None, request: Request, error: AwsError, request_id: str) -> Response: ...


class Wire:
    """The services served, over the protocols spoken. `services` are botocore's folder names ('events', 'logs')."""

    def __init__(self, services: Iterable[str]) -> None:
        self._directory = Directory(Service(name) for name in services)
        self._protocols: dict[str, WireProtocol] = {
            "json": aws_json.JsonProtocol(),
            "query": query.QueryProtocol(),
            "rest-json": rest_json.RestJsonProtocol(),
            # "rpc-v2-cbor" takes its place here.
        }
        self._validators: dict[str, Validators] = {}
        self._checks: dict[tuple[str, str], Check | None] = {}

    def serves(self, signing_name: str) -> bool:
        """Whether any service here is signed for under this name."""
        return self._directory.serves(signing_name)

    def resolve(self, request: Request, signing_name: str | None) -> Call:
        """The operation a request calls; `signing_name` is the service its signature names, None when unsigned.

        Raises UnknownOperation, NotImplementedYet (a service that is not served, a protocol not spoken) or
        MissingAction.
        """
        return self._directory.resolve(request, signing_name)

    def read(self, call: Call, request: Request) -> dict[str, Any]:
        """The input by AWS's member names: timestamps as UTC datetimes, blobs as bytes, null members left out.

        Raises Serialization for what does not parse, and the service's own validation error (logs:
        InvalidParameterException) naming every violation at once.
        """
        service = self._directory.services[call.service]
        members = self._protocols[call.protocol].read(service, call.operation, request)
        key = (call.service, call.operation)
        if key not in self._checks:
            self._checks[key] = self._check(service, call.operation)
        check = self._checks[key]
        if check is not None:
            self._validate(check, call, members)
        return members

    def write(self, call: Call, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer to a call that went well. Raises TypeError for a member or type the model does not have."""
        service = self._directory.services[call.service]
        return self._protocols[call.protocol].write(service, call.operation, result, request_id)

    def fail(self, call: Call | None, request: Request, error: AwsError, request_id: str) -> Response:
        """The answer to a call that failed; `call` is None when resolve itself raised."""
        if call is not None:
            protocol, service = self._protocols[call.protocol], self._directory.services[call.service]
            return protocol.fail(service, request, error, request_id)
        name = "query" if looks_like_query(request) else "json"
        return self._protocols[name].fail(None, request, error, request_id)

    def _check(self, service: Service, operation: str) -> Check | None:
        shape = service.operations[operation].get("input")
        if shape is None:
            return None
        return self._validators.setdefault(service.name, Validators(service)).of(shape["shape"])

    def _validate(self, check: Check, call: Call, members: dict[str, Any]) -> None:
        violations: list[str] = []
        try:
            check(members, "", violations)
        except RecursionError as error:
            raise Serialization("The request body is nested too deeply") from error
        if violations:
            missing = any(said.startswith("Value null at ") for said in violations)
            raise invalid(call.service, sentence(violations), missing=missing)
