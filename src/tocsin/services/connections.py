"""Connections: made, changed, deauthorized, deleted, each with its credentials in one commit.

One by OAuth is AUTHORIZING until its authorization endpoint gave a token or said why not; the loop here asks it. The
records tell what is to be done, so a restart goes on with it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tocsin.core.connections import check_parameters, merged, only, shown
from tocsin.core.settle import printable
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.connection import Authorization, Connection, ConnectionState, Credentials
from tocsin.model.errors import LimitExceeded, ResourceAlreadyExists, ResourceNotFoundException, Stale
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Authorizer, Clock, Store

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 1.0
REASON_CHARS_MAX = 512  # the service model's StateReason


class Connections:
    """`new_id` makes the unique part of an ARN."""

    def __init__(self, store: Store, clock: Clock, authorizer: Authorizer, new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._authorizer = authorizer
        self._new_id = new_id
        self._woken = asyncio.Event()

    async def named(self, scope: Scope, name: str) -> Connection:
        """Raises ResourceNotFoundException in AWS's words (facts/peers.md §3.2)."""
        found = await self._store.get(Connection, scope, name)
        if found is None:
            raise ResourceNotFoundException(
                f"Failed to describe the connection(s). Connection '{name}' does not exist."
            )
        return found

    async def create(
        self, scope: Scope, name: str, authorization: Authorization, parameters: dict[str, Any], most: int, **more: Any
    ) -> Connection:
        """`more` are further fields of the record. Raises Stale, for the caller to decide again."""
        check_parameters(authorization, parameters)
        if await self._store.get(Connection, scope, name):
            raise ResourceAlreadyExists(f"Connection {name} already exists.")
        if await self._store.count(Connection, scope) >= most:
            raise LimitExceeded("The requested resource exceeds the maximum number allowed.")
        now_ms = epoch_ms(self._clock.now())
        connection = self._authorized(
            Connection(
                scope=scope,
                name=name,
                uid=self._new_id(),
                authorization=authorization,
                parameters=shown(parameters),
                state=ConnectionState.AUTHORIZED,
                created_ms=now_ms,
                modified_ms=now_ms,
                **more,
            ),
            now_ms,
        )
        old = await self._store.get(Credentials, scope, name)
        await self._store.commit(Put(connection), Put(_credentials(connection, old, parameters)))
        self._woken.set()
        return connection

    async def update(
        self, scope: Scope, name: str, authorization: Authorization | None, given: dict[str, Any], **more: Any
    ) -> Connection:
        """What is not given stays. Raises Stale."""
        connection, old = await self.named(scope, name), await self._store.get(Credentials, scope, name)
        kind = authorization or connection.authorization
        parameters = only(kind, merged(old.parameters if old else {}, given))
        check_parameters(kind, parameters)
        now_ms = epoch_ms(self._clock.now())
        after = self._authorized(
            successor(connection, authorization=kind, parameters=shown(parameters), modified_ms=now_ms, **more), now_ms
        )
        await self._store.commit(Put(after), Put(_credentials(after, old, parameters)))
        self._woken.set()
        return after

    async def deauthorize(self, scope: Scope, name: str) -> Connection:
        """The credentials are gone for good. Raises Stale."""
        connection = await self.named(scope, name)
        after = successor(
            connection,
            state=ConnectionState.DEAUTHORIZED,
            reason="The connection was deauthorized by request.",
            modified_ms=epoch_ms(self._clock.now()),
        )
        await self._store.commit(Put(after), *await self._without_credentials(scope, name))
        return after

    async def delete(self, scope: Scope, name: str) -> Connection:
        """Raises Stale."""
        connection = await self.named(scope, name)
        await self._store.commit(Delete(connection), *await self._without_credentials(scope, name))
        return replace(connection, state=ConnectionState.DELETING)

    async def _without_credentials(self, scope: Scope, name: str) -> list[Change]:
        old = await self._store.get(Credentials, scope, name)
        return [Delete(old)] if old else []

    def _authorized(self, connection: Connection, now_ms: int) -> Connection:
        """As it stands once its credentials are set: what needs nobody's word is good at once."""
        if connection.authorization is Authorization.OAUTH_CLIENT_CREDENTIALS:
            return replace(connection, state=ConnectionState.AUTHORIZING, reason="")
        return replace(connection, state=ConnectionState.AUTHORIZED, reason="", authorized_ms=now_ms)

    async def run(self) -> None:
        """Find out about those that are AUTHORIZING, for ever."""
        while True:
            self._woken.clear()
            try:
                waiting = [one for one in await self._store.find(Connection) if _waits(one)]
                await asyncio.gather(*map(self._settle, waiting))
            except Exception:
                log.exception("connections cannot be authorized; trying again")
                await self._clock.sleep(RETRY_PAUSE_S)
                continue
            if not waiting:
                await self._woken.wait()

    async def _settle(self, connection: Connection) -> None:
        credentials = await self._store.get(Credentials, connection.scope, connection.name)
        why = await self._authorizer.authorize(connection, credentials) if credentials else "It has no credentials."
        now_ms = epoch_ms(self._clock.now())
        if why:
            after = successor(connection, state=ConnectionState.DEAUTHORIZED, reason=printable(why)[:REASON_CHARS_MAX])
        else:
            after = successor(connection, state=ConnectionState.AUTHORIZED, authorized_ms=now_ms)
        try:
            await self._store.commit(Put(after))
        except Stale:  # changed meanwhile: looked at again
            return


def _waits(connection: Connection) -> bool:
    return connection.state is ConnectionState.AUTHORIZING


def _credentials(connection: Connection, old: Credentials | None, parameters: dict[str, Any]) -> Credentials:
    revision = old.revision + 1 if old else 1
    return Credentials(scope=connection.scope, revision=revision, connection=connection.name, parameters=parameters)
