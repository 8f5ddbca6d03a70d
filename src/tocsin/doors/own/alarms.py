"""Alarms: set the state of one, list them. `tocsin alarm` asks here, and so may any monitoring with a webhook."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.alarm import Alarm, AlarmState
from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.services.alarms import Alarms


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CloudWatch's SetAlarmState, in our words."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    state: AlarmState
    reason: Annotated[str, Meta(max_length=1023)] = ""


_asked = msgspec.json.Decoder(Asked).decode


class AlarmStates:
    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    async def set(self, request: Request) -> Response:
        try:
            asked = _asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"The alarm cannot be read: {error}")
        try:
            alarm = await self._alarms.set(scope_of(request), asked.name, asked.state, asked.reason)
        except (AwsError, Stale, StoreUnavailable) as error:
            return refuse(str(error) or "somebody else set it at the same time", 503)
        return answer({"alarm": _told(alarm)})

    async def listed(self, request: Request) -> Response:
        return answer({"alarms": [_told(alarm) for alarm in self._alarms.of(scope_of(request))]})


def _told(alarm: Alarm) -> dict[str, Any]:
    return {"name": alarm.name, "state": alarm.state, "reason": alarm.reason, "set_ms": alarm.set_ms}
