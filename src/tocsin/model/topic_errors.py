"""SNS's errors under the codes of its wire (botocore, sns)."""

from tocsin.model.errors import AwsError


class TopicError(AwsError):
    """What SNS itself refuses."""


class NotFound(TopicError):
    code, status = "NotFound", 404


class ResourceNotFound(TopicError):
    """The spelling of its tagging operations."""

    code, status = "ResourceNotFound", 404


class InvalidParameter(TopicError):
    """Its texts all begin with the same words."""

    code = "InvalidParameter"

    def __init__(self, what: str) -> None:
        super().__init__(f"Invalid parameter: {what}")


class ParameterValueInvalid(TopicError):
    code = "ParameterValueInvalid"


class AuthorizationError(TopicError):
    code, status = "AuthorizationError", 403


class TopicLimitExceeded(TopicError):
    code, status = "TopicLimitExceeded", 403


class SubscriptionLimitExceeded(TopicError):
    code, status = "SubscriptionLimitExceeded", 403


class TagLimitExceeded(TopicError):
    code = "TagLimitExceeded"


class Throttled(TopicError):
    code, status = "Throttled", 429


class EmptyBatchRequest(TopicError):
    code = "EmptyBatchRequest"

    def __init__(self) -> None:
        super().__init__("The batch request doesn't contain any entries.")


class TooManyEntriesInBatchRequest(TopicError):
    code = "TooManyEntriesInBatchRequest"

    def __init__(self) -> None:
        super().__init__("The batch request contains more entries than permissible.")


class BatchEntryIdsNotDistinct(TopicError):
    code = "BatchEntryIdsNotDistinct"

    def __init__(self) -> None:
        super().__init__("Two or more batch entries in the request have the same Id.")


class BatchRequestTooLong(TopicError):
    code = "BatchRequestTooLong"

    def __init__(self) -> None:
        super().__init__("The length of all the messages put together is more than the limit.")


class InvalidBatchEntryId(TopicError):
    code = "InvalidBatchEntryId"

    def __init__(self) -> None:
        super().__init__(
            "The Id of a batch entry in a batch request doesn't abide by the specification: "
            "letters, digits, hyphens and underscores, 1 to 80 of them."
        )


def no_topic() -> NotFound:
    return NotFound("Topic does not exist")


def no_subscription() -> NotFound:
    return NotFound("Subscription does not exist")
