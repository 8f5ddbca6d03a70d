"""JSON Patch (RFC 6902) with JSON Pointer (RFC 6901): a document and a list of operations -> the document after them.

UpdateResource applies one to a resource's model. All or nothing: the document given is never changed.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import orjson

from tocsin.model.errors import InvalidRequest

Parts = list[str]
Step = Callable[[Any, dict[str, Any]], Any]

# More than a model has properties; each of them may copy the whole document into itself.
OPERATIONS_MAX = 1_000
# "Allow up to 256K length of Resource properties" (botocore, cloudcontrol).
DOCUMENT_CHARS_MAX = 262_144
# No type of resource nests half as deep; what reads and copies documents calls itself for each level.
NESTING_MAX = 100


def loaded(text: str) -> list[dict[str, Any]]:
    """The operations of a patch document. Raises InvalidRequest."""
    operations = parsed(text, "Invalid patch update: the document")
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise _wrong("the document must be a list of operations")
    if len(operations) > OPERATIONS_MAX:
        raise _wrong(f"it has more than {OPERATIONS_MAX} operations")
    return operations


def parsed(text: str, what: str) -> Any:
    """The JSON value in a text, `what` being its name in the error. Raises InvalidRequest."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{what} is not valid JSON: {error}") from error
    return _shallow(value, what)


def _shallow(value: Any, what: str) -> Any:
    level = [value]
    for _ in range(NESTING_MAX):
        held = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [item for items in held for item in items]
        if not level:
            return value
    raise InvalidRequest(f"{what} is nested more than {NESTING_MAX} levels deep.")


def patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """The document after all operations, in order. Raises InvalidRequest, which names the operation."""
    document = copy.deepcopy(document)
    for operation in operations:
        step = STEPS.get(str(operation.get("op")))
        if step is None:
            raise _wrong(f"op must be one of {', '.join(STEPS)}", operation)
        document = step(document, operation)
        if step is _copied and len(json.dumps(document)) > DOCUMENT_CHARS_MAX:
            raise _wrong(f"the document grows over {DOCUMENT_CHARS_MAX} characters", operation)
        _shallow(document, "Invalid patch update: the result")
    return document


def pointer(text: object) -> Parts:
    """The parts of a JSON pointer; none for the whole document. Raises InvalidRequest."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _wrong(f"{text!r} is not a JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _added(document: Any, operation: dict[str, Any]) -> Any:
    return _put(document, operation, copy.deepcopy(_value(operation)))


def _removed(document: Any, operation: dict[str, Any]) -> Any:
    _taken(document, _path(operation), operation)
    return document


def _replaced(document: Any, operation: dict[str, Any]) -> Any:
    value, path = copy.deepcopy(_value(operation)), _path(operation)
    if not path:
        return value
    _found(document, path, operation)
    holder = _found(document, path[:-1], operation)
    holder[_index(holder, path[-1], operation) if isinstance(holder, list) else path[-1]] = value
    return document


def _moved(document: Any, operation: dict[str, Any]) -> Any:
    source, path = _path(operation, "from"), _path(operation)
    if path[: len(source)] == source and len(path) > len(source):
        raise _wrong("a value cannot move into itself", operation)
    if source == path:
        _found(document, source, operation)
        return document
    return _put(document, operation, _taken(document, source, operation))


def _copied(document: Any, operation: dict[str, Any]) -> Any:
    return _put(document, operation, copy.deepcopy(_found(document, _path(operation, "from"), operation)))


def _tested(document: Any, operation: dict[str, Any]) -> Any:
    if not same(_found(document, _path(operation), operation), _value(operation)):
        raise _wrong("the value is another than the test asks for", operation)
    return document


STEPS: dict[str, Step] = {
    "add": _added,
    "remove": _removed,
    "replace": _replaced,
    "move": _moved,
    "copy": _copied,
    "test": _tested,
}


def _path(operation: dict[str, Any], member: str = "path") -> Parts:
    if member not in operation:
        raise _wrong(f"{member} is missing", operation)
    return pointer(operation[member])


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise _wrong("value is missing", operation)
    return operation["value"]


def _put(document: Any, operation: dict[str, Any], value: Any) -> Any:
    path = _path(operation)
    if not path:
        return value
    holder = _found(document, path[:-1], operation)
    if isinstance(holder, dict):
        holder[path[-1]] = value
    elif isinstance(holder, list):
        at = len(holder) if path[-1] == "-" else _index(holder, path[-1], operation, beyond=1)
        holder.insert(at, value)
    else:
        raise _nowhere(operation)
    return document


def _taken(document: Any, path: Parts, operation: dict[str, Any]) -> Any:
    if not path:
        raise _wrong("the whole document cannot be taken away", operation)
    _found(document, path, operation)
    holder = _found(document, path[:-1], operation)
    return holder.pop(_index(holder, path[-1], operation) if isinstance(holder, list) else path[-1])


def _found(document: Any, path: Parts, operation: dict[str, Any]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part, operation)]
        else:
            raise _nowhere(operation)
    return document


def _index(items: list[Any], part: str, operation: dict[str, Any], beyond: int = 0) -> int:
    """An array index: digits without leading zeros (RFC 6901, 4), of an item that is there, or so many beyond."""
    digits = part.isascii() and part.isdecimal() and len(part) < 10 and (part == "0" or part[0] != "0")
    if not digits or int(part) >= len(items) + beyond:
        raise _nowhere(operation)
    return int(part)


def _nowhere(operation: dict[str, Any]) -> InvalidRequest:
    return _wrong("there is no such path in the resource's properties", operation)


def _wrong(why: str, operation: dict[str, Any] | None = None) -> InvalidRequest:
    said = f" (op {str(operation.get('op'))[:16]}, path {str(operation.get('path'))[:128]})" if operation else ""
    return InvalidRequest(f"Invalid patch update: {why}{said}")
