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
        self._linked: dict[str, str] = {}  # by name: the credential that was shown
        self._twice: set[str] = set()  # of which it was said already that they came twice

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
        hello = await self._greeted(socket)
        if hello is None or self._is_there(hello):
            await _close(socket, f"host {hello.host} is linked already, by another agent" if hello else "")
            return
        name = hello.host
        self._linked[name] = hello.credential
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
            if self._linked.get(name) == hello.credential:
                del self._linked[name]
                self._twice.discard(name)
            with contextlib.suppress(StoreUnavailable, Stale):
                await self._heard.went(name, queue)
            await _close(socket)

    def _is_there(self, hello: HostHello) -> bool:
        """Whether the host has a link by this credential. An agent that shows it a second time, as from a copied disk,
        runs none of its instance: were it heard, that would be taken for lost."""
        there = self._linked.get(hello.host) == hello.credential
        if there and hello.host not in self._twice:
            self._twice.add(hello.host)
            log.warning("host %s is linked already: another agent with its credential is turned away", hello.host)
        return there

    async def _greeted(self, socket: WebSocket) -> HostHello | None:
        """The host's first frame, when it proves who it is."""
        try:
            async with asyncio.timeout(HOST_HELLO_TIMEOUT_S):
                hello = _frames(await socket.receive_text())
        except (TimeoutError, WebSocketDisconnect, msgspec.MsgspecError, KeyError):
            return None
        if isinstance(hello, HostHello) and self._hosts.proves(hello.host, hello.credential):
            return hello
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


async def _close(socket: WebSocket, reason: str = "") -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code=REFUSED_CODE, reason=reason)


async def _write(socket: WebSocket, queue: "asyncio.Queue[ToHost]") -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_text(_encode(await queue.get()).decode())
