"""Answers that leave in one piece. uvicorn writes head and body by themselves, and its loop sends each at once.

If the server falls between the two, boto3 takes the bare head of a 200 for an answer without members: a success. In
one write there is no between, and one system call less.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What waits for the end of a turn of the loop; more is sent at once. A streamed body need not be in one piece.
HELD_BYTES_MAX = 64 * 1024


class Gathered:
    """A transport whose writes of one turn of the loop are one. For the rest it is the transport."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.plain = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes > HELD_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        if self._held:
            held, self._held, self._bytes = b"".join(self._held), [], 0
            self.plain.write(held)

    def close(self) -> None:
        self.flush()
        self.plain.close()


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol on such a transport. A WebSocket gets the plain one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", Gathered(transport, self.loop)))

    def handle_websocket_upgrade(self) -> None:
        gathered = cast("Gathered", self.transport)
        gathered.flush()
        self.transport = gathered.plain
        super().handle_websocket_upgrade()
