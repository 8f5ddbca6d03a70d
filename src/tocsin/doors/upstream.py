"""Services that are not served here, from another server: requests go on to it as they came, streaming both ways.

The front asks `foreign` before it reads a body. Nothing of the request is changed but its hop-by-hop headers, so that
its signature stays right.
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from xml.sax.saxutils import escape

import aiohttp
from yarl import URL

from tocsin.doors.wire import Request, Response
from tocsin.model.errors import AwsError, RequestTooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Of one body, either way it is only passed on: what S3 takes in one piece.
PASSED_BYTES_MAX = 5 << 30
# Requests under way at a time; the others wait. Each costs a connection on both sides.
PASSED_AT_ONCE_MAX = 200
CONNECT_TIMEOUT_S = 5.0
# Without a byte from the upstream. A client's own read time-out is 60 s.
SILENT_TIMEOUT_S = 60.0
# Headers of one connection, not of the message (RFC 9110, 7.6.1; 9112). Expect is answered by our own server.
HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade", "expect"),
    )
)
S3 = "s3"
_HASH = re.compile(r"[0-9a-f]{64}")


class UpstreamAway(AwsError):
    code, status = "BadGateway", 502


class DigestMismatch(AwsError):
    code = "XAmzContentSHA256Mismatch"


class Upstream:
    """Another server that speaks AWS's protocols. Open while it is entered."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Upstream":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=PASSED_AT_ONCE_MAX),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENT_TIMEOUT_S),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        """Send the request on, and its answer back. Raises AwsError as long as nothing of the answer is sent."""
        assert self._session is not None, "it is open"
        answer = await self._asked(self._session, request, receive)
        async with answer:
            leaving = asyncio.create_task(_left(receive))
            sending = asyncio.create_task(_answered(answer, send))
            try:
                await asyncio.wait((leaving, sending), return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending  # what broke off half-way is raised: the client's connection breaks off, too

    async def _asked(
        self, session: aiohttp.ClientSession, request: Request, receive: Receive
    ) -> aiohttp.ClientResponse:
        path = f"{request.path}?{request.query}" if request.query else request.path
        body = _Body(request.headers, receive) if has_body(request.headers) else None
        try:
            return await session.request(
                request.method,
                URL(self.url + path, encoded=True),
                headers=end_to_end(request.headers.items()),
                data=body.pieces() if body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if body and body.refused:
                raise body.refused from error
            reason = str(error) or type(error).__name__
            raise UpstreamAway(f"The upstream {self.url} does not answer: {reason}") from error


class _Body:
    """A request's body on its way. `refused` says why it was broken off."""

    def __init__(self, headers: Mapping[str, str], receive: Receive) -> None:
        self._receive = receive
        self._stated = headers.get("x-amz-content-sha256", "")
        self._digest = hashlib.sha256()
        self.refused: AwsError | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the client went away before its request was complete")
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            self._digest.update(piece)
            self._check(size, whole=not more)
            if piece:
                yield piece

    def _check(self, size: int, *, whole: bool) -> None:
        """Raises ConnectionError, so that the upstream never sees a body that is not what was signed as a whole one."""
        if size > PASSED_BYTES_MAX:
            self.refused = RequestTooLarge(f"The request body is larger than {PASSED_BYTES_MAX} bytes.")
        elif whole and _HASH.fullmatch(self._stated) and self._stated != self._digest.hexdigest():
            self.refused = DigestMismatch("The body does not have the hash that 'x-amz-content-sha256' states.")
        if self.refused:
            raise ConnectionError(self.refused.message)


def has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that are passed on: all but those of the connection, and those it names."""
    given = list(headers)
    named = {word.strip().lower() for name, value in given if name.lower() == "connection" for word in value.split(",")}
    return [(name, value) for name, value in given if name.lower() not in HOP_BY_HOP | named]


def refusal(error: AwsError, service: str, request_id: str) -> Response | None:
    """An error as the service's clients read it, where that is XML; None: as the wire has it."""
    if service != S3:
        return None
    told = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message><RequestId>{request_id}</RequestId>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{told}</Error>'.encode()
    return Response(error.status, (("content-type", "application/xml"), ("x-amz-request-id", request_id)), body)


async def _left(receive: Receive) -> None:
    """Until the client goes away: its body is read by now."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answered(answer: aiohttp.ClientResponse, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in end_to_end(answer.headers.items())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for piece in answer.content.iter_any():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
