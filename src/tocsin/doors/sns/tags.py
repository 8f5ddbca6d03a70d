"""Tags of topics, kept under their ARNs."""

from collections.abc import Callable
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.doors.sns.naming import topic_place
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, checked_tags
from tocsin.model.topic import Topic
from tocsin.model.topic_errors import InvalidParameter, ResourceNotFound, TagLimitExceeded
from tocsin.ports import Store
from tocsin.services.tagging import retag, tags_of


def told_tags(request: dict[str, Any]) -> dict[str, str]:
    """The tags a request carries. Raises TagLimitExceeded or InvalidParameter."""
    return _checked({tag["Key"]: tag["Value"] for tag in request.get("Tags") or []})


def _checked(tags: dict[str, str]) -> dict[str, str]:
    many = TagLimitExceeded(f"Could not complete request: tag quota of per resource exceeded: {TAGS_MAX} at most.")
    return checked_tags(tags, many=many, reserved=InvalidParameter(f"Tags Reason: {RESERVED_SAID}"))


class Tagging:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def tag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        added = told_tags(request)
        return await self._retag(context, request["ResourceArn"], lambda tags: tags | added)

    async def untag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        return await self._retag(
            context, request["ResourceArn"], lambda tags: {key: tags[key] for key in tags if key not in gone}
        )

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._demand(context, request["ResourceArn"])
        tags = await tags_of(self._store, context.scope, request["ResourceArn"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    async def _retag(
        self, context: Context, arn: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, Any]:
        async def attempt() -> None:
            await self._demand(context, arn)
            await retag(self._store, context.scope, arn, lambda tags: _checked(change(tags)))

        await decided(attempt)
        return {}

    async def _demand(self, context: Context, arn: str) -> None:
        scope, name = topic_place(arn, "ResourceArn")
        if scope != context.scope or await self._store.get(Topic, scope, name) is None:
            raise ResourceNotFound("Resource does not exist")
