"""A control as people write it, on the command line and in a rule's tags: one text, one meaning.

    on-change=FIELD[/KEY+KEY…]  deduplicate=KEY[+KEY…]/WINDOW  throttle=N/WINDOW

Only characters that AWS allows in the value of a tag are needed. FIELD and KEY are JSONPaths without their `$.`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.core.transform.paths import read_path
from tocsin.model.errors import Validation
from tocsin.model.noise import Control, Deduplicate, OnChange, Throttle

# On a rule for all its targets; with `:` and a target's id behind it, for that one.
TAG = "tocsin:noise"

WINDOW_S_MAX = 7 * 24 * 3600  # as long as the journal remembers by default
DELIVERIES_MAX = 100_000
PATHS_MAX = 10
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FORM = "on-change=FIELD[/KEY+KEY], deduplicate=KEY[+KEY]/WINDOW and throttle=N/WINDOW, with a window like 30s, 5m or 1h"


def control_of(text: str) -> Control:
    """Raises Validation, which says what is wrong."""
    found: dict[str, Any] = {}
    for clause in text.split():
        name, equals, rest = clause.partition("=")
        if not equals or name not in _CLAUSES:
            raise Validation(f"{clause!r} is no noise control. Write {FORM}.")
        member, read = _CLAUSES[name]
        if member in found:
            raise Validation(f"{name} is given twice.")
        found[member] = read(rest)
    if not found:
        raise Validation(f"A noise control says something: {FORM}.")
    return Control(**found)


def text_of(control: Control) -> str:
    """What `control_of` reads back."""
    parts: list[str] = []
    if one := control.on_change:
        parts.append(f"on-change={'/'.join([one.field, *(['+'.join(one.key)] if one.key else [])])}")
    if many := control.deduplicate:
        parts.append(f"deduplicate={'+'.join(many.key)}/{_window_text(many.window_s)}")
    if rate := control.throttle:
        parts.append(f"throttle={rate.deliveries_max}/{_window_text(rate.window_s)}")
    return " ".join(parts)


def from_tags(tags: Mapping[str, str], target_id: str) -> Control | None:
    """What a rule's tags say for the target: the tag for it alone, else the one for all. Raises Validation."""
    text = tags.get(f"{TAG}:{target_id}", tags.get(TAG, ""))
    return control_of(text) if text else None


def _on_change(text: str) -> OnChange:
    field, _, key = text.partition("/")
    return OnChange(_path(field), _paths(key) if key else ())


def _deduplicate(text: str) -> Deduplicate:
    key, _, window = text.rpartition("/")
    return Deduplicate(_paths(key), _window_s(window))


def _throttle(text: str) -> Throttle:
    count, _, window = text.partition("/")
    if not re.fullmatch(r"[0-9]{1,6}", count) or not 0 < int(count) <= DELIVERIES_MAX:
        raise Validation(f"throttle lets through 1 to {DELIVERIES_MAX} deliveries, not {count!r}.")
    return Throttle(int(count), _window_s(window))


_CLAUSES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "on-change": ("on_change", _on_change),
    "deduplicate": ("deduplicate", _deduplicate),
    "throttle": ("throttle", _throttle),
}


def _paths(text: str) -> tuple[str, ...]:
    paths = tuple(_path(one) for one in text.split("+"))
    if len(paths) > PATHS_MAX:
        raise Validation(f"A key has at most {PATHS_MAX} parts, not {len(paths)}.")
    return paths


def _path(text: str) -> str:
    path = text.removeprefix("$.")
    read = read_path(f"$.{path}")
    if read is None or read.wild or "/" in path or "+" in path:
        raise Validation(f"{text!r} is no path like detail.InstanceId.")
    return path


def _window_s(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= WINDOW_S_MAX:
        raise Validation(f"A window is written like 30s, 5m or 1h and lasts up to 7 days; {text!r} does not.")
    return seconds


def _window_text(seconds: int) -> str:
    unit = next(unit for unit in reversed(_UNITS) if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
