"""The front: one ASGI callable. AWS calls go limits -> signature -> wire -> handler -> wire; the list is the code.

Everything under our own paths goes to a Starlette app beside it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tocsin.doors.door import Context, Door, Handler
from tocsin.doors.identity import Identity
from tocsin.doors.signature import credential
from tocsin.doors.upstream import S3, Upstream, refusal
from tocsin.doors.wire import Call, Request, Response, Wire
from tocsin.model.errors import (
    AwsError,
    ConcurrentModification,
    InternalFailure,
    NotImplementedYet,
    RequestTooLarge,
    ServiceUnavailable,
    Stale,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# PutEvents carries up to 1 MB of entries whose quotes are escaped once more on the wire; nothing else comes near.
BODY_BYTES_MAX = 4 << 20
BODY_TIMEOUT_S = 30.0
WARNED_EVERY = timedelta(seconds=10)
NO_CONTENT = 204
OWN_PATHS = ("/_tocsin", "/healthz", "/readyz", "/metrics")
METRICS_PATH = "/metrics"
OWN = "tocsin"  # the service as which our own paths are counted
SIGNED_OWN_PATHS = "/_tocsin/v1"  # agents prove themselves by their tokens, probes tell nothing worth hiding


BODILESS = ("GET", "HEAD", "OPTIONS")


class RequestTimeout(AwsError):
    code, status = "RequestTimeoutException", 408


class UnsupportedMediaType(AwsError):
    code, status = "UnsupportedMediaTypeException", 415


class Front:
    """`own` serves our own paths and WebSockets. `new_id` gives request ids. `open_metrics`: /metrics needs no key."""

    def __init__(
        self,
        *,
        doors: Iterable[Door],
        own: App,
        identity: Identity,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        upstream: Upstream | None = None,
        open_metrics: bool = False,
    ) -> None:
        self._doors = {door.service: door for door in doors}
        self._wire = Wire(self._doors)
        self._own = own
        self._identity = identity
        self._now = now
        self._new_id = new_id
        self._upstream = upstream
        self._signed_paths = (SIGNED_OWN_PATHS,) if open_metrics else (SIGNED_OWN_PATHS, METRICS_PATH)
        self._warned = datetime.min.replace(tzinfo=UTC)
        self.requests: Counter[tuple[str, str, int]] = Counter()  # by service, operation and status

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            signed = scope["path"].startswith(self._signed_paths)
            admitted = await self._admit(scope, receive) if signed else receive
            if not isinstance(admitted, Response):
                await self._own(scope, admitted, self._noting(send))
                return
            response = admitted
            self.requests[OWN, "", response.status] += 1
        elif self._upstream and (service := self._foreign(_request(scope))):
            passed = await self._pass_on(self._upstream, service, _request(scope), receive, send)
            if passed is None:
                return
            response = passed
        else:
            response = await self._answer(scope, receive)
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        if response.status != NO_CONTENT:  # which must not name a length (RFC 9110, 8.6)
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _noting(self, send: Send) -> Send:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.requests[OWN, "", message["status"]] += 1
            await send(message)

        return noted

    async def _admit(self, scope: Message, receive: Receive) -> Receive | Response:
        """Put the scope in which our own API answers beside the request, and say where its body is read from.

        A refusal when it is not signed as it must. A body is a part of what is signed.
        """
        request = _request(scope)
        try:
            if request.method not in BODILESS:
                request = replace(request, body=await _body(receive, request.headers))
                _demand_json(request.headers)
            scope["tocsin.scope"] = self._identity.of_own(request, self._now())
            return _again(request.body, receive)
        except AwsError as error:
            return self._wire.fail(None, request, error, self._new_id())

    def _foreign(self, request: Request) -> str:
        """The service that the signature names, when it or this operation is none of ours."""
        try:
            signed = credential(request)
        except AwsError:
            return ""  # answered as any other request that is signed badly
        if signed is None or (self._wire.serves(signed.service) and not self._elsewhere(signed.service, request)):
            return ""
        return signed.service

    def _elsewhere(self, service: str, request: Request) -> bool:
        """Whether it is an operation of the part of a service that is not here."""
        door = self._doors.get(service)
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        return door is not None and door.part and bool(operation) and operation not in door.operations

    async def _pass_on(
        self, upstream: Upstream, service: str, request: Request, receive: Receive, send: Send
    ) -> Response | None:
        """None once it is answered. Where signatures are verified, only S3's hold without the body: others are read."""
        request_id = self._new_id()
        try:
            if service == S3 or not self._identity.verifies:
                self._identity.of_stream(request, self._now())
            else:
                request = replace(request, body=await _body(receive, request.headers))
                self._identity.of(request, self._now())
                receive = _again(request.body, receive)
            await upstream.pass_on(request, receive, send)
        except AwsError as error:
            return refusal(error, service, request_id) or self._wire.fail(None, request, error, request_id)
        return None

    async def _answer(self, scope: Message, receive: Receive) -> Response:
        request_id = self._new_id()
        request = _request(scope)
        call: Call | None = None
        try:
            request = replace(request, body=await _body(receive, request.headers))
            now = self._now()
            where, signed = self._identity.of(request, now)
            call = self._wire.resolve(request, signed.service if signed else None)
            handler = self._handler(call)
            key = signed.access_key if signed else ""
            context = Context(scope=where, access_key=key, request_id=request_id, now=now)
            result = await handler(context, self._wire.read(call, request))
            response = self._wire.write(call, result, request_id)
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                self._warn(error)
            response = self._wire.fail(call, request, _aws_error(error, call), request_id)
        self.requests[call.service if call else "", call.operation if call else "", response.status] += 1
        return response

    def _warn(self, error: StoreUnavailable) -> None:
        """Say that requests are refused, but not once for each of them."""
        now = self._now()
        if now - self._warned >= WARNED_EVERY:
            self._warned = now
            log.error("requests are refused: %s", error)

    def _handler(self, call: Call) -> Handler:
        handler = self._doors[call.service].operations.get(call.operation)
        if handler is None:
            raise NotImplementedYet(f"{call.service}:{call.operation} is not implemented in Tocsin yet.")
        return handler


