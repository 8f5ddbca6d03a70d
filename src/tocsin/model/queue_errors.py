"""SQS's errors under the codes of its JSON protocol; the wire knows their older names."""

from tocsin.model.errors import AwsError


class QueueError(AwsError):
    """What SQS itself refuses."""


class QueueDoesNotExist(QueueError):
    code = "QueueDoesNotExist"

    def __init__(self) -> None:
        super().__init__("The specified queue does not exist.")


class QueueNameExists(QueueError):
    code = "QueueNameExists"


class PurgeQueueInProgress(QueueError):
    code, status = "PurgeQueueInProgress", 403


class InvalidAttributeName(QueueError):
    code = "InvalidAttributeName"


class InvalidAttributeValue(QueueError):
    code = "InvalidAttributeValue"


class InvalidParameterValue(QueueError):
    code = "InvalidParameterValue"


class MissingParameter(QueueError):
    code = "MissingParameter"


class InvalidMessageContents(QueueError):
    code = "InvalidMessageContents"


class ReceiptHandleIsInvalid(QueueError):
    code, status = "ReceiptHandleIsInvalid", 404


class MessageNotInflight(QueueError):
    code = "MessageNotInflight"


class OverLimit(QueueError):
    code, status = "OverLimit", 403


class RequestThrottled(QueueError):
    code, status = "RequestThrottled", 403


class EmptyBatchRequest(QueueError):
    code = "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(QueueError):
    code = "TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(QueueError):
    code = "BatchEntryIdsNotDistinct"


class InvalidBatchEntryId(QueueError):
    code = "InvalidBatchEntryId"


class BatchRequestTooLong(QueueError):
    code = "BatchRequestTooLong"


def invalid_value(value: object, parameter: str, reason: str) -> InvalidParameterValue:
    """In the words SQS has for all its parameters."""
    return InvalidParameterValue(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")
