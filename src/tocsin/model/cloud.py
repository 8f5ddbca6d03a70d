"""Cloud Control's records: requests for operations on resources, and what was sent of a resource's properties.

The resources themselves are where they always were: clusters with the fleet, rules with the events, and so on.
"""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.errors import AwsError
from tocsin.model.records import Record


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class OperationStatus(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCEL_IN_PROGRESS = "CANCEL_IN_PROGRESS"
    CANCEL_COMPLETE = "CANCEL_COMPLETE"


OPEN = frozenset({OperationStatus.PENDING, OperationStatus.IN_PROGRESS})


class Standing(Struct, frozen=True, kw_only=True):
    """Where an operation stands. `code` is a HandlerErrorCode, of what failed."""

    status: OperationStatus
    code: str = ""
    message: str = ""


class ResourceRequest(Record, frozen=True, kw_only=True):
    """An operation on a resource that was asked for. `token` is the RequestToken, `digest` stands for what was asked.

    `model` is the resource's properties as far as they are known. PENDING: it is being carried out right now.
    """

    kind: ClassVar[str] = "cloud-request"

    token: str
    type_name: str
    operation: Operation
    status: OperationStatus
    asked_ms: int
    digest: str
    identifier: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    message: str = ""

    @property
    def key(self) -> str:
        return self.token

    @property
    def open(self) -> bool:
        return self.status in OPEN


class SentModel(Record, frozen=True, kw_only=True):
    """The properties of a resource as Cloud Control was sent them last. `request`: the one that holds it now."""

    kind: ClassVar[str] = "cloud-resource"

    type_name: str
    identifier: str
    properties: dict[str, Any] = field(default_factory=dict)
    request: str = ""

    @property
    def key(self) -> str:
        return f"{self.type_name}/{self.identifier}"


class AlreadyExists(AwsError):
    code = "AlreadyExistsException"


class ClientTokenConflict(AwsError):
    code = "ClientTokenConflictException"


class ConcurrentOperation(AwsError):
    code = "ConcurrentOperationException"


class GeneralServiceException(AwsError):
    code = "GeneralServiceException"


class HandlerFailure(AwsError):
    code, status = "HandlerFailureException", 502


class NotStabilized(AwsError):
    code = "NotStabilizedException"


class NotUpdatable(AwsError):
    code = "NotUpdatableException"


class RequestTokenNotFound(AwsError):
    code = "RequestTokenNotFoundException"


class ResourceConflict(AwsError):
    code = "ResourceConflictException"


class ServiceInternalError(AwsError):
    code, status = "ServiceInternalErrorException", 502


class ServiceLimitExceeded(AwsError):
    code = "ServiceLimitExceededException"


class TypeNotFound(AwsError):
    code = "TypeNotFoundException"


class UnsupportedAction(AwsError):
    code, status = "UnsupportedActionException", 405
