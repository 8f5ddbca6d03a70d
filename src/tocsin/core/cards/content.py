"""Payloads of any shape, read without trust: what is not there or of another type is empty."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

# Messages come from anybody who may publish: one that nests deeper than this is not searched further.
DEPTH_SEARCHED_MAX = 12
# JSON can spell half a character, which no encoding can send, and control characters, which no chat shows.
UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def whole(text: str) -> str:
    """The text with what cannot be shown replaced by U+FFFD."""
    return UNSHOWN.sub("\ufffd", text)


def text_of(content: Json, name: str) -> str:
    """A member that is text or a number, else nothing."""
    value = content.get(name)
    return whole(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def member_of(content: Json, name: str) -> Json:
    """A member that is an object, else an empty one."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def objects_of(content: Json, name: str) -> list[Json]:
    """The objects of a list."""
    value = content.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts_of(content: Json, name: str) -> tuple[str, ...]:
    """The texts of a list, or one text alone."""
    value = content.get(name)
    items = value if isinstance(value, list) else [value]
    return tuple(whole(item) for item in items if isinstance(item, str) and item)


def found_in(content: Json, name: str) -> str:
    """The first text of this name anywhere inside."""
    return next((text for inner in _inside(content, DEPTH_SEARCHED_MAX) if (text := text_of(inner, name))), "")


def _inside(content: Json, depth: int) -> Iterator[Json]:
    yield content
    if depth > 0:
        for value in content.values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from _inside(item, depth - 1)
