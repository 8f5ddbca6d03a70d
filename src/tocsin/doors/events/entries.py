"""PutEvents entries -> events. What AWS refuses is refused per entry, in its words (facts/peers.md §3.2)."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from msgspec import Struct

from tocsin.model.errors import Validation
from tocsin.model.event import Event, envelope
from tocsin.model.names import Scope
from tocsin.model.times import iso_second

ENTRIES_BYTES_MAX = 1 << 20  # AWS: the entries of one request together stay below 1 MB
DETAIL_TYPE_CHARS_MAX = 128  # AWS: botocore's model of PutEvents
_TIME_BYTES = 14  # what AWS counts for an entry that carries a Time
_REQUIRED = ("Source", "DetailType", "Detail")
_SPACE = b" \t\n\r"
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^"\s]+')  # strings, and what stands between them without space


class Refusal(Struct, frozen=True):
    """Why one entry is not taken: the members of its place in the answer."""

    code: str
    message: str


def check_size(entries: list[dict[str, Any]]) -> None:
    """Raise Validation when the entries are too large together. Counted as AWS documents it, in UTF-8 bytes."""
    if sum(map(_entry_bytes, entries)) >= ENTRIES_BYTES_MAX:
        raise Validation("Total size of the entries in the request is over the limit.")


def _entry_bytes(entry: dict[str, Any]) -> int:
    size = _TIME_BYTES if "Time" in entry else 0
    for text in (*map(entry.get, _REQUIRED), *entry.get("Resources", ())):
        if text:
            size += len(text) if text.isascii() else len(text.encode())  # most are, and Python keeps in mind which
    return size


def to_event(
    entry: dict[str, Any], *, bus: str, scope: Scope, at_ms: int, now: str, new_id: Callable[[int], str]
) -> Event | Refusal:
    """The entry's event on the bus, or why it is refused. `now` is what an entry tells that has no Time."""
    for name in _REQUIRED:
        if not entry.get(name):
            return Refusal("InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument.")
    if len(entry["DetailType"]) > DETAIL_TYPE_CHARS_MAX:
        reason = f"DetailType is longer than {DETAIL_TYPE_CHARS_MAX} characters."
        return Refusal("InvalidArgument", f"Parameter DetailType is not valid. Reason: {reason}")
    if entry["Source"].startswith("aws."):
        return Refusal("NotAuthorizedForSourceException", "Not authorized for the source.")
    detail = compact_object(entry["Detail"])
    if detail is None:
        return Refusal("MalformedDetail", "Detail is malformed.")
    event_id = new_id(at_ms)
    body = envelope(
        scope=scope,
        id=event_id,
        source=entry["Source"],
        detail_type=entry["DetailType"],
        time=iso_second(entry["Time"]) if "Time" in entry else now,
        resources=entry.get("Resources", []),
        detail=orjson.Fragment(detail),
    )
    return Event(scope=scope, bus=bus, id=event_id, at_ms=at_ms, body=body)


def compact_object(text: str) -> bytes | None:
    """A JSON object without white space between its tokens, numbers and key order untouched; None if it is none.

    None also for one that is nested beyond what every reader behind the door can take.
    """
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(parsed, dict):
        return None
    raw = text.encode()
    try:
        compact = orjson.dumps(parsed)
    except orjson.JSONEncodeError:  # nested deeper than 254: the router may not be able to read it back
        return None
    # orjson writes some numbers and escapes in its own way. Where only white space is different, it did not.
    if compact == raw or compact.translate(None, _SPACE) == raw.translate(None, _SPACE):
        return compact
    return "".join(_TOKENS.findall(text)).encode()
