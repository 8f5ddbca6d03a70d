"""Connections on the wire. What they are and do is in services/connections; nothing secret leaves here."""

from typing import Any

from tocsin.core.connections import endpoint_of
from tocsin.doors.door import Context, decided
from tocsin.doors.events.endpoints import check_endpoint
from tocsin.doors.events.finding import PAGE_MAX
from tocsin.doors.paging import page
from tocsin.model.connection import Authorization, Connection
from tocsin.model.errors import NotImplementedYet
from tocsin.ports import Store
from tocsin.services.connections import Connections

_KEPT = {"Description": "description", "KmsKeyIdentifier": "kms_key_id"}


class ConnectionsDoor:
    def __init__(self, store: Store, connections: Connections, connections_max: int, *, plain_http: bool) -> None:
        """`connections_max`: of one account in one region. `plain_http`: whether endpoints elsewhere may be so."""
        self._store = store
        self._connections = connections
        self._connections_max = connections_max
        self._plain_http = plain_http

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._check(request)

        async def attempt() -> Connection:
            return await self._connections.create(
                context.scope,
                request["Name"],
                Authorization(request["AuthorizationType"]),
                request["AuthParameters"],
                self._connections_max,
                **_given(request),
            )

        return _made(await decided(attempt))

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._check(request)
        kind = request.get("AuthorizationType")

        async def attempt() -> Connection:
            return await self._connections.update(
                context.scope,
                request["Name"],
                Authorization(kind) if kind else None,
                request.get("AuthParameters", {}),
                **_given(request),
            )

        return _summary(await decided(attempt))

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        connection = await self._connections.named(context.scope, request["Name"])
        return _members(connection) | {
            "Description": connection.description or None,
            "SecretArn": connection.secret_arn,
            "KmsKeyIdentifier": connection.kms_key_id or None,
            "AuthParameters": connection.parameters,
        }

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._store.find(Connection, context.scope, prefix=request.get("NamePrefix", ""))
        state = request.get("ConnectionState")
        taken, token = page(
            [one for one in found if state in (None, one.state)],
            kind="ListConnections",
            position=lambda connection: [connection.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Connections": [_members(one) for one in taken], "NextToken": token}

    async def deauthorize(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _summary(await decided(lambda: self._connections.deauthorize(context.scope, request["Name"])))

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _summary(await decided(lambda: self._connections.delete(context.scope, request["Name"])))

    def _check(self, request: dict[str, Any]) -> None:
        if request.get("InvocationConnectivityParameters"):
            raise NotImplementedYet("Private endpoints (InvocationConnectivityParameters) are not implemented.")
        endpoint = endpoint_of(request.get("AuthParameters", {}))
        if endpoint:
            check_endpoint(endpoint, "AuthorizationEndpoint", plain_http=self._plain_http)


def _given(request: dict[str, Any]) -> dict[str, Any]:
    return {field: request[member] for member, field in _KEPT.items() if member in request}


def _made(connection: Connection) -> dict[str, Any]:
    return {
        "ConnectionArn": connection.arn,
        "ConnectionState": connection.state,
        "CreationTime": connection.created_ms / 1000,
        "LastModifiedTime": connection.modified_ms / 1000,
    }


def _summary(connection: Connection) -> dict[str, Any]:
    return _made(connection) | {"LastAuthorizedTime": connection.authorized_ms / 1000 or None}


def _members(connection: Connection) -> dict[str, Any]:
    return _summary(connection) | {
        "Name": connection.name,
        "StateReason": connection.reason or None,
        "AuthorizationType": connection.authorization,
    }
