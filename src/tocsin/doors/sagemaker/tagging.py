"""Tags of clusters, which the fleet changes, and of what else is kept under an ARN, which are changed here."""

from collections.abc import Callable
from typing import Any

from tocsin.core.requests import fitting, tags_of
from tocsin.doors.door import Context, decided
from tocsin.doors.paging import page
from tocsin.model.changes import Put
from tocsin.model.errors import ResourceNotFound
from tocsin.model.extension import Extension
from tocsin.model.governance import ComputeQuota, Governance, SchedulerConfig
from tocsin.model.names import split_arn
from tocsin.model.records import successor
from tocsin.model.tags import TAGS_MAX
from tocsin.ports import Store
from tocsin.services.fleet import Fleet

Tagged = Governance | Extension
Change = Callable[[dict[str, str]], dict[str, str]]

# By what their ARNs call them.
_KEPT: dict[str, type[Tagged]] = {one.resource: one for one in (SchedulerConfig, ComputeQuota, Extension)}


class Tagging:
    def __init__(self, store: Store, fleet: Fleet) -> None:
        self._store = store
        self._fleet = fleet

    async def add(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        added = tags_of(request)
        return {"Tags": _listed(await self._retag(context, request["ResourceArn"], lambda old: fitting(old | added)))}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ResourceArn"]
        kept = await self._kept(context, arn)
        tags = kept.tags if kept else self._fleet.world_of(context.scope, arn).cluster.tags
        taken, token = page(
            sorted(tags.items()),
            kind=f"ListTags/{arn}",
            position=lambda item: [item[0]],
            limit=request.get("MaxResults", TAGS_MAX),
            token=request.get("NextToken"),
        )
        return {"Tags": _listed(dict(taken)), "NextToken": token}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        await self._retag(
            context, request["ResourceArn"], lambda old: {key: old[key] for key in old if key not in gone}
        )
        return {}

    async def _retag(self, context: Context, arn: str, change: Change) -> dict[str, str]:
        async def attempt() -> dict[str, str]:
            kept = await self._kept(context, arn)
            if kept is None:
                return await self._fleet.retag(context.scope, arn, change)
            tags = change(kept.tags)
            await self._store.commit(Put(successor(kept, tags=tags)))
            return tags

        return await decided(attempt)

    async def _kept(self, context: Context, arn: str) -> Tagged | None:
        """None where the ARN names nothing that is kept here. Raises ResourceNotFound for what is not there."""
        split = split_arn(arn)
        resource, _, key = split[2].partition("/") if split else ("", "", "")
        if split is None or resource not in _KEPT:
            return None
        found = await self._store.get(_KEPT[resource], context.scope, key)
        if found is None or found.arn != arn:
            raise ResourceNotFound(f"{arn} does not exist.")
        return found


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
