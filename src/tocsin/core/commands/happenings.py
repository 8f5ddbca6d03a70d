"""Changes of commands and invocations -> the events AWS tells of them (Systems Manager, Run Command event types)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from tocsin.model.command import Command, Invocation
from tocsin.model.event import Event, envelope
from tocsin.model.names import DEFAULT_BUS, Scope, arn, derived_uuid
from tocsin.model.times import iso_second

SOURCE = "aws.ssm"
COMMAND_CHANGE = "EC2 Command Status-change Notification"
INVOCATION_CHANGE = "EC2 Command Invocation Status-change Notification"
# A command may be for thousands of nodes, and an event is at most 256 KB.
RESOURCES_MAX = 50


def iso_ms(at_ms: int) -> str:
    """2026-01-01T00:00:00.000Z"""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def command_event(command: Command, invocations: Iterable[Invocation], now_ms: int) -> Event:
    detail = {
        "command-id": command.id,
        "document-name": command.document,
        "expire-after": iso_ms(command.expires_ms),
        "parameters": command.request.get("Parameters") or {},
        "requested-date-time": iso_ms(command.requested_ms),
        "status": command.status,
    }
    resources = [instance_arn(one.scope, one.instance_id) for one in islice(invocations, RESOURCES_MAX)]
    return _event(command.scope, COMMAND_CHANGE, resources, detail, (command.id, command.revision), now_ms)


def invocation_event(command: Command, invocation: Invocation, now_ms: int) -> Event:
    detail = {
        "command-id": command.id,
        "document-name": command.document,
        "instance-id": invocation.instance_id,
        "requested-date-time": iso_ms(invocation.requested_ms),
        "status": invocation.status,
    }
    resources = [instance_arn(invocation.scope, invocation.instance_id)]
    what = (command.id, invocation.instance_id, invocation.revision)
    return _event(command.scope, INVOCATION_CHANGE, resources, detail, what, now_ms)


def instance_arn(scope: Scope, instance_id: str) -> str:
    return arn("ec2", scope, f"instance/{instance_id}")


def _event(
    scope: Scope,
    detail_type: str,
    resources: list[str],
    detail: dict[str, Any],
    what: Sequence[object],
    now_ms: int,
) -> Event:
    """The id follows from the record and its revision: a commit that is repeated tells the same event."""
    event_id = derived_uuid("ssm", *what)
    body = envelope(
        scope=scope,
        id=event_id,
        source=SOURCE,
        detail_type=detail_type,
        time=iso_second(datetime.fromtimestamp(now_ms / 1000, UTC)),
        resources=resources,
        detail=detail,
    )
    return Event(scope=scope, bus=DEFAULT_BUS, id=event_id, at_ms=now_ms, body=body)
