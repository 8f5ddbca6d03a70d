"""Cluster extensions: asked for, described, listed. services/extensions.py brings them onto the nodes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tocsin.core.commit import World
from tocsin.core.extensions import requests
from tocsin.core.extensions.scripts import configuration
from tocsin.core.extensions.standing import Stands, counted, issues, status
from tocsin.core.requests import tags_of
from tocsin.core.tell import line
from tocsin.doors.door import Context, Handler, decided
from tocsin.doors.paging import page
from tocsin.doors.sagemaker.listing import LISTED_MAX, within
from tocsin.model.changes import Change, Delete, Put, Tell
from tocsin.model.cluster import NodeStatus
from tocsin.model.errors import ResourceNotFound
from tocsin.model.extension import (
    Extension,
    ExtensionNode,
    NodeState,
    Package,
    Work,
    extensions_prefix,
    nodes_prefix,
)
from tocsin.model.names import cluster_id
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Packages, Store
from tocsin.services.extensions import Extensions
from tocsin.services.fleet import Fleet


def extension_operations(
    store: Store, fleet: Fleet, extensions: Extensions, packages: Packages, chance: Callable[[int], bytes]
) -> dict[str, Handler]:
    """`chance` gives so many random bytes."""
    desk = _Desk(store, fleet, extensions, packages, chance)
    return {
        "CreateClusterExtension": desk.create,
        "UpdateClusterExtension": desk.update,
        "DescribeClusterExtension": desk.describe,
        "ListClusterExtensions": desk.list,
        "ListClusterExtensionVersions": desk.list_versions,
        "DeleteClusterExtension": desk.delete,
    }


# Where an update that changes nothing runs the script once more.
_TRIED_AGAIN = (NodeState.FAILED, NodeState.UNWELL)


class _Desk:
    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        extensions: Extensions,
        packages: Packages,
        chance: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._extensions = extensions
        self._packages = packages
        self._chance = chance
        self._creating = asyncio.Lock()  # a name is looked for and taken in one

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self._fleet.world_of(context.scope, request["ClusterArn"]).cluster
        async with self._creating:
            others = await self._store.find(Extension, context.scope, prefix=extensions_prefix(cluster.id))
            if known := requests.repeated(Work.CREATE, others, request, context.now):
                return {"ExtensionArn": known.arn}
            requests.demand_slurm(cluster)
            requests.demand_free(request["ExtensionName"], others)
            package = await self._package(request["ExtensionName"], request.get("ExtensionVersion"))
            extension_id, tags = cluster_id(self._chance(12)), tags_of(request)
            made = requests.created(cluster, package, request, extension_id, tags, context.now)
            await self._kept(context, "CreateClusterExtension", made, Put(made))
        return {"ExtensionArn": made.arn}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            before = await self._found(context, request)
            if requests.repeated(Work.UPDATE, [before], request, context.now):
                return
            wanted = request.get("ExtensionVersion", before.package.version)
            package = before.package if wanted == before.package.version else await self._package(before.name, wanted)
            after = requests.updated(before, package, request, context.now)
            again = [one for one in await self._nodes(after) if one.state in _TRIED_AGAIN]
            await self._kept(context, "UpdateClusterExtension", after, Put(after), *map(Delete, again))

        await decided(attempt)
        return {"ExtensionArn": request["ExtensionArn"]}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            after = requests.deleted(await self._found(context, request), context.now)
            await self._kept(context, "DeleteClusterExtension", after, Put(after))

        await decided(attempt)
        return {"ExtensionArn": request["ExtensionArn"]}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._found(context, request)
        records = {one.instance_id: one for one in await self._nodes(found)}
        running = self._running(context, found)
        counts = counted(found, records, running.values())
        problems = issues(one for key, one in records.items() if key in running)
        return {
            "ExtensionDetails": {
                **self._summary(found, status(found, counts)),
                "ClusterArn": found.cluster_arn,
                "ConfigurationValues": configuration(found),
                "LastModifiedTime": found.modified_at,
            },
            "NodeSummary": {"TotalCount": len(running), "ActiveCount": _active(found, records, counts)},
            "Health": {"Issues": [_issue(one.code, one.message, one.nodes) for one in problems]} if problems else None,
        }

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self._fleet.world_of(context.scope, request["ClusterArn"]).cluster
        found = await self._store.find(Extension, context.scope, prefix=extensions_prefix(cluster.id))
        taken, token = page(
            sorted((one for one in found if within(one.created_at, request)), key=_rank),
            kind=f"ListClusterExtensions/{cluster.id}",
            position=_rank,
            limit=request.get("MaxResults", LISTED_MAX),
            token=request.get("NextToken"),
        )
        return {"Extensions": [await self._listed(context, one) for one in taken], "NextToken": token}

    async def list_versions(self, _context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ExtensionName"]
        taken, token = page(
            await self._packages.versions(name),
            kind=f"ListClusterExtensionVersions/{name}",
            position=lambda version: [-part for part in requests.number(version)],
            limit=request.get("MaxResults", LISTED_MAX),
            token=request.get("NextToken"),
        )
        return {"ExtensionVersions": [{"ExtensionVersion": version} for version in taken], "NextToken": token}

    async def _package(self, name: str, version: str | None) -> Package:
        """That version, or the latest. Raises ResourceNotFound."""
        versions = await self._packages.versions(name)
        wanted = version or next(iter(versions), "")
        found = await self._packages.package(name, wanted) if wanted else None
        if found is None:
            there = f"There are: {', '.join(versions)}." if versions else "The server's extensions_root has none."
            raise ResourceNotFound(f"Extension {' '.join(filter(None, (name, version)))} does not exist. {there}")
        return found

    async def _found(self, context: Context, request: dict[str, Any]) -> Extension:
        cluster = self._fleet.world_of(context.scope, request["ClusterArn"]).cluster
        wanted = request["ExtensionArn"]
        key = wanted.partition(f":{Extension.resource}/")[2]
        found = await self._store.get(Extension, context.scope, key)
        if found is None or found.arn != wanted or found.cluster_id != cluster.id:
            raise ResourceNotFound(f"Extension {wanted} does not exist on cluster {cluster.name}.")
        return found

    async def _nodes(self, extension: Extension) -> Sequence[ExtensionNode]:
        return await self._store.find(ExtensionNode, extension.scope, prefix=nodes_prefix(extension.id))

    def _running(self, context: Context, extension: Extension) -> dict[str, Any]:
        world = self._fleet.world_of(context.scope, extension.cluster_arn)
        return {key: node for key, node in world.nodes.items() if node.status is NodeStatus.RUNNING}

    async def _kept(self, context: Context, operation: str, extension: Extension, *changes: Change) -> None:
        """Commit, with a line of the story, and have it carried out."""
        world: World = self._fleet.world_of(context.scope, extension.cluster_arn)
        said = f"{operation} {extension.name} {extension.package.version}"
        await self._store.commit(*changes, Tell(line(world.cluster, context.now, Chapter.REQUEST, said)))
        self._extensions.mark(extension.scope, extension.cluster_id)

    async def _listed(self, context: Context, one: Extension) -> dict[str, Any]:
        records = {record.instance_id: record for record in await self._nodes(one)}
        return self._summary(one, status(one, counted(one, records, self._running(context, one).values())))

    @staticmethod
    def _summary(one: Extension, stands: str) -> dict[str, Any]:
        return {
            "ExtensionArn": one.arn,
            "ExtensionName": one.name,
            "ExtensionVersion": one.package.version,
            "Status": stands,
            "CreationTime": one.created_at,
        }


def _active(one: Extension, records: Mapping[str, ExtensionNode], counts: Mapping[Stands, int]) -> int:
    """Nodes that run what they shall; of one that is being deleted, those that have it still."""
    if one.work is not Work.DELETE:
        return counts.get(Stands.DONE, 0)
    return sum(1 for record in records.values() if record.state is NodeState.ACTIVE and not record.removing)


def _issue(code: str, message: str, nodes: int) -> dict[str, Any]:
    return {"Code": code, "Message": message, "NodeCount": nodes}


def _rank(one: Extension) -> list[object]:
    return [epoch_ms(one.created_at), one.id]
