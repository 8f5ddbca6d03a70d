"""Documents read: one version's text, its description, listings."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from tocsin.doors.door import Context
from tocsin.doors.paging import page
from tocsin.doors.ssm.tags import tags_of
from tocsin.model.command import Document, DocumentVersion
from tocsin.model.command_errors import InvalidFilterKey, InvalidNextToken
from tocsin.model.names import Scope
from tocsin.ports import Store
from tocsin.services.commands import Documents
from tocsin.services.commands.documents import found as found_in
from tocsin.services.commands.documents import picked
from tocsin.services.commands.drafting import content_hash

PAGE_MAX = 50


class Library:
    def __init__(self, store: Store, documents: Documents) -> None:
        self._store = store
        self._documents = documents

    async def get(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._documents.find(context.scope, *_asked(request))
        version = found.version
        form = request.get("DocumentFormat", version.format)
        return {
            "Name": found.document.name,
            "CreatedDate": _date(version.created_ms),
            "DisplayName": version.display_name or None,
            "VersionName": version.version_name or None,
            "DocumentVersion": str(version.number),
            "Status": "Active",
            "Content": _written(version, form),
            "DocumentType": "Command",
            "DocumentFormat": form,
        }

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._documents.find(context.scope, *_asked(request))
        tags = await tags_of(self._store, found.document)
        return {"Document": described(found.document, found.version, context.scope, tags)}

    async def documents(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        asked = [(one["key"], [one["value"]]) for one in request.get("DocumentFilterList") or []]
        asked += [(one["Key"], one.get("Values") or []) for one in request.get("Filters") or []]
        tests = [_test(key, values, context.scope) for key, values in asked]
        listed = []
        for document in await self._documents.all(context.scope):
            tags = await tags_of(self._store, document)
            if all(test(document, tags) for test in tests):
                listed.append(_identifier(document, context.scope, tags))
        return _paged("DocumentIdentifiers", listed, request, "ListDocuments", lambda one: [one["Name"]])

    async def versions(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        document = await self._documents.named(context.scope, request["Name"])
        listed = [
            {
                "Name": document.name,
                "DisplayName": one.display_name or None,
                "DocumentVersion": str(one.number),
                "VersionName": one.version_name or None,
                "CreatedDate": _date(one.created_ms),
                "IsDefaultVersion": one.number == document.default,
                "DocumentFormat": one.format,
                "Status": "Active",
            }
            for one in reversed(document.versions)
        ]
        return _paged(
            "DocumentVersions", listed, request, "ListDocumentVersions", lambda one: [-int(one["DocumentVersion"])]
        )


def _asked(request: Mapping[str, Any]) -> tuple[str, str, str]:
    return request["Name"], request.get("DocumentVersion", ""), request.get("VersionName", "")


def _paged(
    member: str,
    listed: list[dict[str, Any]],
    request: Mapping[str, Any],
    kind: str,
    position: Callable[[dict[str, Any]], list[object]],
) -> dict[str, Any]:
    taken, token = page(
        listed,
        kind=kind,
        position=position,
        limit=request.get("MaxResults", PAGE_MAX),
        token=request.get("NextToken"),
        error=InvalidNextToken,
    )
    return {member: taken, "NextToken": token}


def _written(version: DocumentVersion, form: str) -> str:
    """The text as it was given, or the same in the other form."""
    if form == version.format:
        return version.content
    content = yaml.safe_load(version.content)  # JSON is YAML
    if form == "YAML":
        return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return json.dumps(content, indent=2, ensure_ascii=False)


def _date(at_ms: int) -> float | None:
    """Built-in documents have none."""
    return at_ms / 1000 if at_ms else None


def _owner(document: Document, scope: Scope) -> str:
    return document.owner or scope.account


def described(
    document: Document, version: DocumentVersion, scope: Scope, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    content = found_in(document, version).content
    return {
        "Hash": content_hash(version.content),
        "HashType": "Sha256",
        "Name": document.name,
        "DisplayName": version.display_name or None,
        "VersionName": version.version_name or None,
        "Owner": _owner(document, scope),
        "CreatedDate": _date(version.created_ms),
        "Status": "Active",
        "DocumentVersion": str(version.number),
        "Description": content.description or None,
        "Parameters": [
            {
                "Name": one.name,
                "Type": "StringList" if one.type in ("StringList", "MapList") else "String",
                "Description": one.description or None,
                "DefaultValue": _default(one.default),
            }
            for one in content.parameters.values()
        ],
        "PlatformTypes": content.platforms,
        "DocumentType": "Command",
        "SchemaVersion": content.schema_version,
        "LatestVersion": str(document.versions[-1].number),
        "DefaultVersion": str(document.default),
        "DocumentFormat": version.format,
        "TargetType": version.target_type or None,
        "Tags": _listed(tags or {}),
    }


def _default(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _identifier(document: Document, scope: Scope, tags: Mapping[str, str]) -> dict[str, Any]:
    version = picked(document)
    content = found_in(document, version).content
    return {
        "Name": document.name,
        "CreatedDate": _date(document.created_ms),
        "DisplayName": version.display_name or None,
        "Owner": _owner(document, scope),
        "VersionName": version.version_name or None,
        "PlatformTypes": content.platforms,
        "DocumentVersion": str(version.number),
        "DocumentType": "Command",
        "SchemaVersion": content.schema_version,
        "DocumentFormat": version.format,
        "TargetType": version.target_type or None,
        "Tags": _listed(tags),
    }


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# Whose documents an Owner filter means, by its value; any other value is an account.
_OWNERS: Mapping[str, Callable[[Document], bool]] = {
    "Self": lambda one: not one.owner,
    "Private": lambda one: not one.owner,
    "Amazon": lambda one: one.owner == "Amazon",
    "Public": lambda one: bool(one.owner),
    "ThirdParty": lambda one: one.owner not in ("", "Amazon"),
    "All": lambda _: True,
}


def _test(key: str, values: Iterable[str], scope: Scope) -> Callable[[Document, Mapping[str, str]], bool]:
    wanted = list(values)

    def owned(document: Document, _: Mapping[str, str]) -> bool:
        return any(_OWNERS[one](document) if one in _OWNERS else _owner(document, scope) == one for one in wanted)

    def platform(document: Document, _: Mapping[str, str]) -> bool:
        return not set(wanted).isdisjoint(found_in(document, picked(document)).content.platforms)

    tests: dict[str, Callable[[Document, Mapping[str, str]], bool]] = {
        "Owner": owned,
        "PlatformTypes": platform,
        "Name": lambda document, _: document.name.startswith(tuple(wanted)),
        "SearchKeyword": lambda document, _: all(one.lower() in document.name.lower() for one in wanted),
        "DocumentType": lambda _, __: "Command" in wanted,
        "TargetType": lambda document, _: picked(document).target_type in wanted,
    }
    if key.startswith("tag:"):
        return lambda _, tags: tags.get(key.removeprefix("tag:")) in wanted
    if key not in tests:
        raise InvalidFilterKey(f"There is no filter {key}. There are: {', '.join([*tests, 'tag:<key>'])}.")
    return tests[key]
