"""Moments as the wires write them: whole milliseconds since 1970, and ISO 8601."""

from datetime import datetime


def epoch_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, without the rounding of float seconds."""
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def iso_second(at: datetime) -> str:
    """2026-01-01T00:00:00Z: the `time` of an event's envelope. `at` is UTC."""
    return f"{at.isoformat(timespec='seconds')[:19]}Z"


def iso_ms(at: datetime) -> str:
    """2026-01-01T00:00:00.000Z: a moment in a text. `at` is UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
