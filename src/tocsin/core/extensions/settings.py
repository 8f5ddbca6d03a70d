"""An extension's configuration: what was given, over the defaults of its version, which say what there is to set."""

import json
from collections.abc import Mapping
from typing import Any

from tocsin.model.errors import Validation

# "The configuration settings, as a JSON object": nobody nests deeper by hand.
NESTING_MAX = 20


def read(text: str) -> dict[str, Any]:
    """ConfigurationValues of a request. Raises Validation."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Validation(f"ConfigurationValues is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Validation("ConfigurationValues must be a JSON object.")
    return found


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """What is included is changed, what is left out stays, and null returns to the default."""
    if depth > NESTING_MAX:
        raise Validation(f"ConfigurationValues is nested deeper than {NESTING_MAX} levels.")
    after = {name: value for name, value in settings.items() if changes.get(name, value) is not None}
    for name, value in changes.items():
        if isinstance(value, dict):
            before = after.get(name)
            after[name] = changed(before if isinstance(before, dict) else {}, value, depth + 1)
        elif value is not None:
            after[name] = value
    return after


def whole(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of what was not given."""
    return {
        **defaults,
        **{
            name: whole(defaults[name], value) if isinstance(defaults.get(name), dict) else value
            for name, value in settings.items()
        },
    }


def check(settings: Mapping[str, Any], defaults: Mapping[str, Any], at: str = "") -> None:
    """Raises Validation for a setting the version does not know, and for a value of another kind than its default's.

    A default of null takes every value, and one of an empty object every member.
    """
    for name, value in settings.items():
        where = f"{at}{name}"
        if name not in defaults:
            raise Validation(f"ConfigurationValues: there is no setting {where}. There are: {', '.join(defaults)}.")
        default = defaults[name]
        if default is not None and _sort(value) != _sort(default):
            raise Validation(f"ConfigurationValues: {where} must be {_sort(default)}, not {_sort(value)}.")
        if isinstance(value, dict) and default:
            check(value, default, f"{where}.")


def _sort(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
