"""Timestamps in every spelling AWS uses: epoch seconds, ISO-8601, RFC 822. Read to UTC datetimes, write back.

Called by the parsers and renderers of all protocols; which spelling applies is theirs to say.
"""

import email.utils
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """Seconds since 1970 to UTC, to the microsecond. Raises ValueError out of the years 1 to 9999."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds is out of the range of dates") from error


def from_text(text: str) -> datetime:
    """ISO-8601 (no offset means UTC), RFC 822 or epoch seconds as text. Raises ValueError."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = _from_other_text(text)
    try:
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text[:64]!r} is out of the range of dates") from error


def _from_other_text(text: str) -> datetime:
    try:
        return from_epoch(float(text))
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(text)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"{text[:64]!r} is not a date") from error


def as_datetime(value: object) -> datetime:
    """A handler's timestamp: an aware datetime or epoch seconds. Raises TypeError for anything else."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"a timestamp in a result has no time zone: {value!r}")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_epoch(value)
    raise TypeError(f"a timestamp in a result is neither a datetime nor a number: {value!r}")


def to_epoch(value: object) -> int | float:
    """Seconds since 1970 with at most three decimals, whole ones as an integer."""
    milliseconds = (as_datetime(value) - EPOCH) // timedelta(milliseconds=1)
    seconds, rest = divmod(milliseconds, 1000)
    return milliseconds / 1000 if rest else seconds


def to_iso(value: object) -> str:
    """2026-01-31T10:00:00Z, or with three decimals where there are milliseconds."""
    moment = as_datetime(value).astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds") + "Z"


def to_rfc822(value: object) -> str:
    """Sat, 31 Jan 2026 10:00:00 GMT."""
    return email.utils.format_datetime(as_datetime(value).astimezone(UTC), usegmt=True)


WRITERS = {"unixTimestamp": to_epoch, "iso8601": to_iso, "rfc822": to_rfc822}
