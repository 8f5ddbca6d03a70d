"""Our own API, outside AWS's namespace: what the CLI shows. JSON over GET under /_tocsin/v1, and the health probes.

Every answer is of one scope, which the front puts beside the request.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tocsin import __version__
from tocsin.core.commit import World
from tocsin.doors.sagemaker.describe import cluster_members, node_summary
from tocsin.model.errors import StoreUnavailable
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.fleet import Fleet

EVENTS_MAX = 1000
WAIT_S_MAX = 30.0  # below the idle time-outs of common proxies
# How far back past events are looked for: some 0.2 s of reading, in slices that let others have their turn.
SCANNED_MAX = 20_000
SLICE = 200
_INT64_MAX = (1 << 63) - 1


Wanted = Callable[[Event], bool]


class OwnDoor:
    def __init__(self, *, fleet: Fleet, bus: Bus, store: Store) -> None:
        self._fleet = fleet
        self._bus = bus
        self._store = store

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/_tocsin/v1/status", self._status),
            Route("/_tocsin/v1/events", self._events),
            Route("/_tocsin/v1/story", self._story),
        ]

    async def _alive(self, _request: Request) -> Response:
        return _json({"status": "ok", "version": __version__})

    async def _ready(self, _request: Request) -> Response:
        """Ready means that the writer commits."""
        try:
            await self._store.ping()
        except StoreUnavailable as error:
            return _json({"status": "unavailable", "reason": str(error)}, 503)
        return _json({"status": "ok"})

    async def _status(self, request: Request) -> Response:
        scope = _scope(request)
        clusters = [_cluster(world) for world in self._fleet.worlds(scope)]
        return _json({"account": scope.account, "region": scope.region, "clusters": clusters, "bus": self._bus.counts})

    async def _events(self, request: Request) -> Response:
        """Journaled events beyond `after`, waiting up to `wait_s` for one; with `last`, the newest so many instead.

        `source`, `detail_type` (a part of it, in any case) and `cluster` (its name) choose among them.
        """
        wanted = _wanted(request)
        if "last" in request.query_params:
            place, bodies = await self._last(wanted, min(_number(request, "last", 0), EVENTS_MAX))
        else:
            place, bodies = await self._beyond(wanted, request)
        return _json({"after": place, "events": [orjson.Fragment(body) for body in bodies]})

    async def _beyond(self, wanted: Wanted, request: Request) -> tuple[int, list[bytes]]:
        after = _number(request, "after", 0)
        limit = max(1, min(_number(request, "limit", EVENTS_MAX), EVENTS_MAX))
        wait_s = min(_number(request, "wait_s", 0), WAIT_S_MAX)
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._store.grown(after)
            except TimeoutError:
                pass
            except asyncio.CancelledError:  # the server stops: who waited hears that nothing came, not a 500
                return after, []
        entries = await self._store.journal(after, limit)
        return entries[-1].seq if entries else after, [one.event.body for one in entries if wanted(one.event)]

    async def _last(self, wanted: Wanted, number: int) -> tuple[int, list[bytes]]:
        """The newest events that are wanted, oldest first, and where the journal ends."""
        first, last = await self._store.journal_bounds()
        first = max(first, last - SCANNED_MAX + 1)
        found: list[bytes] = []
        end = last
        while end >= first and len(found) < number:
            begin = max(first - 1, end - SLICE)
            found = await self._between(begin, end, wanted) + found
            end = begin
            await asyncio.sleep(0)
        return last, found[-number:] if number > 0 else []

    async def _between(self, begin: int, end: int, wanted: Wanted) -> list[bytes]:
        """The wanted events of begin < seq <= end. One reading may give fewer than asked for when they are large."""
        found: list[bytes] = []
        while begin < end and (entries := await self._store.journal(begin, end - begin)):
            found += [one.event.body for one in entries if one.seq <= end and wanted(one.event)]
            begin = entries[-1].seq
        return found

    async def _story(self, request: Request) -> Response:
        """Lines on the cluster (by name or id, living or gone) or node named by `of`; all of them without."""
        scope = _scope(request)
        of = request.query_params.get("of", "")
        after = _number(request, "after", 0)
        limit = max(1, min(_number(request, "limit", EVENTS_MAX), EVENTS_MAX))
        if of.startswith("i-"):
            told = await self._store.story(scope, instance_id=of, after=after, limit=limit)
        else:
            told = await self._store.story(scope, cluster=of, after=after, limit=limit)
        return _json({"after": told[-1].seq if told else after, "lines": [_line(one.line) for one in told]})


def _scope(request: Request) -> Scope:
    scope: Scope = request.scope["tocsin.scope"]
    return scope


def _number(request: Request, name: str, default: int) -> int:
    """A parameter that counts something; what is none, or below zero, is the default."""
    try:
        given = int(request.query_params.get(name, default))
    except ValueError:
        return default
    return min(given, _INT64_MAX) if given >= 0 else default


def _wanted(request: Request) -> Wanted:
    """Which events the request asks for. They are parsed only when it asks for what is in them."""
    scope, query = _scope(request), request.query_params
    source, detail_type, cluster = query.get("source"), query.get("detail_type", "").lower(), query.get("cluster")

    def wanted(event: Event) -> bool:
        if event.scope != scope:
            return False
        if not (source or detail_type or cluster):
            return True
        told = orjson.loads(event.body)
        return (
            (not source or told["source"] == source)
            and detail_type in told["detail-type"].lower()
            and (not cluster or told["detail"].get("ClusterName") == cluster)
        )

    return wanted


def _cluster(world: World) -> dict[str, Any]:
    members = cluster_members(world.cluster, world.nodes.values())
    nodes = [
        node_summary(node)
        | {"Health": node.health, "Name": node.name, "Script": node.script, "Replaces": node.replaces}
        for node in world.nodes.values()
    ]
    return members | {"Nodes": nodes, "Waiting": world.waiting}


def _line(line: Any) -> dict[str, Any]:
    return {
        "at_ms": line.at_ms,
        "cluster": line.cluster_name,
        "cluster_id": line.cluster_id,
        "instance_id": line.instance_id,
        "chapter": line.chapter,
        "what": line.what,
        "why": line.why,
    }


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status_code=status, media_type="application/json")
