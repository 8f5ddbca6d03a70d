"""Sorting, filtering by time and cutting into pages, as SageMaker's listings do it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tocsin.doors.paging import page
from tocsin.model.times import epoch_ms

T = TypeVar("T")

LISTED_MAX = 100  # AWS's upper and our default page size


def within(at: datetime, request: dict[str, Any], name: str = "CreationTime") -> bool:
    """Whether a moment is between the request's `<name>After` and `<name>Before`, both included."""
    after, before = request.get(f"{name}After"), request.get(f"{name}Before")
    return (after is None or at >= after) and (before is None or at <= before)


def sorted_page(
    items: Sequence[T],
    request: dict[str, Any],
    kind: str,
    *,
    created: Callable[[T], datetime],
    name: Callable[[T], str],
    order: str = "Ascending",
) -> tuple[list[T], str | None]:
    """Sorted by time in the listing's own `order` unless asked otherwise (facts/hyperpod.md §1.2); cut into pages."""
    by_name = request.get("SortBy") == "NAME"
    descending = request.get("SortOrder", order) == "Descending"

    def rank(item: T) -> list[Any]:
        when, text = epoch_ms(created(item)), name(item)
        return [text, when] if by_name else [when, text]

    return page(
        sorted(items, key=rank, reverse=descending),
        kind=f"{kind}/{by_name}/{descending}",
        position=rank,
        limit=request.get("MaxResults", LISTED_MAX),
        token=request.get("NextToken"),
        descending=descending,
    )
