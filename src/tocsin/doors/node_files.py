"""What nodes fetch over HTTP, each by its token: its lifecycle bundle, and resource_config.json.

The order to run a script names both; the agent fetches them, again until it has them. And whether a fault is still to
be in a node: its agent stands still, and hears no order.
"""

import asyncio
import gzip
import hmac
from collections import OrderedDict

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from tocsin.core.commit import World
from tocsin.core.resource_config import Told, retold
from tocsin.doors.bundles import BundleMissing, Bundles
from tocsin.model.cluster import Node
from tocsin.model.nodedir import FAULT_PATH
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections
from tocsin.services.orders import BUNDLE_PATH, RESOURCE_CONFIG_PATH

# Of 10,000 nodes one takes 2.5 MB; those that are many are small.
CONFIGS_KEPT_MAX = 64
# A tenth of the file at a tenth of what the best packing takes.
GZIP_LEVEL = 1


class _Packed(Struct, frozen=True):
    told: Told
    packed: bytes


class NodeFiles:
    def __init__(self, fleet: Fleet, bundles: Bundles, injections: Injections) -> None:
        self._fleet = fleet
        self._bundles = bundles
        self._injections = injections
        self._configs: OrderedDict[str, _Packed] = OrderedDict()  # by cluster id, those last asked for at the end
        self._packing = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        return [
            Route(BUNDLE_PATH, self._bundle),
            Route(RESOURCE_CONFIG_PATH, self._config),
            Route(FAULT_PATH + "/{fault}", self._fault),
        ]

    def _asking(self, request: Request) -> tuple[World, Node] | None:
        """The node that asks, with its cluster, when it shows its token."""
        instance_id = request.headers.get("x-tocsin-instance", "")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = hmac.compare_digest(token.encode(), self._fleet.token(instance_id).encode())
        return self._fleet.node(instance_id) if known else None

    async def _bundle(self, request: Request) -> Response:
        found = self._asking(request)
        if found is None:
            return _refused()
        world, node = found
        group = next((group for group in world.cluster.groups if group.name == node.group), None)
        source = group.lifecycle.get("SourceS3Uri", "") if group else ""
        try:
            return Response(await self._bundles.tar(source), media_type="application/x-tar")
        except (BundleMissing, OSError) as error:
            return PlainTextResponse(f"{error}\n", status_code=404)

    async def _fault(self, request: Request) -> Response:
        found = self._asking(request)
        if found is None:
            return _refused()
        known = await self._injections.known(found[1], request.path_params["fault"])
        return PlainTextResponse("in\n" if known else "out\n", status_code=200 if known else 404)

    async def _config(self, request: Request) -> Response:
        found = self._asking(request)
        if found is None:
            return _refused()
        async with self._packing:  # the nodes of a cluster ask at the same time: the first has it made for all
            packed = await asyncio.to_thread(_packed, self._configs.get(found[0].cluster.id), found[0])
            self._configs[found[0].cluster.id] = packed
            self._configs.move_to_end(found[0].cluster.id)
            if len(self._configs) > CONFIGS_KEPT_MAX:
                self._configs.popitem(last=False)
        return Response(packed.packed, media_type="application/gzip")


def _packed(before: _Packed | None, world: World) -> _Packed:
    told = retold(before.told if before else None, world.cluster, world.nodes)
    if before is not None and told.text is before.told.text:
        return _Packed(told, before.packed)
    return _Packed(told, gzip.compress(told.text, GZIP_LEVEL, mtime=0))


def _refused() -> Response:
    return PlainTextResponse("no such instance, or not its token\n", status_code=403)
