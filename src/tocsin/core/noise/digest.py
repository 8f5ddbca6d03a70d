"""What a target is told at the end of a window in which deliveries were held back: one event, made for it alone."""

from datetime import UTC, datetime
from typing import Any

from tocsin.model.event import Event, envelope
from tocsin.model.names import derived_uuid
from tocsin.model.noise import Seen, Window
from tocsin.model.times import iso_second

SOURCE, DETAIL_TYPE = "tocsin", "Tocsin Digest"


def digest_of(window: Window, now_ms: int) -> Event:
    """Of a throttle's window. Its id is derived: made twice, it is the same event."""
    rate = window.control.throttle
    assert rate is not None, "only a throttle counts what it holds back"
    assert window.first is not None, "there is a digest only where something was held back"
    assert window.last is not None
    event_id = derived_uuid("digest", window.rule_arn, window.target_id, window.since_ms, window.since_id)
    end_ms = min(now_ms, window.since_ms + rate.window_s * 1000)
    body = envelope(
        scope=window.scope,
        id=event_id,
        source=SOURCE,
        detail_type=DETAIL_TYPE,
        time=_iso(end_ms),
        resources=[window.rule_arn],
        detail={
            "EventBusName": window.bus,
            "RuleName": window.rule,
            "TargetId": window.target_id,
            "WindowStart": _iso(window.since_ms),
            "WindowEnd": _iso(end_ms),
            "WindowSeconds": rate.window_s,
            "Delivered": window.delivered,
            "HeldBack": window.held,
            "FirstHeldBack": _named(window.first),
            "LastHeldBack": _named(window.last),
        },
    )
    return Event(scope=window.scope, bus=window.bus, id=event_id, at_ms=now_ms, body=body)


def _named(seen: Seen) -> dict[str, Any]:
    return {"Id": seen.id, "Time": _iso(seen.at_ms)}


def _iso(at_ms: int) -> str:
    return iso_second(datetime.fromtimestamp(at_ms / 1000, UTC))
