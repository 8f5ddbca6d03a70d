"""What stands for a slot, as JSON text: values of the event, facts about the delivery, and how they look in quotes."""

import re
from collections.abc import Callable
from typing import Final

import orjson
from msgspec import Struct

from .paths import Reading

MISSING: Final = b'""'
"""What a path that leads nowhere gives (recorded on AWS): an empty string."""

WHOLE_EVENT: Final = "aws.events.event.json"

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_HEAD: Final = ("id", "account", "detail-type", "time", "source", "region", "resources", "version")


class About(Struct, frozen=True):
    """Facts of one delivery: its rule, and when the event came in (ISO 8601)."""

    rule_arn: str
    rule_name: str
    ingestion_time: str


def head(event: Reading) -> bytes:
    """The event without its detail, in the order and with the spelling `detailType` recorded on AWS."""
    members = event.members()
    names = [name for name in _HEAD if name in members] + [name for name in members if name not in (*_HEAD, "detail")]
    texts = [orjson.dumps("detailType" if name == "detail-type" else name) + b":" + members[name] for name in names]
    return b"{" + b",".join(texts) + b"}"


PREDEFINED: Final[dict[str, Callable[[Reading, About], bytes]]] = {
    "aws.events.rule-arn": lambda event, about: orjson.dumps(about.rule_arn),
    "aws.events.rule-name": lambda event, about: orjson.dumps(about.rule_name),
    "aws.events.event.ingestion-time": lambda event, about: orjson.dumps(about.ingestion_time),
    "aws.events.event": lambda event, about: head(event),
    WHOLE_EVENT: lambda event, about: event.body,
}
"""The names that need no path (user guide, "Predefined variables")."""


def in_quotes(value: bytes, *, is_json: bool) -> bytes:
    """A JSON value as it stands inside a string.

    A string loses its own quotes and keeps its escapes. An object or a list loses all quotes, except in a JSON
    template: there AWS leaves them, and what comes of it is no JSON.
    """
    if value[:1] == b'"':
        return value[1:-1]
    if value[:1] in (b"{", b"[") and not is_json:
        return _STRING.sub(rb"\1", value)
    return value
