"""Cluster policies and compute quotas: kept, versioned, described back. Nothing here schedules jobs by them.

Both are the same five operations over another record; a row of `Sort` is all that tells them apart.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tocsin.core.governance import check_quota, check_scheduler, demand_free, updated, version_of
from tocsin.core.requests import tags_of
from tocsin.doors.door import Context, Handler, decided
from tocsin.doors.paging import page
from tocsin.doors.sagemaker.listing import LISTED_MAX
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import ResourceNotFound
from tocsin.model.governance import ComputeQuota, Governance, SchedulerConfig, Version
from tocsin.model.names import cluster_id
from tocsin.model.times import epoch_ms
from tocsin.ports import Store
from tocsin.services.fleet import Fleet


class Sort(Struct, frozen=True, kw_only=True):
    """A kind of record: what AWS calls it in members and operations, the members it keeps and those in its summary.

    `defaults`: what members are that a creation leaves out.
    """

    record: type[Governance]
    called: str
    kept: tuple[str, ...]
    summed: tuple[str, ...]
    check: Callable[[dict[str, Any]], None]
    defaults: dict[str, Any] = {}


SORTS = (
    Sort(
        record=SchedulerConfig,
        called="ClusterSchedulerConfig",
        kept=("SchedulerConfig", "Description"),
        summed=(),
        check=check_scheduler,
    ),
    Sort(
        record=ComputeQuota,
        called="ComputeQuota",
        kept=("ComputeQuotaConfig", "ComputeQuotaTarget", "ActivationState", "Description"),
        summed=("ComputeQuotaConfig", "ComputeQuotaTarget", "ActivationState"),
        check=check_quota,
        defaults={"ActivationState": "Enabled"},
    ),
)


def governance_operations(store: Store, fleet: Fleet, chance: Callable[[int], bytes]) -> dict[str, Handler]:
    """`chance` gives so many random bytes."""
    made: dict[str, Handler] = {}
    for sort in SORTS:
        desk = _Desk(store, fleet, chance, sort)
        made |= {
            f"Create{sort.called}": desk.create,
            f"Update{sort.called}": desk.update,
            f"Describe{sort.called}": desk.describe,
            f"List{sort.called}s": desk.list,
            f"Delete{sort.called}": desk.delete,
        }
    return made


class _Desk:
    def __init__(self, store: Store, fleet: Fleet, chance: Callable[[int], bytes], sort: Sort) -> None:
        self._store = store
        self._fleet = fleet
        self._chance = chance
        self._sort = sort
        self._creating = asyncio.Lock()  # a name is looked for and taken in one

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        arn = self._fleet.world_of(context.scope, request["ClusterArn"]).cluster.arn
        spec = self._sort.defaults | self._kept(request)
        self._sort.check(spec)
        made = self._sort.record(
            scope=context.scope,
            id=cluster_id(self._chance(12)),
            name=request["Name"],
            cluster_arn=arn,
            versions=(Version(number=1, at=context.now, spec=spec),),
            tags=tags_of(request),
        )
        async with self._creating:
            demand_free(made.name, arn, await self._store.find(self._sort.record, context.scope))
            await self._store.commit(Put(made))
        return {f"{self._sort.called}Arn": made.arn, f"{self._sort.called}Id": made.id}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        changes = self._kept(request)

        async def attempt() -> Governance:
            after = updated(await self._found(context, request), request["TargetVersion"], changes, context.now)
            self._sort.check(after.current.spec)
            await self._store.commit(Put(after))
            return after

        after = await decided(attempt)
        return {f"{self._sort.called}Arn": after.arn, f"{self._sort.called}Version": after.current.number}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._found(context, request)
        version = version_of(found, request.get(f"{self._sort.called}Version"))
        return self._summary(found, version) | version.spec

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        everything = await self._store.find(self._sort.record, context.scope)
        rank = _rank(request)
        taken, token = page(
            sorted((one for one in everything if _wanted(one, request)), key=rank),
            kind=f"List{self._sort.called}s/{request.get('SortBy')}/{request.get('SortOrder')}",
            position=rank,
            limit=request.get("MaxResults", LISTED_MAX),
            token=request.get("NextToken"),
        )
        summaries = [
            self._summary(one, one.current)
            | {name: one.current.spec[name] for name in self._sort.summed if name in one.current.spec}
            for one in taken
        ]
        return {f"{self._sort.called}Summaries": summaries, "NextToken": token}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            await self._store.commit(Delete(await self._found(context, request)))

        await decided(attempt)
        return {}

    def _kept(self, request: dict[str, Any]) -> dict[str, Any]:
        return {name: request[name] for name in self._sort.kept if name in request}

    async def _found(self, context: Context, request: dict[str, Any]) -> Governance:
        wanted = request[f"{self._sort.called}Id"]
        found = await self._store.get(self._sort.record, context.scope, wanted)
        if found is None:
            raise ResourceNotFound(f"{self._sort.called} with id {wanted} does not exist.")
        return found

    def _summary(self, one: Governance, version: Version) -> dict[str, Any]:
        return {
            f"{self._sort.called}Arn": one.arn,
            f"{self._sort.called}Id": one.id,
            f"{self._sort.called}Version": version.number,
            "Name": one.name,
            "ClusterArn": one.cluster_arn,
            "Status": one.status,
            "CreationTime": one.created_at,
            "LastModifiedTime": version.at,
        }


def _wanted(one: Governance, request: dict[str, Any]) -> bool:
    after, before = request.get("CreatedAfter"), request.get("CreatedBefore")
    return (
        request.get("NameContains", "") in one.name
        and request.get("ClusterArn", one.cluster_arn) == one.cluster_arn
        and request.get("Status", one.status) == one.status
        and (after is None or one.created_at >= after)
        and (before is None or one.created_at <= before)
    )


def _rank(request: dict[str, Any]) -> Callable[[Governance], list[object]]:
    """AWS's defaults: by the time of creation, the latest first. The id makes the order total."""
    sign = 1 if request.get("SortOrder") == "Ascending" else -1

    def by_text(text: str) -> list[int]:
        return [*(sign * ord(letter) for letter in text), 0]  # 0 ends it: a prefix sorts right both ways

    ranks: dict[str, Callable[[Governance], list[object]]] = {
        "Name": lambda one: [by_text(one.name), one.id],
        "Status": lambda one: [by_text(one.status), one.id],
        "ClusterArn": lambda one: [by_text(one.cluster_arn), one.id],
    }
    return ranks.get(request.get("SortBy", ""), lambda one: [sign * epoch_ms(one.created_at), one.id])
