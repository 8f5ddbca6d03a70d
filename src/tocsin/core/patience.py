"""How long a peer asks to be left alone: its answer's Retry-After. Carriers ask, and what judges their answers."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DIGITS_MAX = 12  # of a number of seconds: beyond it says no more than for ever


def asked_pause_s(retry_after: str | None, now: datetime, most_s: float = math.inf) -> float | None:
    """Seconds from a number or a date (RFC 9110, 10.2.3), from 0 to `most_s`. None for none, and for what is neither.

    A date without a zone is in UTC, as all of HTTP's are.
    """
    text = (retry_after or "").strip()
    seconds = _number(text)
    if seconds is None:
        seconds = _until(text, now)
    return None if seconds is None else min(max(seconds, 0.0), most_s)


def _number(text: str) -> float | None:
    """Digits, and a fraction as some peers send it; no sign, no exponent, no infinity."""
    whole, _, fraction = text.partition(".")
    plain = text.isascii() and whole.isdigit() and (fraction.isdigit() or whole == text)
    return float(text[:DIGITS_MAX]) if plain else None


def _until(text: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
