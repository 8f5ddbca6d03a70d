"""Where hosts come in: the request by which one joins, and the WebSocket that each keeps.

What a host runs goes to the hosts provider, which says what it shall run.
"""

import asyncio
import contextlib
import logging
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.model.hostlink import FromHost, HostHello, HostRefused, HostSeen, JoinAsked, Joined, ToHost
from tocsin.services.hosts import Hosts

log = logging.getLogger(__name__)

# The other side hung up, seen by who reads; or by who wrote before.
HUNG_UP = (WebSocketDisconnect, WebSocketDisconnected)

HOST_LINK_PATH = "/_tocsin/host"
JOIN_PATH = "/_tocsin/host/join"
HOST_HELLO_TIMEOUT_S = 10.0
JOIN_BYTES_MAX = 4096
REFUSED_CODE = 1008
_frames = msgspec.json.Decoder(FromHost).decode
_encode = msgspec.json.Encoder().encode
_asked = msgspec.json.Decoder(JoinAsked).decode


class Heard(Protocol):
    """Who is told of hosts that come, report and go."""

    def came(self, name: str) -> "asyncio.Queue[ToHost]": ...

    async def heard(self, name: str, seen: HostSeen) -> None: ...

    async def went(self, name: str, queue: "asyncio.Queue[ToHost]") -> None: ...


class HostsDoor:
    def __init__(self, hosts: Hosts, heard: Heard) -> None:
        self._hosts = hosts
        self._heard = heard

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute(HOST_LINK_PATH, self._serve), Route(JOIN_PATH, self._join, methods=["POST"])]

    async def _join(self, request: Request) -> Response:
        """The host's credential, for a token that is good."""
        try:
            body = await _read(request)
            asked = _asked(body)
            credential = await self._hosts.join(asked.token, asked.host)
        except msgspec.MsgspecError as error:
            return _told(400, {"error": f"The request cannot be read: {error}"})
        except AwsError as error:
            log.warning("a host that wanted to join was turned away: %s", error.message)
            return _told(403, {"error": error.message})
        except (StoreUnavailable, Stale) as error:
            return _told(503, {"error": f"The state cannot be written now: {error}"})
        return _told(200, Joined(host=asked.host, credential=credential))

    async def _serve(self, socket: WebSocket) -> None:
        await socket.accept()
        name = await self._greeted(socket)
        if name is None:
            await _close(socket)
            return
        queue = self._heard.came(name)
        writing = asyncio.create_task(_write(socket, queue))
        try:
            while True:
                frame = _frames(await socket.receive_text())
                if isinstance(frame, HostSeen):
                    await self._heard.heard(name, frame)
        except (*HUNG_UP, msgspec.MsgspecError, KeyError) as error:
            log.debug("link of host %s ended: %s", name, error)
        except (StoreUnavailable, Stale) as error:  # the host comes back and says it again
            log.info("link of host %s is cut: %s", name, error)
        finally:
            writing.cancel()
            with contextlib.suppress(StoreUnavailable, Stale):
                await self._heard.went(name, queue)
            await _close(socket)

    async def _greeted(self, socket: WebSocket) -> str | None:
        """The host's name, when its first frame proves it."""
        try:
            async with asyncio.timeout(HOST_HELLO_TIMEOUT_S):
                hello = _frames(await socket.receive_text())
        except (TimeoutError, WebSocketDisconnect, msgspec.MsgspecError, KeyError):
            return None
        if isinstance(hello, HostHello) and self._hosts.proves(hello.host, hello.credential):
            return hello.host
        log.warning("a host without the right credential was turned away")
        reason = "The credential is not the one this host was given. Join again with a new token."
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(_encode(HostRefused(reason=reason)).decode())
        return None


async def _read(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > JOIN_BYTES_MAX:
            raise msgspec.DecodeError(f"it is larger than {JOIN_BYTES_MAX} bytes")
    return body


def _told(status: int, content: object) -> Response:
    return Response(_encode(content), status_code=status, media_type="application/json")


async def _close(socket: WebSocket) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code=REFUSED_CODE)


async def _write(socket: WebSocket, queue: "asyncio.Queue[ToHost]") -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_text(_encode(await queue.get()).decode())
