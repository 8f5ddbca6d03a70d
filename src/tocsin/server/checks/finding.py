"""What a check finds: an error ends the start, a warning is missing or unwise."""

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Finding(Struct, frozen=True):
    """`setting` is a dotted name, a variable or a file; `text` says what is wrong with it, and what would be right."""

    level: Level
    setting: str
    text: str


def error(setting: str, text: str) -> Finding:
    return Finding(Level.ERROR, setting, text)


def warning(setting: str, text: str) -> Finding:
    return Finding(Level.WARNING, setting, text)
