"""The error tree. Each error a client can see carries its AWS code and HTTP status, and says what to do next.

Doors render an AwsError as its protocol wants it; everything else that escapes a handler is an InternalFailure.
"""

from typing import ClassVar


class TocsinError(Exception):
    """Anything that goes wrong on purpose."""


class Stale(TocsinError):
    """A record changed, appeared or vanished between the read and the commit: read again, decide again."""


class StoreUnavailable(TocsinError):
    """The store cannot commit now (disk full, file gone, shutting down). Nothing of the batch was kept."""


class Locked(TocsinError):
    """Another server holds this data directory."""


class AwsError(TocsinError):
    """An error answer on the AWS wire.

    `code` is the wire code (`__type`, `<Code>`), `status` the HTTP status, `fields` further members of the error shape.
    """

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 400

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class InternalFailure(AwsError):
    code, status = "InternalFailure", 500


class NotImplementedYet(AwsError):
    """An operation that exists on AWS and not here. 501, so that no retry loop hides it."""

    code, status = "NotImplemented", 501


class UnknownOperation(AwsError):
    code, status = "UnknownOperationException", 400


class Serialization(AwsError):
    """`path` leads to the value, the outermost member first. AWS's own answers do not tell it."""

    code = "SerializationException"
    path: tuple[str | int, ...] = ()


class Validation(AwsError):
    code = "ValidationException"


class Throttling(AwsError):
    code = "ThrottlingException"


class ServiceUnavailable(AwsError):
    code, status = "ServiceUnavailableException", 503


class RequestTooLarge(AwsError):
    code, status = "RequestEntityTooLargeException", 413


class MissingAuthentication(AwsError):
    code, status = "MissingAuthenticationTokenException", 403


class IncompleteSignature(AwsError):
    code, status = "IncompleteSignatureException", 400


class InvalidSignature(AwsError):
    code, status = "InvalidSignatureException", 403


class UnrecognizedClient(AwsError):
    code, status = "UnrecognizedClientException", 403


class AccessDenied(AwsError):
    code, status = "AccessDeniedException", 403


class InvalidEventPattern(AwsError):
    code = "InvalidEventPatternException"


class InvalidParameter(AwsError):
    code = "InvalidParameterException"


class InvalidRequest(AwsError):
    code = "InvalidRequestException"


class LimitExceeded(AwsError):
    code = "LimitExceededException"


class ConcurrentModification(AwsError):
    code = "ConcurrentModificationException"


class PolicyLengthExceeded(AwsError):
    code = "PolicyLengthExceededException"


class IllegalStatus(AwsError):
    code = "IllegalStatusException"


class ResourceAlreadyExists(AwsError):
    code = "ResourceAlreadyExistsException"


class ResourceNotFoundException(AwsError):
    """The spelling of events, logs and most services."""

    code = "ResourceNotFoundException"


class ResourceNotFound(AwsError):
    """SageMaker's spelling."""

    code = "ResourceNotFound"


class ResourceInUse(AwsError):
    code = "ResourceInUse"


class ResourceLimitExceeded(AwsError):
    code = "ResourceLimitExceeded"


class Conflict(AwsError):
    code = "ConflictException"


class OperationAborted(AwsError):
    """The spelling of CloudWatch Logs for a lost race."""

    code = "OperationAbortedException"


class TooManyTags(AwsError):
    code = "TooManyTagsException"
