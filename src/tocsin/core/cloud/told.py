"""What a resource's model shows: exactly what was sent where that still holds, what is otherwise where it does not.

Whoever sends a model and reads it again finds no difference that is not one: neither defaults that nobody asked for,
nor another order of what has none, nor another spelling of the same JSON.
"""

import json
from collections.abc import Mapping
from typing import Any

from tocsin.core.cloud.patch import same
from tocsin.core.cloud.schema import OBJECT, Schema

# Sent, these say that there is none: a service that then says nothing of it agrees.
EMPTY: tuple[Any, ...] = ("", [], {})


def told(schema: Schema, actual: Mapping[str, Any], sent: Mapping[str, Any] | None) -> dict[str, Any]:
    """The model to show of a resource, `actual` being all that its service says of it. `sent`: None, if it was made
    otherwise; then nobody waits for a certain model, and defaults are told as well."""
    if sent is None:
        return {
            name: _plain(schema, name, value)
            for name, value in actual.items()
            if value is not None and value not in EMPTY and name not in schema.write_only
        }
    shown = {
        name: _shown(schema, name, value, sent)
        for name, value in actual.items()
        if value is not None and _shows(schema, name, value, sent)
    }
    return shown | {
        name: value
        for name, value in sent.items()
        if value in EMPTY and actual.get(name) is None and name in schema.properties and name not in schema.write_only
    }


def _shows(schema: Schema, path: str, value: Any, sent: Mapping[str, Any]) -> bool:
    name = path.rpartition("/")[2]
    if path in schema.write_only:
        return False
    if name in sent or path in (*schema.read_only, schema.identifier, schema.named):
        return True
    return path not in schema.derived and not same(value, schema.defaults.get(path)) and value not in ({}, [])


def _shown(schema: Schema, path: str, value: Any, sent: Mapping[str, Any]) -> Any:
    name = path.rpartition("/")[2]
    return _as_sent(schema, path, value, sent[name]) if name in sent else _plain(schema, path, value)


def _plain(schema: Schema, path: str, value: Any) -> Any:
    """A value of which nothing was sent, without what would not have been asked for; a document as what it says."""
    if isinstance(value, list) and path in schema.keys:
        return [_inner(schema, path, one, {}) for one in value]
    if isinstance(value, str) and OBJECT in schema.properties.get(path, ()):
        return _read(value) or value
    return value


def _as_sent(schema: Schema, path: str, value: Any, sent: Any) -> Any:
    if same(value, sent) or _alike(path, value, sent):
        return sent
    match value, sent:
        case list(), list() if path in schema.keys:
            return _in_order(schema, path, value, sent)
        case list(), list():
            return sent if sorted(map(_text, value)) == sorted(map(_text, sent)) else value
        case dict(), dict():
            return {name: _as_sent(schema, f"{path}/{name}", one, sent.get(name)) for name, one in value.items()}
        case str(), dict() | list():
            return _as_sent(schema, path, _read(value), sent) if _read(value) is not None else value
        case str(), str() if _read(sent) is not None and same(_read(value), _read(sent)):
            return sent
    return value


def _in_order(schema: Schema, path: str, value: list[Any], sent: list[Any]) -> list[Any]:
    """Items in the order in which they were sent; those that were not come behind."""
    key = schema.keys[path]
    left = {_text(one.get(key)): one for one in value}
    shown = []
    for one in sent:
        found = left.pop(_text(one.get(key)) if isinstance(one, dict) else "", None)
        if found is not None:
            shown.append(_inner(schema, path, found, one))
    return shown + [_inner(schema, path, one, {}) for one in left.values()]


def _inner(schema: Schema, path: str, item: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in item if item[name] is not None]
    paths = {name: f"{path}/*/{name}" for name in names}
    key = schema.keys[path]
    return {
        name: _shown(schema, paths[name], item[name], sent)
        for name in names
        if name == key or _shows(schema, paths[name], item[name], sent)
    }


def _alike(path: str, value: Any, sent: Any) -> bool:
    """A bus is named or given by its ARN."""
    if path != "EventBusName" or not isinstance(sent, str):
        return False
    return bool(value == sent.rpartition("/")[2])


def _read(text: str) -> Any:
    """The JSON object or list in a text; None when it is none."""
    try:
        found = json.loads(text) if text[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None
    return found


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
