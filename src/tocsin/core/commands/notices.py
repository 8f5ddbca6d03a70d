"""What NotificationConfig asks to be told, and in which words (Systems Manager, example SNS notifications)."""

import json
from collections.abc import Mapping
from typing import Any

from tocsin.core.commands.happenings import iso_ms
from tocsin.model.command import Command, Invocation, Status
from tocsin.model.command_errors import InvalidNotificationConfig
from tocsin.model.names import Scope, topic_of

COMMAND, INVOCATION = "Command", "Invocation"
ALL = "All"


def topic_asked(request: Mapping[str, Any]) -> tuple[Scope, str] | None:
    """The topic of NotificationConfig; None where nobody is to be told. Raises InvalidNotificationConfig."""
    arn = (request.get("NotificationConfig") or {}).get("NotificationArn")
    if not arn:
        return None
    place = topic_of(arn)
    if place is None or place[1].endswith(".fifo"):
        raise InvalidNotificationConfig(f"{arn} is no standard SNS topic.")
    return place


def wanted(command: Command, kind: str, status: Status) -> bool:
    config = command.request.get("NotificationConfig") or {}
    events = config.get("NotificationEvents") or [ALL]
    return config.get("NotificationType", COMMAND) == kind and (ALL in events or status in events)


def subject(command: Command) -> str:
    return f"EC2 Run Command Notification {command.scope.region}"


def command_notice(command: Command, now_ms: int) -> str:
    request = command.request
    return json.dumps(
        {
            "commandId": command.id,
            "documentName": command.document,
            "instanceIds": request.get("InstanceIds") or [],
            "requestedDateTime": iso_ms(command.requested_ms),
            "expiresAfter": iso_ms(command.expires_ms),
            "outputS3BucketName": request.get("OutputS3BucketName", ""),
            "outputS3KeyPrefix": request.get("OutputS3KeyPrefix", ""),
            "status": command.status,
            "eventTime": iso_ms(now_ms),
        }
    )


def invocation_notice(command: Command, one: Invocation, now_ms: int) -> str:
    return json.dumps(
        {
            "commandId": command.id,
            "documentName": command.document,
            "instanceId": one.named,
            "requestedDateTime": iso_ms(one.requested_ms),
            "status": one.status,
            "eventTime": iso_ms(now_ms),
        }
    )
