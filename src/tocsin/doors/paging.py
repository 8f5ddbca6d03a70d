"""Pages of listings that are small enough to be read whole and cut here."""

from collections.abc import Callable, Sequence
from typing import TypeVar

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
) -> tuple[list[T], str | None]:
    """The next `limit` items beyond the token's position, and the token of the rest, if any.

    `items` are sorted by `position`, which is a list of JSON scalars. A token goes on working when items come and go.
    Raises `error` on a token that is not one of this kind.
    """
    if token:
        after = tokens.decode(kind, token, error=error)
        items = [item for item in items if position(item) > after]  # type: ignore[operator]
    taken = list(items[:limit])
    more = len(items) > limit
    return taken, tokens.encode(kind, position(taken[-1])) if more and taken else None
