"""Pages of listings that are small enough to be read whole and cut here."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tocsin.doors.wire import tokens
from tocsin.model.errors import AwsError, Validation

T = TypeVar("T")


def page(
    items: Sequence[T],
    *,
    kind: str,
    position: Callable[[T], list[object]],
    limit: int,
    token: str | None,
    error: type[AwsError] = Validation,
    descending: bool = False,
) -> tuple[list[T], str | None]:
    """The next `limit` items beyond the token's position, and the token of the rest, if any.

    `items` are sorted by `position`, which is a list of JSON scalars; upwards, unless `descending`. A token goes on
    working when items come and go.
    Raises `error` on a token that is not one of this kind.
    """
    if token:
        after: Any = tokens.decode(kind, token, error=error)
        items = items[bisect_left(items, True, key=lambda item: _beyond(position(item), after, descending)) :]
    taken = list(items[:limit])
    more = len(items) > limit
    return taken, tokens.encode(kind, position(taken[-1])) if more and taken else None


def _beyond(position: list[Any], after: list[Any], descending: bool) -> bool:
    return position < after if descending else position > after
