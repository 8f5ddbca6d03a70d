"""What is owed to the outside, lane by lane. `tocsin deliveries` asks here."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, scope_of
from tocsin.services.outbox import LaneView, Outbox


class Deliveries:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def lanes(self, request: Request) -> Response:
        views = await self._outbox.lanes(scope_of(request))
        owed = sum(view.owed for view in views)
        return answer({"owed": owed, "lanes": list(map(_told, views)), "counts": self._outbox.counts})


def _told(view: LaneView) -> dict[str, Any]:
    oldest = view.oldest
    return {
        "lane": view.lane,
        "carrier": oldest.carrier,
        "origin": oldest.origin,
        "owed": view.owed,
        "in_flight": view.in_flight,
        "oldest_ms": oldest.first_ms,
        "attempts": oldest.attempts,
        "last_code": oldest.last_code,
        "last_error": oldest.last_error,
        "failing_since_ms": view.failing_since_ms,
        "next_try_ms": view.next_try_ms,
    }
