"""An event as the bus holds it: the AWS envelope as compact JSON, plus what routing needs to find it."""

from typing import Any

import orjson
from msgspec import Struct

from tocsin.model.names import Scope


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """One accepted event. `body` is the envelope as one line of JSON; `at_ms` the time of acceptance.

    `by_hand` marks what a person put in the place of a service; nothing in the envelope tells.
    """

    scope: Scope
    bus: str
    id: str
    at_ms: int
    body: bytes
    by_hand: bool = False


class Journaled(Struct, frozen=True, kw_only=True, gc=False):
    """An event at its place in the journal. `seq` grows by commit order and never repeats."""

    seq: int
    event: Event


class JournalMark(Struct, frozen=True, array_like=True):
    """Where an entry stands in the journal, when it was accepted, and how many bytes of events the journal took in up
    to and with it. Only the difference of two such sums means something."""

    seq: int
    at_ms: int
    through_bytes: int


def envelope(
    *,
    scope: Scope,
    id: str,  # noqa: A002
    source: str,
    detail_type: str,
    time: str,
    resources: list[str],
    detail: Any,
) -> bytes:
    """AWS's envelope, in its key order (facts/hyperpod.md §2.2). `detail` is a dict or an orjson.Fragment."""
    return orjson.dumps(
        {
            "version": "0",
            "id": id,
            "detail-type": detail_type,
            "source": source,
            "account": scope.account,
            "time": time,
            "region": scope.region,
            "resources": resources,
            "detail": detail,
        }
    )
