"""Documents: the built-in ones, which are data files beside this one, and those of the scope, which are records."""

import functools
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tocsin.core.commands.content import Content, read
from tocsin.model.command import Document, DocumentVersion, document_of
from tocsin.model.command_errors import InvalidDocument, InvalidDocumentVersion
from tocsin.model.names import Scope
from tocsin.ports import Store

DEFAULT, LATEST = "$DEFAULT", "$LATEST"
BUILT_IN = Path(__file__).parent / "documents"
# Prefixes nobody else may use (AWS, CreateDocument), and ours.
RESERVED = ("aws", "amazon", "amzn", "AWSEC2", "AWSConfigRemediation", "AWSSupport", "tocsin")
CONTENTS_CACHED_MAX = 256


class Found(Struct, frozen=True, kw_only=True):
    """A version of a document."""

    document: Document
    version: DocumentVersion
    content: Content
    built_in: bool


@functools.lru_cache(CONTENTS_CACHED_MAX)
def _content(text: str, form: str) -> Content:
    return read(text, form)


@functools.cache
def built_in() -> dict[str, Document]:
    """By name. Their scope counts for nothing: they are everywhere."""
    found = {}
    for path in sorted(BUILT_IN.glob("*.json")):
        version = DocumentVersion(number=1, content=path.read_text(), format="JSON", created_ms=0)
        owner = "Amazon" if path.stem.startswith("AWS-") else "Tocsin"
        found[path.stem] = Document(scope=Scope("", ""), name=path.stem, versions=(version,), created_ms=0, owner=owner)
    return found


class Documents:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def named(self, scope: Scope, name: str) -> Document:
        """By name or ARN. Raises InvalidDocument in AWS's words."""
        place = document_of(name)
        if place and place[0] not in (scope, Scope("", scope.region)):
            raise InvalidDocument(f"Document with name {name} does not exist.")
        plain = place[1] if place else name
        document = built_in().get(plain) or await self._store.get(Document, scope, plain)
        if document is None:
            raise InvalidDocument(f"Document with name {name} does not exist.")
        return document

    async def all(self, scope: Scope) -> list[Document]:
        """In the order of their names."""
        own = await self._store.find(Document, scope)
        return sorted([*built_in().values(), *own], key=lambda one: one.name)

    async def find(self, scope: Scope, name: str, version: str = "", version_name: str = "") -> Found:
        """`version` is a number, $DEFAULT or $LATEST. Raises InvalidDocument, InvalidDocumentVersion."""
        document = await self.named(scope, name)
        return found(document, picked(document, version, version_name))


def found(document: Document, version: DocumentVersion) -> Found:
    return Found(
        document=document,
        version=version,
        content=_content(version.content, version.format),
        built_in=bool(document.owner),
    )


def picked(document: Document, version: str = "", version_name: str = "") -> DocumentVersion:
    """Raises InvalidDocumentVersion."""
    fits = _test(document, version, version_name)
    for one in document.versions:
        if fits(one):
            return one
    asked = version_name or version
    raise InvalidDocumentVersion(f"Document {document.name} has no version {asked}.")


def _test(document: Document, version: str, version_name: str) -> Callable[[DocumentVersion], bool]:
    if version_name:
        return lambda one: one.version_name == version_name
    if version == LATEST:
        return lambda one: one is document.versions[-1]
    number = int(version) if version and version != DEFAULT else document.default
    return lambda one: one.number == number
