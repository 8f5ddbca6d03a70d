"""The wire's own errors, and how each service spells an error: its code, its status, the name of its message.

The protocols ask here when they render a failure. Codes differ by service and by protocol for the same mistake;
the tables say how.
"""

from typing import Any

import msgspec

from tocsin.doors.wire.model import Service, Shape
from tocsin.model.errors import AwsError, InvalidParameter, Serialization, UnknownOperation, Validation


class MissingAction(AwsError):
    """A Query request that names no Action."""

    code = "MissingAction"


class UnknownPath(UnknownOperation):
    """REST's: no operation has this method and path."""

    status = 404


class InvalidAction(UnknownOperation):
    """Query's word for an unknown operation."""

    code = "InvalidAction"


class MalformedInput(Serialization):
    """A Query parameter that does not read as the model's type."""

    code = "MalformedInput"


class ValidationError(Validation):
    """Query's word for a failed validation."""

    code = "ValidationError"


class InvalidQueryParameter(Validation):
    """SNS's word for a parameter out of its constraints."""

    code = "InvalidParameter"


class MissingParameter(Validation):
    """SQS's word for a required parameter that is not there."""

    code = "MissingParameter"


class InvalidParameterValue(Validation):
    """SQS's word for a parameter out of its constraints."""

    code = "InvalidParameterValue"


# Per service: the error when something required is missing, and the error for any other violation.
VALIDATION: dict[str, tuple[type[AwsError], type[AwsError]]] = {
    "chatbot": (InvalidParameter, InvalidParameter),
    "logs": (InvalidParameter, InvalidParameter),
    "sns": (ValidationError, InvalidQueryParameter),
    "sqs": (MissingParameter, InvalidParameterValue),
    "sts": (ValidationError, ValidationError),
}

# The common errors under their older names, which Query services still use.
QUERY_CODES = {
    "AccessDeniedException": "AccessDenied",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ServiceUnavailableException": "ServiceUnavailable",
    "ThrottlingException": "Throttling",
    "UnknownOperationException": "InvalidAction",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ValidationException": "ValidationError",
}

# SQS's error codes from its Query days, sent along in x-amzn-query-error (AWS: SQS's move to JSON, 2023).
SQS_CODES = {
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "InvalidBatchEntryId": "AWS.SimpleQueueService.InvalidBatchEntryId",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
    "QueueDeletedRecently": "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
}


def invalid(service: str, message: str, *, missing: bool) -> AwsError:
    """The error a service answers for a failed validation."""
    for_missing, for_others = VALIDATION.get(service, (Validation, Validation))
    return (for_missing if missing else for_others)(message)


class Spelling(msgspec.Struct, frozen=True):
    """How one error goes out: `message_name` is the member that carries the message."""

    code: str
    status: int
    message_name: str
    sender: bool


def spelling(service: Service | None, error: AwsError) -> Spelling:
    """The model's spelling where it has the error, else the error's own."""
    shape: Shape = {} if service is None else service.errors.get(error.code, {})
    traits: dict[str, Any] = shape.get("error", {})
    status = int(traits.get("httpStatusCode", error.status))
    message_name = next((name for name in shape.get("members", ()) if name.lower() == "message"), "message")
    return Spelling(
        code=str(traits.get("code", error.code)),
        status=status,
        message_name=message_name,
        sender=bool(traits.get("senderFault", status < 500)),
    )
