"""Parameters of documents: what their definitions may say, and whether values fit them.

SendCommand gives every value as a list of strings; what a type makes of them stands in `_READ`.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tocsin.core.regex.charset import Untranslatable
from tocsin.core.regex.matching import Matcher, matcher
from tocsin.model.command_errors import InvalidDocumentContent, InvalidParameters

# A pattern comes from whoever writes documents: no text of any length is tried on it.
PATTERN_CHARS_MAX = 1024
MATCHED_CHARS_MAX = 4096
PATTERNS_KEPT_MAX = 1_000

Value = Any  # a str, list, bool, int or dict, by the type


class Parameter(Struct, frozen=True, kw_only=True):
    """A definition. `default` is None where there is none: then a value must be given."""

    name: str
    type: str
    description: str = ""
    default: Value | None = None
    allowed_values: tuple[Value, ...] = ()
    allowed_pattern: str = ""
    least_chars: int | None = None
    most_chars: int | None = None
    least_items: int | None = None
    most_items: int | None = None
    as_variable: bool = False


_MEMBERS = frozenset(
    {
        *("type", "description", "default", "allowedValues", "allowedPattern", "displayType"),
        *("minChars", "maxChars", "minItems", "maxItems", "interpolationType"),
    }
)
_KIND: dict[str, Callable[[Value], bool]] = {
    "String": lambda value: isinstance(value, str),
    "StringList": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "Boolean": lambda value: isinstance(value, bool),
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "StringMap": lambda value: isinstance(value, dict),
    "MapList": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
}
_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")


def parameter_of(name: str, spec: Any) -> Parameter:
    """Raises InvalidDocumentContent."""

    def wrong(why: str) -> InvalidDocumentContent:
        return InvalidDocumentContent(f"Parameter {name} {why}.")

    if not isinstance(spec, dict) or not _NAME.fullmatch(name):
        raise wrong("must be an object under a name of A-Z a-z 0-9 _")
    unknown = sorted(spec.keys() - _MEMBERS)
    if unknown:
        raise wrong(f"has {', '.join(map(str, unknown))}, which is not supported here")
    kind, pattern = spec.get("type"), spec.get("allowedPattern", "")
    if kind not in _KIND:
        raise wrong(f"has the type {kind}; there are {', '.join(_KIND)}")
    if not isinstance(pattern, str) or len(pattern) > PATTERN_CHARS_MAX:
        raise wrong(f"has an allowedPattern that is no text of at most {PATTERN_CHARS_MAX} characters")
    try:
        _pattern(pattern)
    except Untranslatable as error:
        raise wrong(f"has an allowedPattern that cannot be used here: {error}") from error
    allowed = spec.get("allowedValues", [])
    if not isinstance(allowed, list):
        raise wrong("has allowedValues that are no list")
    interpolation = spec.get("interpolationType", "")
    if interpolation not in ("", "ENV_VAR") or (interpolation and kind != "String"):
        raise wrong("can have the interpolationType ENV_VAR only, and that only as a String")
    parameter = Parameter(
        name=name,
        type=kind,
        description=str(spec.get("description", "")),
        default=spec.get("default"),
        allowed_values=tuple(allowed),
        allowed_pattern=pattern,
        least_chars=_count(spec, "minChars", wrong),
        most_chars=_count(spec, "maxChars", wrong),
        least_items=_count(spec, "minItems", wrong),
        most_items=_count(spec, "maxItems", wrong),
        as_variable=bool(interpolation),
    )
    if parameter.default is not None and not _KIND[kind](parameter.default):
        raise wrong(f"has a default that is no {kind}")
    return parameter


@functools.lru_cache(PATTERNS_KEPT_MAX)
def _pattern(text: str) -> Matcher:
    """Raises Untranslatable."""
    return matcher(text)


def _count(spec: Mapping[str, Any], member: str, wrong: Callable[[str], InvalidDocumentContent]) -> int | None:
    value = spec.get(member)
    if value is None:
        return None
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(f"has a {member} that is no number")
    return value


def values(definitions: Mapping[str, Parameter], given: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """A value for every parameter. Raises InvalidParameters, naming the parameter and what it may be."""
    unknown = sorted(given.keys() - definitions.keys())
    if unknown:
        known = ", ".join(definitions) or "none"
        raise InvalidParameters(f"Parameters {', '.join(unknown)} are not defined in the document. It has: {known}.")
    return {name: _value(one, given.get(name)) for name, one in definitions.items()}


def _value(parameter: Parameter, given: Sequence[str] | None) -> Value:
    if given is None:
        if parameter.default is None:
            raise InvalidParameters(f"Parameter {parameter.name} is required and was not given.")
        return parameter.default
    try:
        value = _READ[parameter.type](list(given))
    except ValueError as error:
        raise InvalidParameters(f"Parameter {parameter.name} is no {parameter.type}: {error}") from error
    _check(parameter, value)
    return value


def _one(given: list[str]) -> str:
    if len(given) != 1:
        raise ValueError(f"it needs one value, and {len(given)} were given")
    return given[0]


def _boolean(given: list[str]) -> bool:
    text = _one(given).lower()
    if text not in ("true", "false"):
        raise ValueError("it is true or false")
    return text == "true"


def _map(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is a JSON object")
    return found


_READ: dict[str, Callable[[list[str]], Value]] = {
    "String": _one,
    "StringList": list,
    "Boolean": _boolean,
    "Integer": lambda given: int(_one(given)),
    "StringMap": lambda given: _map(_one(given)),
    "MapList": lambda given: [_map(one) for one in given],
}


def _check(parameter: Parameter, value: Value) -> None:
    items = value if isinstance(value, list) else [value]
    name = parameter.name
    if parameter.allowed_values and any(one not in parameter.allowed_values for one in items):
        allowed = ", ".join(map(str, parameter.allowed_values))
        raise InvalidParameters(f"Parameter {name} has a value that is not allowed. Allowed are: {allowed}.")
    if isinstance(value, list) and not _within(len(value), parameter.least_items, parameter.most_items):
        raise InvalidParameters(f"Parameter {name} has {len(value)} items; {_range(parameter, 'items')}.")
    for text in (one for one in items if isinstance(one, str)):
        if not _within(len(text), parameter.least_chars, parameter.most_chars):
            raise InvalidParameters(f"Parameter {name} has {len(text)} characters; {_range(parameter, 'chars')}.")
        if parameter.allowed_pattern and not _matches(parameter.allowed_pattern, text):
            raise InvalidParameters(f"Parameter {name} does not match the pattern {parameter.allowed_pattern}.")


def _within(count: int, least: int | None, most: int | None) -> bool:
    return (least is None or count >= least) and (most is None or count <= most)


def _range(parameter: Parameter, what: str) -> str:
    least, most = (
        (parameter.least_items, parameter.most_items)
        if what == "items"
        else (parameter.least_chars, parameter.most_chars)
    )
    return f"from {least or 0} to {'any' if most is None else most} are allowed"


def _matches(pattern: str, text: str) -> bool:
    """The whole value, as Java's `matches` has it: what a pattern does not name does not get into a script."""
    return len(text) <= MATCHED_CHARS_MAX and bool(_pattern(pattern)(text))
