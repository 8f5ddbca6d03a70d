"""Where an operation on a resource stands: codes of failures, clusters on their way, requests that are over.

The codes are those of CloudFormation's resource handlers (botocore, cloudcontrol: HandlerErrorCode).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.model.cloud import (
    AlreadyExists,
    GeneralServiceException,
    HandlerFailure,
    NotStabilized,
    NotUpdatable,
    Operation,
    OperationStatus,
    ResourceConflict,
    ResourceRequest,
    ServiceInternalError,
    ServiceLimitExceeded,
    Standing,
)
from tocsin.model.errors import AwsError, InvalidRequest, ResourceNotFoundException, Throttling
from tocsin.model.names import Scope, derived_uuid

# "Resource operation requests expire after 7 days", "client token expire after 36 hours" (botocore, cloudcontrol).
REQUEST_DAYS = 7
CLIENT_TOKEN_MS = 36 * 3_600_000
_DAY_MS = 24 * 3_600_000
# "StatusMessage: max 2048" (botocore, cloudcontrol).
MESSAGE_CHARS_MAX = 2_048

NOT_FOUND, ALREADY_EXISTS, NOT_STABILIZED, INTERNAL = "NotFound", "AlreadyExists", "NotStabilized", "InternalFailure"
# The services' codes of errors -> the handlers'. What is not here: by the status of its answer.
_CODES = {
    "ResourceNotFoundException": NOT_FOUND,
    "ResourceNotFound": NOT_FOUND,
    "NotFound": NOT_FOUND,
    "QueueDoesNotExist": NOT_FOUND,
    "AlreadyExistsException": ALREADY_EXISTS,
    "ResourceAlreadyExistsException": ALREADY_EXISTS,
    "ResourceInUse": ALREADY_EXISTS,
    "QueueNameExists": ALREADY_EXISTS,
    "ConflictException": "ResourceConflict",
    "ConcurrentModificationException": "ResourceConflict",
    "OperationAbortedException": "ResourceConflict",
    "LimitExceededException": "ServiceLimitExceeded",
    "ResourceLimitExceeded": "ServiceLimitExceeded",
    "TopicLimitExceeded": "ServiceLimitExceeded",
    "SubscriptionLimitExceeded": "ServiceLimitExceeded",
    "ThrottlingException": "Throttling",
    "Throttled": "Throttling",
    "RequestThrottled": "Throttling",
    "AccessDeniedException": "AccessDenied",
    "AuthorizationError": "AccessDenied",
    "NotUpdatableException": "NotUpdatable",
    "NotImplemented": "GeneralServiceException",
    "InternalFailure": INTERNAL,
}
_ERRORS: dict[str, type[AwsError]] = {
    NOT_FOUND: ResourceNotFoundException,
    ALREADY_EXISTS: AlreadyExists,
    "ResourceConflict": ResourceConflict,
    "ServiceLimitExceeded": ServiceLimitExceeded,
    "Throttling": Throttling,
    "NotUpdatable": NotUpdatable,
    NOT_STABILIZED: NotStabilized,
    "InvalidRequest": InvalidRequest,
    "GeneralServiceException": GeneralServiceException,
    "ServiceInternalError": ServiceInternalError,
}

SUCCESS = Standing(status=OperationStatus.SUCCESS)
IN_PROGRESS = Standing(status=OperationStatus.IN_PROGRESS)
# A request that nobody carries out any more, after a crash: what it came to, the resource itself tells.
ORPHANED = Standing(
    status=OperationStatus.FAILED,
    code=INTERNAL,
    message="The server stopped while this request was carried out. Read the resource to see what came of it.",
)


def handler_code(error: AwsError) -> str:
    if error.code in _CODES:
        return _CODES[error.code]
    return "ServiceInternalError" if error.status >= 500 else "InvalidRequest"


def failed(error: AwsError, type_name: str, identifier: str) -> Standing:
    """What an error of a service makes of an operation."""
    code = handler_code(error)
    return Standing(status=OperationStatus.FAILED, code=code, message=_worded(code, error, type_name, identifier))


def refused(error: AwsError, type_name: str, identifier: str) -> AwsError:
    """The error of a read that a service's error comes to."""
    code = handler_code(error)
    said = _worded(code, error, type_name, identifier)
    return _ERRORS.get(code, HandlerFailure)(
        f"{type_name} Handler returned status FAILED: {said} (HandlerErrorCode: {code})"
    )


def _worded(code: str, error: AwsError, type_name: str, identifier: str) -> str:
    """In the words of CloudFormation's handlers for the two that clients look for."""
    match code:
        case _ if code == NOT_FOUND:
            return f"Resource of type '{type_name}' with identifier '{identifier}' was not found."
        case _ if code == ALREADY_EXISTS:
            return f"Resource of type '{type_name}' with identifier '{identifier}' already exists."
    return error.message[:MESSAGE_CHARS_MAX]


def cluster_standing(operation: Operation, cluster: Mapping[str, Any] | None) -> Standing:
    """Where an operation on a cluster stands, by what DescribeCluster tells; None: it is gone."""
    if cluster is None:
        return SUCCESS if operation is Operation.DELETE else _unstable("The cluster was deleted meanwhile.")
    status, why = cluster["ClusterStatus"], cluster.get("FailureMessage") or ""
    if operation is Operation.DELETE:
        return IN_PROGRESS if status == "Deleting" else _unstable(f"The cluster is {status}. {why}".strip())
    match status:
        case "Failed":
            return _unstable(why)
        case "InService":
            return _unstable(why) if why else SUCCESS  # it went back to what it was
        case "Deleting":
            return _unstable("The cluster is being deleted.")
    return IN_PROGRESS


def _unstable(why: str) -> Standing:
    return Standing(status=OperationStatus.FAILED, code=NOT_STABILIZED, message=why[:MESSAGE_CHARS_MAX])


def counts_for_token(request: ResourceRequest, now_ms: int) -> bool:
    """Whether its client token still stands for it."""
    return now_ms - request.asked_ms < CLIENT_TOKEN_MS


def past(requests: Iterable[ResourceRequest], now_ms: int) -> list[ResourceRequest]:
    """Requests nobody can ask for any more."""
    return [one for one in requests if now_ms - one.asked_ms >= REQUEST_DAYS * _DAY_MS]


def token_of(scope: Scope, client_token: str) -> str:
    """The request token of a client token: who asks again finds what was asked for."""
    return derived_uuid("cloudcontrol", scope.account, scope.region, client_token)


def digest_of(operation: Operation, *said: str) -> str:
    """Stands for all that a request says beside its client token."""
    return derived_uuid(operation, *said)


def drawn_name(model: Mapping[str, Any], token: str) -> str:
    """The name of a resource that was asked for without one."""
    name = token.replace("-", "")[:20]
    return f"{name}.fifo" if model.get("FifoTopic") or model.get("FifoQueue") else name
