"""A Target's Input, InputPath or InputTransformer -> Shaping, or AWS's sentence why not.

Called once when a target is put and once when a bus takes its rules up; `filling.py` then uses the outcome per event.

Sources: facts/peers.md §3.2; PutTargets answers recorded on AWS in 2026-09 (docs/transform.md says which are sure).
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct

from tocsin.core.patterns.refusal import Refused, location
from tocsin.core.patterns.scanner import END, Scanner
from tocsin.model.errors import Validation

from .paths import Path, read_path
from .template import Template, is_json_template, read_template, slot_names, without_slots
from .values import PREDEFINED, WHOLE_EVENT

input_chars_max: Final = 8192
"""Of Input and of InputTemplate; this and the next three are the API model's own."""
paths_max: Final = 100
path_chars_max: Final = 256
path_key_chars_max: Final = 256

_PATH_KEY: Final = re.compile(r"[A-Za-z0-9_\-]+")
_CHOICES: Final = ("Input", "InputPath", "InputTransformer")


class Constant(Struct, frozen=True):
    """The payload, whatever the event."""

    payload: bytes


class Part(Struct, frozen=True):
    """The payload is a part of the event."""

    path: Path


class Filled(Struct, frozen=True):
    """The payload is a template, filled with what the paths lead to."""

    template: Template
    paths: dict[str, Path]


Shaping: TypeAlias = Constant | Part | Filled


def shaping(spec: Mapping[str, Any]) -> Shaping | None:
    """What a request's Target member wants to be sent; None when it wants the event.

    Raises:
        Validation: in AWS's words.
    """
    given = [name for name in _CHOICES if spec.get(name) is not None]
    target = str(spec.get("Id", ""))
    if len(given) > 1:
        raise Validation(f"Only one of Input, InputPath, or InputTransformer must be provided for target {target}.")
    if not given:
        return None
    if given == ["Input"]:
        return _constant(spec["Input"], target)
    if given == ["InputPath"]:
        return Part(_path(spec["InputPath"], "inputPath", target))
    return _filled(spec["InputTransformer"], target)


def _constant(text: str, target: str) -> Constant:
    _at_most(input_chars_max, len(text), "input")
    if (place := _flaw(text, values_max=1)) is not None:
        raise Validation(f"JSON syntax error in input for target {target}: {place}")
    return Constant(text.encode("utf-8", "replace"))


def _path(text: str, member: str, target: str) -> Path:
    _at_most(path_chars_max, len(text), member)
    path = read_path(text)
    if path is None:
        raise Validation(f"InputPath for target {target} is invalid.")
    return path


def _filled(transformer: Mapping[str, Any], target: str) -> Filled:
    given = transformer.get("InputPathsMap") or {}
    _at_most(paths_max, len(given), "inputTransformer.inputPathsMap")
    for key in given:
        _check_key(key)
    paths = {key: _path(text, "inputTransformer.inputPathsMap", target) for key, text in given.items()}
    text = transformer.get("InputTemplate") or ""
    if not text:
        raise _broken("inputTransformer.inputTemplate", "Member must have length greater than or equal to 1")
    _at_most(input_chars_max, len(text), "inputTransformer.inputTemplate")
    _check_template(text, paths, target)
    return Filled(read_template(text), paths)


def _check_key(key: str) -> None:
    """Predefined names hold dots, so this refuses them too; a name that begins with AWS is taken (recorded)."""
    if len(key) > path_key_chars_max or not _PATH_KEY.fullmatch(key):
        raise _broken(
            "inputTransformer.inputPathsMap",
            f"Map keys must satisfy constraint: [Member must have length less than or equal to {path_key_chars_max},"
            " Member must have length greater than or equal to 1, Member must satisfy regular expression pattern:"
            r" [A-Za-z0-9\_\-]+]",
        )


def _check_template(text: str, paths: Mapping[str, Path], target: str) -> None:
    is_json = is_json_template(text)
    for name in slot_names(text):
        if name not in paths and name not in PREDEFINED:
            raise Validation(f"InputTemplate for target {target} contains invalid placeholder {name}.")
        if name == WHOLE_EVENT and not is_json:
            raise Validation(
                f"InputTemplate for target {target} contains placeholder {name} valid only for JSON template."
            )
    if (place := _flaw(without_slots(text), values_max=1 if is_json else len(text))) is not None:
        raise Validation(f"Invalid InputTemplate for target {target} : {place}.")


def _flaw(text: str, *, values_max: int) -> str | None:
    """Where a text stops being JSON values, one to `values_max` with blanks between them; None if it does not."""
    scanner = Scanner(text)
    values, depth = 0, 0
    try:
        while (kind := scanner.next()) != END:
            values += depth == 0 and kind not in "]}"
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(kind, 0)
            if values > values_max:
                scanner.refuse("a second value")
        if not values:
            scanner.refuse("no value")
    except Refused:
        return location(text, scanner.position)
    return None


def _at_most(limit: int, size: int, member: str) -> None:
    if size > limit:
        raise _broken(member, f"Member must have length less than or equal to {limit}")


def _broken(member: str, constraint: str) -> Validation:
    """A limit of the API model. The wire says it first and quotes the value; this is for callers without a wire."""
    return Validation(f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}")
