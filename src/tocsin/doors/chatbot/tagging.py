"""Tags of configurations, which are kept in the records themselves."""

from collections.abc import Callable
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.model.changes import Put
from tocsin.model.chat import ChatConfiguration, chat_scope
from tocsin.model.errors import ResourceNotFoundException, TooManyTags, Validation
from tocsin.model.records import successor
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, checked_tags
from tocsin.ports import Store


class Tagging:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def tag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._retag(context, request, lambda tags: tags | _told(request["Tags"]))

    async def untag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        return await self._retag(
            context, request, lambda tags: {key: value for key, value in tags.items() if key not in gone}
        )

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": tag_list((await self._tagged(context, request["ResourceARN"])).tags)}

    async def _retag(
        self, context: Context, request: dict[str, Any], change: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, Any]:
        async def attempt() -> None:
            record = await self._tagged(context, request["ResourceARN"])
            await self._store.commit(Put(successor(record, tags=_checked(change(record.tags)))))

        await decided(attempt)
        return {}

    async def _tagged(self, context: Context, given: str) -> ChatConfiguration:
        """The configuration of an ARN. Raises ResourceNotFoundException."""
        found = await named(self._store, context.scope.account, given)
        if found is None:
            raise ResourceNotFoundException(f"There is nothing here called {given}.")
        return found


async def named(store: Store, account: str, given: str) -> ChatConfiguration | None:
    """The account's configuration of an ARN."""
    found = await store.get(ChatConfiguration, chat_scope(account), given.partition("chat-configuration/")[2])
    return found if found is not None and found.arn == given else None


def first_tags(request: dict[str, Any]) -> dict[str, str]:
    """The tags that something is made with. Raises TooManyTags, or Validation."""
    return _checked(_told(request.get("Tags") or []))


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _told(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["TagKey"]: tag["TagValue"] for tag in tags}


def _checked(tags: dict[str, str]) -> dict[str, str]:
    many = TooManyTags(f"A resource can have at most {TAGS_MAX} tags, and there would be {len(tags)}.")
    return checked_tags(tags, many=many, reserved=Validation(RESERVED_SAID))
