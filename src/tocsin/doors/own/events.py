"""The events that the bus accepted: the newest, those of a time, those that come."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.patterns import load_event, matches, parse
from tocsin.doors.own.asking import EVENTS_MAX, answer, number, refuse, scope_of
from tocsin.doors.own.journal import DISORDER_MS, Wanted, beyond, held_of, newest, place_of
from tocsin.model.errors import InvalidEventPattern
from tocsin.model.event import Event, Journaled
from tocsin.model.noise import Held
from tocsin.ports import Store

WAIT_S_MAX = 30.0  # below the idle time-outs of common proxies


class Events:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def events(self, request: Request) -> Response:
        """Journaled events beyond `after` (or from `since_ms` on), waiting up to `wait_s` for one; with `last`, the
        newest so many instead. The other parameters choose among them.
        """
        try:
            wanted = _wanted(request)
        except InvalidEventPattern as error:
            return refuse(error.message)
        until_ms, held_only = _time(request, "until_ms"), bool(number(request, "held", 0))
        if "last" in request.query_params:
            last = min(number(request, "last", 0), EVENTS_MAX)
            more, (place, found) = False, await newest(self._store, wanted, last, until_ms, held_only=held_only)
        else:
            after = await self._begin(request)
            try:
                await self._wait(request, after)
            except asyncio.CancelledError:  # the server stops: who waited hears that nothing came, not a 500
                return _told(after, more=False, found=[], held={})
            limit = max(1, min(number(request, "limit", EVENTS_MAX), EVENTS_MAX))
            place, more, found = await beyond(self._store, after, wanted, limit, until_ms, held_only=held_only)
        held = await held_of(self._store, found)
        return _told(place, more=more, found=found, held=held)

    async def _begin(self, request: Request) -> int:
        since_ms = _time(request, "since_ms")
        if "after" in request.query_params or since_ms is None:
            return number(request, "after", 0)
        return await place_of(self._store, since_ms - DISORDER_MS)

    async def _wait(self, request: Request, after: int) -> None:
        wait_s = min(number(request, "wait_s", 0), WAIT_S_MAX)
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._store.grown(after)
            except TimeoutError:
                pass


def _told(place: int, *, more: bool, found: list[Journaled], held: Mapping[int, list[Held]]) -> Response:
    shown = [_shown(one.event, held.get(one.seq, [])) for one in found]
    return answer({"after": place, "more": more, "events": shown})


def _shown(event: Event, held: list[Held]) -> orjson.Fragment:
    """The envelope as it is; what only the journal knows stands behind it, in a member that no event of AWS has."""
    told: dict[str, Any] = {"by_hand": True} if event.by_hand else {}
    if held:
        told["held"] = [{"rule": one.rule_arn, "target": one.target_id, "by": one.gate, "why": one.why} for one in held]
    if not told:
        return orjson.Fragment(event.body)
    return orjson.Fragment(b'%b,"tocsin":%b}' % (event.body[:-1], orjson.dumps(told)))


def _time(request: Request, name: str) -> int | None:
    return number(request, name, 0) if name in request.query_params else None


def _wanted(request: Request) -> Wanted:
    """Which events the request asks for. They are parsed only when it asks for what is in them.

    Raises InvalidEventPattern.
    """
    scope, query = scope_of(request), request.query_params
    source, detail_type, cluster = query.get("source"), query.get("detail_type", "").lower(), query.get("cluster")
    bus, text = query.get("bus"), query.get("match")
    since_ms, until_ms = _time(request, "since_ms"), _time(request, "until_ms")
    pattern = parse(text) if text else None

    def in_envelope(told: dict[str, Any]) -> bool:
        return (
            (not source or told["source"] == source)
            and detail_type in told["detail-type"].lower()
            and (not cluster or told["detail"].get("ClusterName") == cluster)
        )

    def wanted(event: Event) -> bool:
        if event.scope != scope or (bus and event.bus != bus):
            return False
        if (since_ms is not None and event.at_ms < since_ms) or (until_ms is not None and event.at_ms >= until_ms):
            return False
        if (source or detail_type or cluster) and not in_envelope(orjson.loads(event.body)):
            return False
        return pattern is None or matches(pattern, load_event(event.body))

    return wanted
