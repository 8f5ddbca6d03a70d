"""Times as people type them: so long ago, or a date."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(s|m|h|d|w)?")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def seconds(text: str) -> float:
    """`30s`, `10m`, `2h`, or a number of seconds. Raises ValueError."""
    span = _SPAN.fullmatch(text)
    if span is None:
        raise ValueError(f"{text!r} is no span of time: write 30s, 10m, 2h or 7d")
    return timedelta(**{_UNITS[span[2] or "s"]: float(span[1])}).total_seconds()


def epoch_ms(text: str, now: datetime) -> int:
    """`30m` (ago), `2026-01-01`, `2026-01-01T10:00Z`; UTC where no zone is given. Raises ValueError."""
    ago = _AGO.fullmatch(text)
    try:
        when = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write 30m, 2h, 7d, 2026-01-01 or 2026-01-01T10:00Z") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0, int(when.timestamp() * 1000))
