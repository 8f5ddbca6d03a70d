"""Names and types of a settings file, all of them at once: what the server's own start would tell one by one."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from tocsin.server.checks.finding import Finding, error, warning
from tocsin.server.settings import VARIABLES, Settings

# Variables that are not settings of the server, by what they begin with or are called.
OTHERS = ("TOCSIN_ENDPOINT", "TOCSIN_CHAT_", "TOCSIN_NODE_")


def names(given: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings that do not exist, and those of the wrong type."""
    yield from _table(Settings, given, "")


def variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like ours and are none."""
    for name in environment:
        if name.startswith("TOCSIN_") and name not in VARIABLES and not name.startswith(OTHERS):
            yield warning(name, f"there is no such variable{_near(name, VARIABLES)}")


def _table(record: type[Struct], given: Mapping[str, Any], prefix: str) -> Iterator[Finding]:
    fields = {field.name: field.type for field in msgspec.structs.fields(record)}
    for name, value in given.items():
        where = f"{prefix}{name}"
        if name not in fields:
            yield error(where, f"there is no such setting{_near(name, fields)}")
        else:
            yield from _value(fields[name], value, where)


def _value(kind: Any, value: Any, where: str) -> Iterator[Finding]:
    """Tables are looked into; whatever else is converted as the start would."""
    if _is_record(kind) and isinstance(value, dict):
        yield from _table(kind, value, f"{where}.")
    elif get_origin(kind) is dict and isinstance(value, dict) and _is_record(get_args(kind)[1]):
        for name, inner in value.items():
            yield from _value(get_args(kind)[1], inner, f"{where}.{name}")
    else:
        try:
            msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as wrong:
            yield error(where, str(wrong).partition(" - at ")[0])


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else ""
