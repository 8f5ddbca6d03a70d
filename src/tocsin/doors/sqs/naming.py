"""From a queue's URL to the queue's name. The account and the name count; host and scheme may be any."""

from typing import Any
from urllib.parse import unquote, urlsplit

from tocsin.doors.door import Context
from tocsin.model.names import Scope
from tocsin.model.queue_errors import QueueDoesNotExist

# AWS answers with a queue of another account when its policy allows it; here every account keeps to itself.


def asked_queue(context: Context, request: dict[str, Any]) -> tuple[Scope, str]:
    """Where the queue is that QueueUrl names. Raises QueueDoesNotExist for a URL that names none of this account."""
    try:
        parts = unquote(urlsplit(request["QueueUrl"]).path).strip("/").split("/")
    except ValueError as wrong:
        raise QueueDoesNotExist from wrong
    if len(parts) == 1 and parts[0]:  # a bare name, as AWS takes it
        return context.scope, parts[0]
    if len(parts) < 2 or parts[-2] != context.scope.account:
        raise QueueDoesNotExist
    return context.scope, parts[-1]
