"""Requests for operations on resources, from their asking to their end. The door carries out what they ask for.

A request is on disk before anything is done. What is left of it after a crash says so; what takes its time is looked
at when its resource comes to rest (watching.py) and whenever somebody asks for it, and its end is recorded then.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from tocsin.core.cloud.progress import ORPHANED, SUCCESS, counts_for_token, past, token_of
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kinds import KINDS
from tocsin.doors.door import Context, decided
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.cloud import (
    ClientTokenConflict,
    ConcurrentOperation,
    Operation,
    OperationStatus,
    RequestTokenNotFound,
    ResourceRequest,
    SentModel,
    Standing,
)
from tocsin.model.errors import Validation
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.ports import Store

Look = Callable[[ResourceRequest], Awaitable[ResourceRequest]]


class Wanted(Struct, frozen=True, kw_only=True):
    """An operation that somebody asks for. `token`: its RequestToken; `identifier`: empty until it has one."""

    type_name: str
    operation: Operation
    token: str
    digest: str
    identifier: str = ""
    model: dict[str, Any] = {}


class Requests:
    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id
        self._at_work: set[tuple[Scope, str]] = set()
        self._going: dict[tuple[Scope, str], set[str]] = {}  # by scope and identifier: tokens of what takes its time

    def token(self, context: Context, request: dict[str, Any]) -> str:
        client_token = request.get("ClientToken")
        return token_of(context.scope, client_token) if client_token else self._new_id()

    async def known(self, context: Context, token: str, digest: str) -> ResourceRequest | None:
        """The request that was made with the same client token before. Raises ClientTokenConflictException."""
        found = await self._store.get(ResourceRequest, context.scope, token)
        if found is None or not counts_for_token(found, context.now_ms):
            return None
        if found.digest != digest:
            raise ClientTokenConflict("The specified client token has already been used in another resource request.")
        return found

    async def begin(self, context: Context, wanted: Wanted, look: Look) -> tuple[ResourceRequest, bool]:
        """The request, now PENDING, and whether it is a new one. Raises ConcurrentOperationException."""

        async def attempt() -> tuple[ResourceRequest, bool]:
            known = await self.known(context, wanted.token, wanted.digest)
            if known is not None:
                return known, False
            changes: list[Change] = []
            if wanted.identifier:
                changes.append(Put(await self._claimed(context, wanted, look)))
            old = await self._store.get(ResourceRequest, context.scope, wanted.token)
            request = _pending(context, wanted, old.revision + 1 if old else 1)
            await self._store.commit(Put(request), *changes)
            return request, True

        self._at_work.add((context.scope, wanted.token))
        try:
            request, fresh = await decided(attempt)
        except BaseException:
            self._at_work.discard((context.scope, wanted.token))
            raise
        if not fresh:
            self._at_work.discard((context.scope, wanted.token))
        return request, fresh

    async def _claimed(self, context: Context, wanted: Wanted, look: Look) -> SentModel:
        """What was sent of the resource, now held by this request."""
        sent = await self.sent(context.scope, wanted.type_name, wanted.identifier)
        holder = await self._store.get(ResourceRequest, context.scope, sent.request) if sent.request else None
        if holder is not None and (await look(holder)).open:
            raise ConcurrentOperation(
                f"Another operation is in progress for resource '{wanted.identifier}' (request {holder.token})."
            )
        sent = await self.sent(context.scope, wanted.type_name, wanted.identifier)
        return successor(sent, request=wanted.token)

    async def sent(self, scope: Scope, type_name: str, identifier: str) -> SentModel:
        """What was sent of a resource; nothing, of one that was made otherwise."""
        found = await self._store.get(SentModel, scope, f"{type_name}/{identifier}")
        return found or SentModel(scope=scope, revision=0, type_name=type_name, identifier=identifier)

    async def end(
        self,
        request: ResourceRequest,
        standing: Standing,
        identifier: str,
        model: dict[str, Any],
        sent: dict[str, Any] | None = None,
    ) -> ResourceRequest:
        """Record where a request stands, and `sent` as what was sent of its resource. Its last state stays."""

        async def attempt() -> ResourceRequest:
            old = await self._store.get(ResourceRequest, request.scope, request.token)
            if old is None or not old.open:
                return old or request
            new = successor(
                old,
                status=standing.status,
                code=standing.code,
                message=standing.message,
                identifier=identifier,
                model=model,
            )
            await self._store.commit(Put(new), *await self._released(new, sent))
            return new

        try:
            ended = await decided(attempt)
        finally:
            self.lost(request)
        if ended.status is OperationStatus.IN_PROGRESS:
            self.goes_on(ended)
        else:
            self._rests(ended)
        return ended

    def goes_on(self, request: ResourceRequest) -> None:
        """It is under way, and whoever watches its resource shall know."""
        self._going.setdefault((request.scope, request.identifier), set()).add(request.token)

    def _rests(self, request: ResourceRequest) -> None:
        place = (request.scope, request.identifier)
        tokens = self._going.get(place, set())
        tokens.discard(request.token)
        if not tokens:
            self._going.pop(place, None)

    def going(self, scope: Scope, identifier: str) -> list[str]:
        """Tokens of the requests under way on a resource."""
        return sorted(self._going.get((scope, identifier), ()))

    def lost(self, request: ResourceRequest) -> None:
        """It is carried out no more, and what came of it could not be recorded."""
        self._at_work.discard((request.scope, request.token))

    async def _released(self, request: ResourceRequest, sent: dict[str, Any] | None) -> list[Change]:
        """What the end of a request means for the record of what was sent."""
        if not request.identifier:
            return []
        record = await self.sent(request.scope, request.type_name, request.identifier)
        holds = record.request == request.token
        gone = request.operation is Operation.DELETE and (
            request.status is OperationStatus.SUCCESS or request.code == "NotFound"
        )
        if gone and record.revision:
            return [Delete(record)]
        if sent is None and (request.open or not holds):
            return []
        token = request.token if request.open else ""
        return [Put(successor(record, request=token, properties=record.properties if sent is None else sent))]

    async def looked_at(self, ask: Asking, request: ResourceRequest) -> ResourceRequest:
        """The request as it stands now."""
        if not request.open or (request.scope, request.token) in self._at_work:
            return request
        standing = ORPHANED
        if request.status is OperationStatus.IN_PROGRESS:
            look = KINDS[request.type_name].standing
            standing = await look(ask, request.operation, request.identifier) if look else SUCCESS
        if standing.status is OperationStatus.IN_PROGRESS:
            return request
        return await self.end(request, standing, request.identifier, {})  # the model is another by now

    async def named(self, context: Context, token: str) -> ResourceRequest:
        """Raises RequestTokenNotFoundException."""
        found = await self._store.get(ResourceRequest, context.scope, token)
        if found is None or past([found], context.now_ms):
            raise RequestTokenNotFound(f"Request with token {token} was not found")
        return found

    async def all_of(self, context: Context) -> list[ResourceRequest]:
        """Those that can still be asked for, the newest first."""
        found = await self._store.find(ResourceRequest, context.scope)
        old = {one.token for one in past(found, context.now_ms)}
        kept = [one for one in found if one.token not in old]
        return sorted(kept, key=lambda one: (-one.asked_ms, one.token))

    async def cancel(self, request: ResourceRequest) -> ResourceRequest:
        """Let go of what is under way: nothing more is done for it, and nothing is undone. Raises Validation."""
        if not request.open:
            raise Validation(f"Request {request.token} is {request.status}: only PENDING or IN_PROGRESS is cancelled.")
        cancelled = Standing(status=OperationStatus.CANCEL_COMPLETE, message="Cancelled on request.")
        return await self.end(request, cancelled, request.identifier, request.model)


def _pending(context: Context, wanted: Wanted, revision: int) -> ResourceRequest:
    return ResourceRequest(
        scope=context.scope,
        revision=revision,
        token=wanted.token,
        type_name=wanted.type_name,
        operation=wanted.operation,
        status=OperationStatus.PENDING,
        asked_ms=context.now_ms,
        digest=wanted.digest,
        identifier=wanted.identifier,
        model=wanted.model,
    )
