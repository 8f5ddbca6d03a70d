"""Faults put into nodes through their real sources: put in, list, take out. `tocsin fault inject` asks here."""

from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.faults import Catalogue
from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.doors.own.placing import placed
from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.model.injection import Injectable, Injection
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections

ARGUMENT_CHARS_MAX = 1000
FOR_S_MAX = 86_400.0
CODE_MAX = 100_000


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be wrong with which node, and for how long."""

    node: str
    what: Injectable
    argument: str = ""
    part: str = ""
    for_s: float = 600.0


_asked = msgspec.json.Decoder(Asked).decode


class NodeFaults:
    def __init__(self, fleet: Fleet, injections: Injections, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._injections = injections
        self._catalogue = catalogue

    async def listed(self, request: Request) -> Response:
        try:
            known = await self._injections.of(scope_of(request))
        except (StoreUnavailable, Stale) as error:
            return _refused(error)
        return answer({"injections": [_told(one) for one in known]})

    async def put_in(self, request: Request) -> Response:
        try:
            asked = _asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"The fault cannot be read: {error}")
        wrong = self._wrong(asked)
        if wrong:
            return refuse(wrong)
        found = placed(self._fleet, scope_of(request), asked.node)
        if isinstance(found, Response):
            return found
        try:
            one = await self._injections.put_in(
                *found, asked.what, argument=asked.argument, part=asked.part, for_s=asked.for_s
            )
        except (AwsError, StoreUnavailable, Stale) as error:
            return _refused(error)
        return answer({"injection": _told(one)})

    async def take_out(self, request: Request) -> Response:
        """The fault `id`, or all of the scope."""
        try:
            out = await self._injections.take_out(scope_of(request), request.query_params.get("id", ""))
        except (AwsError, StoreUnavailable, Stale) as error:
            return _refused(error)
        return answer({"taken_out": [_told(one) for one in out]})

    def _wrong(self, asked: Asked) -> str:
        """What is wrong with it; "" when nothing is."""
        if not 0 < asked.for_s <= FOR_S_MAX:
            return f"for_s must be above 0 and at most {FOR_S_MAX:g}, not {asked.for_s:g}."
        if len(asked.argument) > ARGUMENT_CHARS_MAX or "\n" in asked.argument:
            return f"argument must be one line of at most {ARGUMENT_CHARS_MAX} characters."
        if asked.what == "xid" and not (asked.argument.isdecimal() and int(asked.argument) < CODE_MAX):
            return f"An Xid is a number, not {asked.argument!r}."
        if asked.what == "gpu-lost" and asked.argument and not asked.argument.isdecimal():
            return f"A GPU is told by its number, not by {asked.argument!r}."
        return self._wrong_reading(asked.argument) if asked.what == "reading" else ""

    def _wrong_reading(self, argument: str) -> str:
        check, _, value = argument.partition("=")
        if check not in self._catalogue.by_check:
            return f"There is no reading {check}: docs/faults.md lists them."
        try:
            float(value)
        except ValueError:
            return f"A reading is a number, not {value!r}."
        return ""


def _refused(error: Exception) -> Response:
    if isinstance(error, AwsError):
        return refuse(error.message, error.status)
    return refuse(f"The state cannot be written now: {error}", 503)


def _told(one: Injection) -> dict[str, Any]:
    return {
        "id": one.id,
        "cluster": one.cluster,
        "node": one.node,
        "instance_id": one.instance_id,
        "what": one.what,
        "argument": one.argument,
        "part": one.part,
        "created_ms": one.created_ms,
        "until_ms": one.until_ms,
        "confirmed": one.confirmed,
    }
