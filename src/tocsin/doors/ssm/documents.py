"""Documents of one's own: created, updated in versions, deleted."""

from typing import Any

from tocsin.core.commands.content import read
from tocsin.doors.door import Context, decided
from tocsin.doors.ssm.library import described
from tocsin.doors.ssm.tags import told
from tocsin.model.changes import Delete, Put
from tocsin.model.command import Document, DocumentVersion
from tocsin.model.command_errors import (
    DocumentAlreadyExists,
    DocumentLimitExceeded,
    DocumentVersionLimitExceeded,
    DuplicateDocumentContent,
    DuplicateDocumentVersionName,
    InvalidDocumentOperation,
    InvalidDocumentVersion,
    MaxDocumentSizeExceeded,
)
from tocsin.model.errors import NotImplementedYet, Validation
from tocsin.model.records import successor
from tocsin.ports import Store
from tocsin.services.commands import CommandLimits, Documents
from tocsin.services.commands.documents import LATEST, RESERVED, built_in, picked
from tocsin.services.tagging import first_tags, last_tags

CONTENT_BYTES_MAX = 64 << 10  # "The content of the document must not exceed 64KB"


class DocumentDesk:
    def __init__(self, store: Store, documents: Documents, limits: CommandLimits) -> None:
        self._store = store
        self._documents = documents
        self._limits = limits

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        _check_members(request)
        if name.lower().startswith(tuple(prefix.lower() for prefix in RESERVED)):
            raise Validation(f"Document name {name} has a prefix that is reserved: {', '.join(RESERVED)}.")
        version = _version(request, 1, context.now_ms)
        tags = told(request)

        async def attempt() -> Document:
            if await self._store.get(Document, context.scope, name) is not None:
                raise DocumentAlreadyExists(f"Document with same name {name} already exists")
            if len(await self._store.find(Document, context.scope)) >= self._limits.documents_max:
                raise DocumentLimitExceeded(f"You can have at most {self._limits.documents_max} documents.")
            document = Document(scope=context.scope, name=name, versions=(version,), created_ms=context.now_ms)
            await self._store.commit(Put(document), *await first_tags(self._store, document.scope, document.arn, tags))
            return document

        document = await decided(attempt)
        return {"DocumentDescription": described(document, version, context.scope, tags)}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        _check_members(request)

        async def attempt() -> dict[str, Any]:
            document = await self._own(context, request["Name"])
            last = document.versions[-1]
            _check_latest(document, request.get("DocumentVersion") or LATEST)
            version = _version(request, document.latest + 1, context.now_ms, last.format)
            if version.content == last.content:
                raise DuplicateDocumentContent(f"The content is that of version {last.number}: nothing would change.")
            if version.version_name and any(one.version_name == version.version_name for one in document.versions):
                raise DuplicateDocumentVersionName(f"A version is named {version.version_name} already.")
            if len(document.versions) >= self._limits.versions_max:
                raise DocumentVersionLimitExceeded(f"A document has at most {self._limits.versions_max} versions.")
            after = successor(document, versions=(*document.versions, version), latest=version.number)
            await self._store.commit(Put(after))
            return described(after, version, context.scope)

        return {"DocumentDescription": await decided(attempt)}

    async def choose(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> DocumentVersion:
            document = await self._own(context, request["Name"])
            version = picked(document, request["DocumentVersion"])
            await self._store.commit(Put(successor(document, default=version.number)))
            return version

        version = await decided(attempt)
        return {
            "Description": {
                "Name": request["Name"],
                "DefaultVersion": str(version.number),
                "DefaultVersionName": version.version_name or None,
            }
        }

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """One version where one is named, else the document."""
        version, version_name = request.get("DocumentVersion", ""), request.get("VersionName", "")

        async def attempt() -> None:
            document = await self._own(context, request["Name"])
            if not version and not version_name:
                await self._store.commit(Delete(document), *await last_tags(self._store, document.scope, document.arn))
                return
            gone = picked(document, version, version_name)
            if gone.number == document.default:
                raise InvalidDocumentOperation("Default version of the document can't be deleted.")
            left = tuple(one for one in document.versions if one is not gone)
            await self._store.commit(Put(successor(document, versions=left)))

        await decided(attempt)
        return {}

    async def _own(self, context: Context, name: str) -> Document:
        """Raises InvalidDocument, InvalidDocumentOperation."""
        if name in built_in():
            raise InvalidDocumentOperation(f"Document {name} is built in and cannot be changed.")
        return await self._documents.named(context.scope, name)


def _check_members(request: dict[str, Any]) -> None:
    if request.get("DocumentType", "Command") != "Command":
        raise NotImplementedYet(f"Documents of type {request['DocumentType']} are not implemented in Tocsin.")
    for member in ("Requires", "Attachments"):
        if request.get(member):
            raise NotImplementedYet(f"{member} of documents is not implemented in Tocsin.")


def _check_latest(document: Document, asked: str) -> None:
    """ "Currently, Systems Manager supports updating only the latest version of the document" (UpdateDocument)."""
    if picked(document, asked) is not document.versions[-1]:
        raise InvalidDocumentVersion(f"Only the latest version can be updated: {document.versions[-1].number}.")


def _version(request: dict[str, Any], number: int, now_ms: int, form: str = "JSON") -> DocumentVersion:
    """Raises what reading the content raises."""
    content, form = request["Content"], request.get("DocumentFormat", form)
    if len(content.encode()) > CONTENT_BYTES_MAX:
        raise MaxDocumentSizeExceeded(f"The content is larger than {CONTENT_BYTES_MAX >> 10} KB.")
    read(content, form)
    return DocumentVersion(
        number=number,
        content=content,
        format=form,
        created_ms=now_ms,
        version_name=request.get("VersionName", ""),
        display_name=request.get("DisplayName", ""),
        target_type=request.get("TargetType", ""),
    )
