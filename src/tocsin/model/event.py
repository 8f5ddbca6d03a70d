"""An event as the bus holds it: the AWS envelope as compact JSON, plus what routing needs to find it."""

from typing import Any

import orjson
from msgspec import Struct

from tocsin.model.names import Scope


class Event(Struct, frozen=True, kw_only=True):
    """One accepted event. `body` is the envelope as one line of JSON; `at_ms` the time of acceptance."""

    scope: Scope
    bus: str
    id: str
    at_ms: int
    body: bytes


class Journaled(Struct, frozen=True, kw_only=True):
    """An event at its place in the journal. `seq` grows by commit order and never repeats."""

    seq: int
    event: Event


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
