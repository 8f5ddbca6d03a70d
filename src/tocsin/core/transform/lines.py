"""A transformed payload -> the log event that a CloudWatch Logs target makes of it.

AWS wants `{"timestamp": …, "message": "…"}` there and nothing else will do (PutTargets reference; aws-cdk #20748).
Its own example fills the timestamp with the event's `time`, which is an ISO 8601 text; so both forms are read.
"""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

_MS_MAX: Final = 2**53
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def log_line(payload: bytes, default_ms: int) -> tuple[int, str] | None:
    """(epoch milliseconds, message) of a payload, or None when it has not that shape.

    `default_ms` stands for a timestamp that is missing or empty, which is what a path that leads nowhere gives.
    """
    try:
        parsed = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(parsed, dict):
        return None
    message = parsed.get("message")
    at_ms = _milliseconds(parsed.get("timestamp", ""), default_ms)
    if not isinstance(message, str) or not message or at_ms is None:
        return None
    return at_ms, message


def _milliseconds(value: Any, default_ms: int) -> int | None:
    if value == "":
        return default_ms
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 17 else _from_iso(value)
    if type(value) is not int or not 0 <= value <= _MS_MAX:
        return None
    return value


def _from_iso(text: str) -> int | None:
    """A time without a zone is UTC, as all times of events are."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) // (datetime.resolution * 1000)
