"""Our own API, outside AWS's namespace: what the CLI shows. JSON over GET under /_tocsin/v1, and the health probes.

Every answer is of one scope, which the front puts beside the request.
"""

import asyncio
import contextlib
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tocsin import __version__
from tocsin.doors.sagemaker.describe import cluster_members, node_summary
from tocsin.model.errors import StoreUnavailable
from tocsin.model.names import Scope
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.fleet import Fleet, World

EVENTS_MAX = 1000
WAIT_S_MAX = 30.0  # below the idle time-outs of common proxies


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
        """Journaled events beyond `after` (0: from the first kept; -N: the last N), waiting up to `wait_s` for one."""
        scope = _scope(request)
        after = _number(request, "after", 0)
        limit = max(1, min(_number(request, "limit", EVENTS_MAX), EVENTS_MAX))
        if after < 0:
            after = max(0, (await self._store.journal_bounds())[1] + after)
        wait_s = min(float(request.query_params.get("wait_s", 0)), WAIT_S_MAX)
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._store.grown(after), wait_s)
        entries = await self._store.journal(after, limit)
        place = entries[-1].seq if entries else after
        events = [orjson.Fragment(entry.event.body) for entry in entries if entry.event.scope == scope]
        return _json({"after": place, "events": events})

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
    try:
        return int(request.query_params.get(name, default))
    except ValueError:
        return default


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
