"""The socket, and uvicorn on it: from the moment it answers until it has said good-bye to everybody."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from tocsin.model.link import FRAME_BYTES_MAX
from tocsin.server.answers import WholeAnswers
from tocsin.server.settings import Settings, SettingsError
from tocsin.server.worlds import App

# Of the 5 s a stop may take: open requests get one, agents up to three.
DRAIN_S_MAX = 1
# A connection may rest so long between two requests: longer than clients and load balancers keep theirs (60 s, mostly),
# so that it is not closed just as the next request is on its way.
IDLE_S_MAX = 75
BACKLOG = 2048


@contextlib.asynccontextmanager
async def served(front: App, listening: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """uvicorn on our socket, from the moment it answers until it has said good-bye to everybody."""
    config = uvicorn.Config(
        front,
        interface="asgi3",
        http=WholeAnswers,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws_max_size=FRAME_BYTES_MAX,
        timeout_graceful_shutdown=DRAIN_S_MAX,
        timeout_keep_alive=IDLE_S_MAX,
        backlog=BACKLOG,
        server_header=False,
        proxy_headers=False,  # nothing here asks who a proxy says that it speaks for
        date_header=True,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await server.up.wait()
    try:
        yield task
    finally:
        server.should_exit = True
        await asyncio.wait([task])


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: stopping is one affair of the whole process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    listening.setblocking(False)
    return listening


def endpoint_of(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"
