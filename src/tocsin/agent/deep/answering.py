"""Answering peers that are checked: a listener at the node's own address, open for a while. The secret opens it."""

import asyncio
import contextlib
import hmac
import logging
import zlib

from tocsin.agent.deep.network import FRAME_BYTES, HEAD

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 256
IDLE_LIMIT_S = 60.0


class Answering:
    """At most one listener."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._secret = b""
        self._talking: set[asyncio.Task[None]] = set()

    async def answer(self, address: str, port: int, secret: str, for_s: float) -> None:
        """Listen, or listen on: the last order says for how long. What cannot be had is told in the log: peers see."""
        self._secret = secret.encode()
        if self._server is None:
            try:
                self._server = await asyncio.start_server(self._take, address, port)
            except OSError as error:
                log.error("cannot answer peers at %s:%d: %s", address, port, error)
                return
        if self._closing:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_later(for_s, self.close)

    def close(self) -> None:
        if self._closing:
            self._closing.cancel()
        if self._server:
            self._server.close()
            self._server = None
        for task in self._talking:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection has a task"
        self._talking.add(task)
        try:
            if len(self._talking) <= CONNECTIONS_MAX:
                await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, TimeoutError, OSError, asyncio.CancelledError) as error:
            log.debug("a peer is gone: %s", error)
        finally:
            self._talking.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say of every frame what arrived; the first must be the secret."""
        known = False
        while True:
            async with asyncio.timeout(IDLE_LIMIT_S):
                size = HEAD.unpack(await reader.readexactly(HEAD.size))[0]
                if size > FRAME_BYTES:
                    return
                payload = await reader.readexactly(size)
                known = known or hmac.compare_digest(payload, self._secret)
                if not known:
                    return
                writer.write(HEAD.pack(zlib.crc32(payload)))
                await writer.drain()
