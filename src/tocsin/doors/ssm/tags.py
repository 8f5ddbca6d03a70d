"""Tags of documents, kept under their ARNs."""

from collections.abc import Callable
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.model.command import Document
from tocsin.model.command_errors import InvalidDocument, InvalidResourceId, InvalidResourceType, TooManyTags
from tocsin.model.errors import Validation
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, Tags, checked_tags
from tocsin.ports import Store
from tocsin.services.commands import Documents
from tocsin.services.tagging import retag


class Tagging:
    def __init__(self, store: Store, documents: Documents) -> None:
        self._store = store
        self._documents = documents

    async def add(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        added = told(request)
        return await self._retag(context, request, lambda tags: tags | added)

    async def remove(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        return await self._retag(
            context, request, lambda tags: {key: value for key, value in tags.items() if key not in gone}
        )

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        tags = await tags_of(self._store, await self._tagged(context, request))
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}

    async def _retag(
        self, context: Context, request: dict[str, Any], change: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, Any]:
        async def attempt() -> None:
            document = await self._tagged(context, request)
            await retag(self._store, document.scope, document.arn, lambda tags: _checked(change(tags)))

        await decided(attempt)
        return {}

    async def _tagged(self, context: Context, request: dict[str, Any]) -> Document:
        if request["ResourceType"] != "Document":
            raise InvalidResourceType(f"Tocsin keeps tags of Document, not of {request['ResourceType']}.")
        try:
            document = await self._documents.named(context.scope, request["ResourceId"])
        except InvalidDocument as error:
            raise InvalidResourceId(f"There is no document {request['ResourceId']}.") from error
        if document.owner:
            raise InvalidResourceId(f"Document {document.name} is built in and has no tags.")
        return document


async def tags_of(store: Store, document: Document) -> dict[str, str]:
    record = await store.get(Tags, document.scope, document.arn) if not document.owner else None
    return record.tags if record else {}


def told(request: dict[str, Any]) -> dict[str, str]:
    """The tags a request carries. Raises TooManyTagsError, or Validation."""
    return _checked({tag["Key"]: tag["Value"] for tag in request.get("Tags") or []})


def _checked(tags: dict[str, str]) -> dict[str, str]:
    many = TooManyTags(f"A document has at most {TAGS_MAX} tags.")
    return checked_tags(tags, many=many, reserved=Validation(RESERVED_SAID))
