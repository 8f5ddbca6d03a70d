"""AWS Query: the operation and its input as a form, the output as XML (sts, sns, and older clients of sqs).

`wire` picks it for a call and asks its three verbs: read, write, fail.
"""

from collections.abc import Mapping
from typing import Any

from tocsin.doors.wire.errors import QUERY_CODES, SQS_CODES, MalformedInput, spelling
from tocsin.doors.wire.form import Forms, tree_of
from tocsin.doors.wire.frames import Request, Response
from tocsin.doors.wire.model import Service
from tocsin.doors.wire.queue_names import addressed
from tocsin.doors.wire.xml import Writers, escaped
from tocsin.model.errors import AwsError

# Of an error that belongs to no service known.
NAMESPACE = "http://webservices.amazon.com/AWSFault/2005-15-09"


class QueryProtocol:
    """Reads forms and writes XML, with the shapes of each service compiled once."""

    def __init__(self) -> None:
        self._forms: dict[str, Forms] = {}
        self._writers: dict[str, Writers] = {}

    def read(self, service: Service, operation: str, request: Request) -> dict[str, Any]:
        """The input's members. Raises MalformedInput."""
        shape = service.operations[operation].get("input")
        if shape is None:
            return {}
        forms = self._forms.setdefault(service.name, Forms(service))
        try:
            members: dict[str, Any] = forms.of(shape["shape"])(tree_of(request))
        except RecursionError as error:
            raise MalformedInput("The parameters are nested too deeply") from error
        return addressed(members, request.path) if service.name == "sqs" else members

    def write(self, service: Service, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer of a call that went well. Raises TypeError where the result is not of the output shape."""
        shape = service.operations[operation].get("output")
        out = [f'<{operation}Response xmlns="{service.namespace}">']
        if shape is not None:
            writers = self._writers.setdefault(service.name, Writers(service))
            writers.of(shape)(result, shape.get("resultWrapper", f"{operation}Result"), out)
        elif result:
            raise TypeError(f"{operation} has no output, yet its result has {', '.join(result)}")
        out.append(f"<ResponseMetadata><RequestId>{escaped(request_id)}</RequestId></ResponseMetadata>")
        out.append(f"</{operation}Response>")
        return _xml(200, out, request_id)

    def fail(self, service: Service | None, request: Request, error: AwsError, request_id: str) -> Response:
        """The answer of a call that failed; without a service where it could not even be told which."""
        said = spelling(service, error)
        code = QUERY_CODES.get(said.code, said.code)
        if service is not None and service.query_compatible:
            code = SQS_CODES.get(code, code)
        out = [
            f'<ErrorResponse xmlns="{service.namespace if service else NAMESPACE}"><Error>',
            f"<Type>{'Sender' if said.sender else 'Receiver'}</Type>",
            f"<Code>{escaped(code)}</Code><Message>{escaped(error.message)}</Message>",
            *(f"<{name}>{escaped(str(value))}</{name}>" for name, value in error.fields.items()),
            f"</Error><RequestId>{escaped(request_id)}</RequestId></ErrorResponse>",
        ]
        return _xml(said.status, out, request_id)


def _xml(status: int, parts: list[str], request_id: str) -> Response:
    headers = (("content-type", "text/xml"), ("x-amzn-RequestId", request_id))
    return Response(status, headers, "".join(parts).encode("utf-8"))
