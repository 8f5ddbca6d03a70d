"""The JSONPaths EventBridge takes: `$.detail.items[0].name`, and where they lead in an event.

Values are handed on as the event's own text, so that every number arrives as it was written. `spec.py` reads paths,
`filling.py` follows them.

Source of the syntax: the user guide's list (names with dashes, underscores and slashes, indices, `*`), and what
PutTargets was recorded to refuse: a path without `$`, quoted brackets, blanks.
"""

import re
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

_STEP: Final = re.compile(
    r"""\.(?:(?P<any_name>\*)|(?P<name>[^\s.\[\]()*?@,'"]+))|\[(?:(?P<any>\*)|(?P<index>\d{1,9}))\]"""
)

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])

Step: TypeAlias = str | int | None
"""A member's name, an item's index, or None for all members and items (`*`)."""


class Path(Struct, frozen=True):
    """Steps from the root. One with a `*` leads to a list of what it finds, others to one value or none."""

    steps: tuple[Step, ...]

    @property
    def wild(self) -> bool:
        return None in self.steps


def read_path(text: str) -> Path | None:
    """The path a text means, or None when EventBridge takes none such."""
    if not text.startswith("$"):
        return None
    at, steps = 1, list[Step]()
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return None
        steps.append(found["name"] or (int(found["index"]) if found["index"] else None))
        at = found.end()
    return Path(tuple(steps))


class Reading:
    """One event while it is shaped. Takes it apart only where a path leads, and each place once."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._opened: dict[tuple[Step, ...], dict[Any, msgspec.Raw]] = {}

    def text(self, path: Path) -> bytes | None:
        """The text of the value at the path, or None when there is nothing."""
        found = self._follow((), self.body, path.steps)
        if path.wild:
            return b"[" + b",".join(found) + b"]"
        return found[0] if found else None

    def members(self) -> dict[str, bytes]:
        """The event's own members and their texts."""
        return {name: bytes(text) for name, text in self._open((), self.body).items() if isinstance(name, str)}

    def _follow(self, at: tuple[Step, ...], text: bytes, steps: tuple[Step, ...]) -> list[bytes]:
        if not steps:
            return [text]
        inside = self._open(at, text)
        wanted = list(inside) if steps[0] is None else [steps[0]]
        return [
            found
            for step in wanted
            if step in inside
            for found in self._follow((*at, step), bytes(inside[step]), steps[1:])
        ]

    def _open(self, at: tuple[Step, ...], text: bytes) -> dict[Any, msgspec.Raw]:
        """An object's members by name (the later of twins) or a list's items by index; nothing for anything else."""
        if at not in self._opened:
            self._opened[at] = _parts(text)
        return self._opened[at]


def _parts(text: bytes) -> dict[Any, msgspec.Raw]:
    try:
        match text[:1]:
            case b"{":
                return dict(_OBJECT.decode(text))
            case b"[":
                return dict(enumerate(_LIST.decode(text)))
    except (ValueError, RecursionError):  # no JSON, or nested beyond every reader: such a body has no parts
        pass
    return {}
