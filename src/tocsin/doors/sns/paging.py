"""Pages of SNS's listings: a hundred each, read from the store page by page."""

from collections.abc import Sequence
from typing import Any

from tocsin.doors.wire import tokens
from tocsin.model.errors import Validation
from tocsin.model.records import Record
from tocsin.model.topic_errors import InvalidParameter

PAGE_MAX = 100  # "up to 100" (AWS, ListTopics, ListSubscriptions)


def start_of(kind: str, request: dict[str, Any]) -> str:
    """The key that the page begins beyond. Raises InvalidParameter."""
    token = request.get("NextToken")
    if not token:
        return ""
    try:
        position = tokens.decode(kind, token)
    except Validation:
        raise InvalidParameter("NextToken") from None
    return str(next(iter(position)))


def token_beyond(kind: str, found: Sequence[Record]) -> str | None:
    """The token of the rest when more were found than a page holds."""
    return tokens.encode(kind, [found[PAGE_MAX - 1].key]) if len(found) > PAGE_MAX else None
