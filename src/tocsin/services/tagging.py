"""Tags under ARNs: the first of what is made, the last of what goes, and changes between. Whoever owns the ARN asks."""

from collections.abc import Callable

from tocsin.model.changes import Change, Delete, Put
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.tags import Tags
from tocsin.ports import Store


async def tags_of(store: Store, scope: Scope, arn: str) -> dict[str, str]:
    record = await store.get(Tags, scope, arn)
    return record.tags if record else {}


async def retag(
    store: Store, scope: Scope, arn: str, change: Callable[[dict[str, str]], dict[str, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Store what `change` makes of the tags; answers them as they were and as they are. Raises Stale."""
    record = await store.get(Tags, scope, arn)
    before = record.tags if record else {}
    after = change(before)
    await store.commit(Put(successor(record, tags=after) if record else Tags(scope=scope, arn=arn, tags=after)))
    return before, after


async def first_tags(store: Store, scope: Scope, arn: str, tags: dict[str, str]) -> list[Change]:
    """A tagging that lost the race against a deletion may have left tags behind: what is made anew starts clean."""
    left = await store.get(Tags, scope, arn)
    if left is not None:
        return [Put(successor(left, tags=tags))]
    return [Put(Tags(scope=scope, arn=arn, tags=tags))] if tags else []


async def last_tags(store: Store, scope: Scope, arn: str) -> list[Change]:
    tags = await store.get(Tags, scope, arn)
    return [Delete(tags)] if tags else []
