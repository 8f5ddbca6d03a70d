"""API destinations: made, described, changed, deleted. What is sent to them is in core/invocation."""

from collections.abc import Callable
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.doors.events.endpoints import check_endpoint
from tocsin.doors.events.finding import PAGE_MAX, TOO_MANY
from tocsin.doors.paging import page
from tocsin.model.changes import Delete, Put
from tocsin.model.connection import ApiDestination, Connection, ConnectionState, connection_of
from tocsin.model.errors import LimitExceeded, ResourceAlreadyExists, ResourceNotFoundException
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.ports import Store

# "Default: 300" (the API reference of InvocationRateLimitPerSecond).
RATE_PER_S = 300
_KEPT = {
    "Description": "description",
    "ConnectionArn": "connection_arn",
    "InvocationEndpoint": "endpoint",
    "HttpMethod": "method",
    "InvocationRateLimitPerSecond": "rate_per_s",
}


class Destinations:
    def __init__(self, store: Store, new_id: Callable[[], str], destinations_max: int, *, plain_http: bool) -> None:
        """`destinations_max`: of one account in one region."""
        self._store = store
        self._new_id = new_id
        self._destinations_max = destinations_max
        self._plain_http = plain_http

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope, name = context.scope, request["Name"]
        check_endpoint(request["InvocationEndpoint"], "InvocationEndpoint", plain_http=self._plain_http)

        async def attempt() -> ApiDestination:
            await self._demand_connection(scope, request["ConnectionArn"])
            if await self._store.get(ApiDestination, scope, name):
                raise ResourceAlreadyExists(f"An api-destination '{name}' already exists.")
            if await self._store.count(ApiDestination, scope) >= self._destinations_max:
                raise LimitExceeded(TOO_MANY)
            now_ms = context.now_ms
            given = {"rate_per_s": RATE_PER_S} | _given(request)
            made = ApiDestination(
                scope=scope, name=name, uid=self._new_id(), created_ms=now_ms, modified_ms=now_ms, **given
            )
            await self._store.commit(Put(made))
            return made

        return await self._summary(await decided(attempt))

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """What the request leaves out stays as it is."""
        if "InvocationEndpoint" in request:
            check_endpoint(request["InvocationEndpoint"], "InvocationEndpoint", plain_http=self._plain_http)

        async def attempt() -> ApiDestination:
            old = await self._named(context.scope, request["Name"])
            if "ConnectionArn" in request:
                await self._demand_connection(context.scope, request["ConnectionArn"])
            new = successor(old, modified_ms=context.now_ms, **_given(request))
            await self._store.commit(Put(new))
            return new

        return await self._summary(await decided(attempt))

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        destination = await self._named(context.scope, request["Name"])
        return await self._members(destination) | {"Description": destination.description or None}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._store.find(ApiDestination, context.scope, prefix=request.get("NamePrefix", ""))
        connection = request.get("ConnectionArn")
        taken, token = page(
            [one for one in found if connection in (None, one.connection_arn)],
            kind="ListApiDestinations",
            position=lambda destination: [destination.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"ApiDestinations": [await self._members(one) for one in taken], "NextToken": token}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            await self._store.commit(Delete(await self._named(context.scope, request["Name"])))

        await decided(attempt)
        return {}

    async def _named(self, scope: Scope, name: str) -> ApiDestination:
        """Raises ResourceNotFoundException in AWS's words (facts/peers.md §3.2)."""
        found = await self._store.get(ApiDestination, scope, name)
        if found is None:
            raise ResourceNotFoundException(
                f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
            )
        return found

    async def _connection(self, scope: Scope, arn: str) -> Connection | None:
        place = connection_of(arn)
        found = await self._store.get(Connection, scope, place[1]) if place and place[0] == scope else None
        return found if found and found.arn == arn else None

    async def _demand_connection(self, scope: Scope, arn: str) -> None:
        if await self._connection(scope, arn) is None:
            raise ResourceNotFoundException(f"Connection '{arn}' does not exist.")

    async def _summary(self, destination: ApiDestination) -> dict[str, Any]:
        connection = await self._connection(destination.scope, destination.connection_arn)
        active = connection is not None and connection.state is ConnectionState.AUTHORIZED
        return {
            "ApiDestinationArn": destination.arn,
            "ApiDestinationState": "ACTIVE" if active else "INACTIVE",
            "CreationTime": destination.created_ms / 1000,
            "LastModifiedTime": destination.modified_ms / 1000,
        }

    async def _members(self, destination: ApiDestination) -> dict[str, Any]:
        return await self._summary(destination) | {
            "Name": destination.name,
            "ConnectionArn": destination.connection_arn,
            "InvocationEndpoint": destination.endpoint,
            "HttpMethod": destination.method,
            "InvocationRateLimitPerSecond": destination.rate_per_s,
        }


def _given(request: dict[str, Any]) -> dict[str, Any]:
    return {field: request[member] for member, field in _KEPT.items() if member in request}
