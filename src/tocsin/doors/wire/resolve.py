"""Which service and operation a request calls: by X-Amz-Target, by Action, or by method and path.

The signature's service name says where to look for the latter two. `wire` asks the Directory; it reads the headers
and, for Query, the names in the form, nothing else of the body.
"""

from collections.abc import Iterable

from tocsin.doors.wire.errors import InvalidAction, MissingAction, UnknownPath
from tocsin.doors.wire.form import action_of
from tocsin.doors.wire.frames import Call, Request
from tocsin.doors.wire.model import Service
from tocsin.doors.wire.paths import paths_of
from tocsin.model.errors import AwsError, NotImplementedYet, UnknownOperation

REST = "rest-json"
# What a message quotes of a header or parameter.
quote_chars_max = 128


def looks_like_query(request: Request) -> bool:
    """A form, or a GET with an Action: answered in XML even when nothing else of it is understood."""
    if "x-amz-target" in request.headers:
        return False
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        return True
    return "Action=" in request.query


class Directory:
    """The services served, by name, by target prefix and by signing name."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = {service.name: service for service in services}
        served = self.services.values()
        self._by_target = {service.target_prefix: service for service in served if service.target_prefix}
        self._by_signature = {service.signing_name: service for service in served}
        self._resolved: dict[str, Call] = {}

    def serves(self, signing_name: str) -> bool:
        return signing_name in self._by_signature

    def resolve(self, request: Request, signing_name: str | None) -> Call:
        """See Wire.resolve."""
        target = request.headers.get("x-amz-target")
        if target is not None:
            return self._resolved.get(target) or self._by_header(target)
        signed_for = self._by_signature.get(signing_name or "")
        if signed_for is not None and signed_for.protocol == REST:
            return self._by_path(signed_for, request)
        if looks_like_query(request):
            return self._by_action(request, signing_name)
        found = self._by_any_path(request) if signing_name is None else None
        if found is not None:
            return found
        raise self._not_recognised(request, signing_name)

    def _by_header(self, target: str) -> Call:
        prefix, dot, operation = target.rpartition(".")
        shown = target[:quote_chars_max]
        if not dot or not prefix or not operation:
            raise UnknownOperation(f"X-Amz-Target is not <service>.<operation>: {shown!r}")
        service = self._by_target.get(prefix)
        if service is None:
            raise NotImplementedYet(f"The service that X-Amz-Target {shown!r} names is not served here.")
        if operation not in service.operations:
            raise UnknownOperation(f"{service.name} has no operation {operation[:quote_chars_max]!r}.")
        call = Call(service.name, operation, "json")
        self._resolved[target] = call  # bounded: only operations of the models get here
        return call

    def _by_action(self, request: Request, signing_name: str | None) -> Call:
        action, version = action_of(request)
        if not action:
            raise MissingAction("The request must contain the parameter Action.")
        for service in self._candidates(signing_name):
            same_version = version is None or version == service.metadata["apiVersion"]
            if same_version and action in service.operations:
                return Call(service.name, action, "query")
        if signing_name is not None and signing_name not in self._by_signature:
            raise NotImplementedYet(f"The service {signing_name[:quote_chars_max]!r} is not served here.")
        shown, of_version = action[:quote_chars_max], (version or "none")[:quote_chars_max]
        raise InvalidAction(f"Could not find operation {shown} for version {of_version}")

    def _by_path(self, service: Service, request: Request) -> Call:
        operation = paths_of(service).find(request)
        if operation is None:
            shown = f"{request.method} {request.path}"[:quote_chars_max]
            raise UnknownPath(f"{service.name} has no operation at {shown}.")
        return Call(service.name, operation, REST)

    def _by_any_path(self, request: Request) -> Call | None:
        """An unsigned request: the first REST service that has an operation there."""
        for service in self.services.values():
            if service.protocol == REST and (operation := paths_of(service).find(request)):
                return Call(service.name, operation, REST)
        return None

    def _candidates(self, signing_name: str | None) -> list[Service]:
        """The Query services to look in: the signature's own first, else all of them."""
        signed_for = self._by_signature.get(signing_name or "")
        found = [signed_for] if signed_for else list(self.services.values())
        return [service for service in found if service.protocol == "query" or service.query_compatible]

    def _not_recognised(self, request: Request, signing_name: str | None) -> AwsError:
        if "rpc-v2-cbor" in request.headers.get("smithy-protocol", ""):
            return NotImplementedYet("The protocol rpc-v2-cbor is not spoken here: choose JSON or Query.")
        service = self._by_signature.get(signing_name or "")
        if service is not None and service.protocol not in ("json", "query", REST):
            return NotImplementedYet(f"{service.name} speaks {service.protocol}, which is not spoken here.")
        if signing_name is not None and service is None:
            return NotImplementedYet(f"The service {signing_name[:quote_chars_max]!r} is not served here.")
        return UnknownOperation("The request names no operation: neither X-Amz-Target nor Action is there.")
