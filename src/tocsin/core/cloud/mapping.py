"""CloudFormation's properties <-> what the services' operations take: tags, attributes, documents, lists by key."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.core.cloud.patch import same
from tocsin.core.cloud.schema import BOOLEAN, INTEGER, OBJECT, Schema

TagList = list[dict[str, str]]


def tag_list(tags: Mapping[str, str]) -> TagList:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(model: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a model; of a key that is there twice the last."""
    return {str(one.get("Key")): one.get("Value", "") for one in model.get("Tags") or [] if isinstance(one, dict)}


def changed_tags(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """(what to set, which keys to take away)"""
    old, new = tag_map(before), tag_map(after)
    return {key: new[key] for key in new if old.get(key) != new[key]}, sorted(old.keys() - new.keys())


def differing(before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The properties that are other than before, as they shall be; None where one is taken away."""
    return {name: after.get(name) for name in names if not same(before.get(name), after.get(name))}


def given(model: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: model[name] for name in names if name in model}


def document(value: Any) -> Any:
    """A policy or pattern as services take it: text."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def attribute(value: Any) -> str:
    """A property as the value of an attribute, as SNS and SQS have them; nothing takes it away."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(document(value))


def from_attributes(schema: Schema, attributes: Mapping[str, str]) -> dict[str, Any]:
    """Attributes as the properties of the same names."""
    kinds = {name: kinds[0] for name, kinds in schema.properties.items()}
    return {name: _property(kinds[name], value) for name, value in attributes.items() if name in kinds}


def _property(kind: str, value: str) -> Any:
    match kind:
        case _ if kind == BOOLEAN:
            return value == "true"
        case _ if kind == INTEGER:
            return int(value)
        case _ if kind == OBJECT and value:
            return json.loads(value)
    return value