def _demand_json(headers: Mapping[str, str]) -> None:
    """A web page can send a text to any address, but JSON only where its browser is told that it may."""
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UnsupportedMediaType("The body must be JSON, with the header Content-Type: application/json.")


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read comes once more; behind it whatever else comes, which is that the client goes away."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return left.pop() if left else await receive()

    return read


def _request(scope: Message) -> Request:
    """The request without its body, its path as the client wrote it: signatures are made over that."""
    path = scope["raw_path"].decode("latin-1")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, b"")


def _aws_error(error: Exception, call: Call | None) -> AwsError:
    match error:
        case AwsError():
            return error
        case StoreUnavailable():
            return ServiceUnavailable(f"The state cannot be written now: {error}")
        case Stale():
            return ConcurrentModification("The resource was changed by another request. Try again.")
        case _:
            log.error("%s failed", call, exc_info=error)
            return InternalFailure("The request failed because of an error in Tocsin. Its log says more.")


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """The whole body. Raises RequestTooLarge, or RequestTimeout when the client does not get it out."""
    if int(headers.get("content-length") or 0) > BODY_BYTES_MAX:
        raise RequestTooLarge(f"The request body is larger than {BODY_BYTES_MAX} bytes.")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await _part(receive)
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > BODY_BYTES_MAX:
            raise RequestTooLarge(f"The request body is larger than {BODY_BYTES_MAX} bytes.")
    return b"".join(parts)


async def _part(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            message = await receive()
    except TimeoutError:
        raise RequestTimeout(f"The request body did not arrive within {BODY_TIMEOUT_S:g} seconds.") from None
    if message["type"] == "http.disconnect":
        raise RequestTimeout("The client went away before its request was complete.")
    return message
