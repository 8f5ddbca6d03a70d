"""A kind of resource: its schema, and what creating, reading, changing, deleting and listing it asks of its door."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from tocsin.core.cloud.mapping import changed_tags
from tocsin.core.cloud.schema import Schema
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.model.cloud import Operation, Standing
from tocsin.model.errors import AwsError

Model = Mapping[str, Any]


class Kind(NamedTuple):
    """`create` answers the identifier; `read` all that is known, under its own identifier too. They raise what the
    services raise. `update` answers whether there is something to wait for. `standing`: of kinds that take their time.
    """

    schema: Schema
    create: Callable[[Asking, Model], Awaitable[str]]
    read: Callable[[Asking, str], Awaitable[dict[str, Any]]]
    update: Callable[[Asking, str, Model, Model], Awaitable[bool]]
    delete: Callable[[Asking, str], Awaitable[object]]
    list: Callable[[Asking], Awaitable[list[str]]]
    standing: Callable[[Asking, Operation, str], Awaitable[Standing]] | None = None


async def or_undone(rest: Awaitable[object], undo: Callable[[], Awaitable[object]]) -> None:
    """The rest of a creation; if it fails nothing stays, for half a thing would stand in the way of the next try."""
    try:
        await rest
    except AwsError:
        await undo()
        raise


async def retag(
    before: Model,
    after: Model,
    tag: Callable[[dict[str, str]], Awaitable[object]],
    untag: Callable[[list[str]], Awaitable[object]],
) -> None:
    """Tags as they shall be."""
    added, gone = changed_tags(before, after)
    if gone:
        await untag(gone)
    if added:
        await tag(added)
