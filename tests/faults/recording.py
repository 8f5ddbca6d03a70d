"""What a node read over hours, as a file: written by bench/record.py, replayed by test_false_alarms.py.

Gzip, a line of JSON for each round of checks, with what changed since the round before.
"""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tocsin.model.health import Line, Reading


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A round: `at` ms from the beginning, readings by check and subject, those gone, the log's lines since.

    A line is facility, level and text. `made` says that the round was made up, by which rule; "" : it was recorded.
    """

    at: int
    readings: dict[str, float] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    lines: tuple[tuple[int, int, str], ...] = ()
    made: str = ""


class Round(Struct, frozen=True, kw_only=True):
    """A round in full."""

    at_ms: int
    readings: tuple[Reading, ...]
    lines: tuple[Line, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def difference(at: int, before: dict[str, float], after: dict[str, float], lines: Iterable[Line]) -> Entry:
    return Entry(
        at=at,
        readings={name: value for name, value in after.items() if before.get(name) != value},
        gone=tuple(name for name in before if name not in after),
        lines=tuple((line.facility, line.level, line.text) for line in lines),
    )


def written(entry: Entry) -> bytes:
    return _encode(entry) + b"\n"


def read(path: Path) -> list[Entry]:
    return [_decode(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def rounds(entries: Iterable[Entry], began_ms: int) -> Iterator[Round]:
    """The entries as the agent saw them."""
    known: dict[str, float] = {}
    for entry in entries:
        known = {name: value for name, value in (known | entry.readings).items() if name not in entry.gone}
        at_ms = began_ms + entry.at
        yield Round(
            at_ms=at_ms,
            readings=tuple(_reading(name, value, at_ms) for name, value in known.items()),
            lines=tuple(
                Line(source="kmsg", text=text, at_ms=at_ms, facility=facility, level=level)
                for facility, level, text in entry.lines
            ),
        )


def _reading(name: str, value: float, at_ms: int) -> Reading:
    check, _, subject = name.partition(" ")
    return Reading(check=check, subject=subject, value=value, at_ms=at_ms)
