"""Failures on demand: plan, list, clear. `tocsin fault` asks here."""

from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.model.mishap import Mishap, MishapKind
from tocsin.services.mishaps import Mishaps

COUNT_MAX = 10_000
FOR_S_MAX = 30 * 86_400.0
DELAY_S_MAX = 86_400.0


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall go wrong, where, how often and for how long. Left out: anywhere, always, until it is cleared."""

    kind: MishapKind
    cluster: str = ""
    group: str = ""
    count: int | None = None
    for_s: float | None = None
    delay_s: float | None = None


_asked = msgspec.json.Decoder(Asked).decode


class Faults:
    def __init__(self, mishaps: Mishaps) -> None:
        self._mishaps = mishaps

    async def plan(self, request: Request) -> Response:
        try:
            asked = _asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"The fault cannot be read: {error}")
        wrong = _wrong(asked)
        if wrong:
            return refuse(wrong)
        try:
            planned = await self._mishaps.plan(
                scope_of(request),
                asked.kind,
                cluster=asked.cluster,
                group=asked.group,
                count=asked.count,
                for_s=asked.for_s or 0.0,
                delay_s=asked.delay_s or 0.0,
            )
        except (AwsError, StoreUnavailable, Stale) as error:
            return _refused(error)
        return answer({"fault": _told(planned)})

    async def listed(self, request: Request) -> Response:
        return answer({"faults": [_told(one) for one in self._mishaps.of(scope_of(request))]})

    async def clear(self, request: Request) -> Response:
        """The fault `id`, or all of the scope."""
        try:
            cleared = await self._mishaps.clear(scope_of(request), request.query_params.get("id", ""))
        except (AwsError, StoreUnavailable, Stale) as error:
            return _refused(error)
        return answer({"cleared": [_told(one) for one in cleared]})


def _wrong(asked: Asked) -> str:
    """What is wrong with it; "" when nothing is."""
    if asked.count is not None and not 1 <= asked.count <= COUNT_MAX:
        return f"count must be 1 to {COUNT_MAX}, not {asked.count}."
    if asked.for_s is not None and not 0 < asked.for_s <= FOR_S_MAX:
        return f"for_s must be above 0 and at most {FOR_S_MAX:g}, not {asked.for_s:g}."
    if (asked.kind is MishapKind.BOOT_SLOW) is (asked.delay_s is None):
        return "delay_s goes with boot-slow, and boot-slow with delay_s."
    if asked.delay_s is not None and not 0 < asked.delay_s <= DELAY_S_MAX:
        return f"delay_s must be above 0 and at most {DELAY_S_MAX:g}, not {asked.delay_s:g}."
    return ""


def _refused(error: Exception) -> Response:
    match error:
        case AwsError():
            return refuse(error.message, error.status)
        case _:
            return refuse(f"The state cannot be written now: {error}", 503)


def _told(mishap: Mishap) -> dict[str, Any]:
    return {
        "id": mishap.id,
        "kind": mishap.what,
        "cluster": mishap.cluster,
        "group": mishap.group,
        "left": mishap.left,
        "expires_ms": mishap.expires_ms or None,
        "delay_s": mishap.delay_s or None,
        "created_ms": mishap.created_ms,
        "struck": list(mishap.struck),
    }
