"""A host's own agent: joins a server, keeps a link to it, and runs the instance that the host is told to be.

`tocsin agent` without an instance id runs it, on the host. Instances are machines on this machine (local.py): the
steward adds the link, and a credential of its own.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import shlex
import signal
import socket as sockets
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tocsin import __version__
from tocsin.machines.local import LocalMachines
from tocsin.model.errors import TocsinError
from tocsin.model.hostlink import (
    FromHost,
    HostHello,
    HostLaunch,
    HostOrder,
    HostReboot,
    HostRefused,
    HostSeen,
    HostTerminate,
    JoinAsked,
    Joined,
    ToHost,
)
from tocsin.model.machine import LaunchOrder
from tocsin.model.nodedir import PARKED_FILE

log = logging.getLogger(__name__)

LINK_PATH = "/_tocsin/host"
CREDENTIAL_FILE = "host.json"
MACHINES_FOLDER = "machines"
JOIN_LIMIT_S = 30.0
CONNECT_LIMIT_S = 5.0
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 5.0
REBOOT_LIMIT_S = 600.0  # for the configured command; what takes longer has failed
CODE_REFUSED = 1008  # "policy violation" (RFC 6455, section 7.4.1), with which the door turns strangers away
PING_S = 10.0
FRAME_BYTES_MAX = 1 << 20
EXIT_ENDED, EXIT_REFUSED, EXIT_USAGE = 0, 1, 2

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToHost).decode


class NotJoined(TocsinError):
    """The host has no credential, or the server does not take it; the text says what to do."""


class StewardSettings(Struct, frozen=True, kw_only=True):
    """`reboot_command` empty: a reboot ends the instance's processes and begins them anew."""

    server: str
    directory: Path
    reboot_command: tuple[str, ...] = ()


def join(settings: StewardSettings, token: str, host: str) -> Joined:
    """Trade the token for a credential, and keep it, readable by us only. Raises NotJoined."""
    body = _encode(JoinAsked(token=token, host=host))
    url, headers = f"{settings.server}/_tocsin/host/join", {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the address is the operator's own
    try:
        with urllib.request.urlopen(request, timeout=JOIN_LIMIT_S) as answer:  # noqa: S310
            joined = msgspec.json.decode(answer.read(), type=Joined)
    except urllib.error.HTTPError as error:
        with error:
            raise NotJoined(f"{settings.server} refuses: {_reason(error.read(10_000))}") from error
    except (OSError, ValueError) as error:
        raise NotJoined(f"{settings.server} cannot be reached: {error}") from error
    file = settings.directory / CREDENTIAL_FILE
    fresh = file.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(_encode(joined))
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(file)
    return joined


def credential(settings: StewardSettings) -> Joined:
    """What an earlier join left. Raises NotJoined."""
    try:
        return msgspec.json.decode((settings.directory / CREDENTIAL_FILE).read_bytes(), type=Joined)
    except FileNotFoundError:
        raise NotJoined("this host has not joined: give it a token with --join") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise NotJoined(f"{settings.directory / CREDENTIAL_FILE} cannot be read: {error}") from error


class Steward:
    """Runs until it is stopped, or refused. Its instance lives on when it is stopped, and is taken over by the next."""

    def __init__(self, settings: StewardSettings, joined: Joined) -> None:
        self._settings = settings
        self._joined = joined
        self._machines = LocalMachines(
            settings.directory / MACHINES_FOLDER, lambda: settings.server, self._changed, whole_host=True
        )
        self._news = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._orders: asyncio.Queue[HostOrder] = asyncio.Queue()
        self._done = 0  # the last order of this link that was carried out

    async def run(self) -> None:
        """Raises NotJoined when the server does not take the credential."""
        await self._machines.start()
        retry_s = RETRY_FIRST_S
        try:
            while True:
                try:
                    await self._visit()
                except (WebSocketException, OSError, TimeoutError, msgspec.MsgspecError) as error:
                    log.info("no link to %s: %s", self._settings.server, error or type(error).__name__)
                    lost = isinstance(error, ConnectionClosed) and not _turned_away(error)
                    retry_s = RETRY_FIRST_S if lost else min(2 * retry_s, RETRY_MAX_S)
                await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311
        finally:
            for task in self._working:
                task.cancel()
            await self._machines.close(detach=True)

    async def _visit(self) -> None:
        """One connection; whatever ends it raises."""
        url = self._settings.server.replace("http", "ws", 1) + LINK_PATH
        tls = ssl.create_default_context() if url.startswith("wss:") else None
        async with connect(
            url,
            compression=None,
            proxy=None,
            max_size=FRAME_BYTES_MAX,
            open_timeout=CONNECT_LIMIT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            ssl=tls,
        ) as socket:
            await _send(
                socket,
                HostHello(host=self._joined.host, credential=self._joined.credential, version=__version__),
            )
            log.info("linked to %s as %s", self._settings.server, self._joined.host)
            self._done, self._orders = 0, asyncio.Queue()
            working = [asyncio.create_task(self._talk(socket)), asyncio.create_task(self._work(self._orders))]
            try:
                async for text in socket:
                    self._take(_decode(text))
                raise ConnectionClosed(None, None)
            finally:
                for task in working:
                    task.cancel()

    async def _talk(self, socket: ClientConnection) -> None:
        """What runs here: at once, and whenever it is something else."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._news.clear()
                await _send(socket, HostSeen(machines=dict(self._machines.seen()), done=self._done))
                await self._news.wait()

    def _take(self, frame: ToHost) -> None:
        match frame:
            case HostRefused(reason=reason):
                raise NotJoined(reason)
            case HostLaunch() | HostTerminate() | HostReboot():
                self._orders.put_nowait(frame)

    async def _work(self, orders: "asyncio.Queue[HostOrder]") -> None:
        """Carry out orders, in order. One that fails is seen by its outcome, and given again."""
        while True:
            order = await orders.get()
            try:
                await self._obey(order)
            except OSError as error:
                log.error("%s of %s failed: %s", type(order).__name__, order.instance_id, error)
            self._done = order.n
            self._news.set()

    async def _obey(self, order: HostOrder) -> None:
        match order:
            case HostLaunch(instance_id=instance_id, token=token):
                await self._machines.launch(_launch_order(instance_id, token))
            case HostTerminate(instance_id=instance_id):
                await self._machines.terminate(instance_id)
            case HostReboot(instance_id=instance_id) if self._settings.reboot_command:
                # Beside the others: whoever waits for it in vain may want to end the instance.
                task = asyncio.create_task(self._reboot(instance_id))
                self._working.add(task)
                task.add_done_callback(self._working.discard)
            case HostReboot(instance_id=instance_id):
                await self._machines.reboot(instance_id)

    async def _reboot(self, instance_id: str) -> None:
        """By the configured command, which will take this process down, too. Until then the instance rests."""
        command = self._settings.reboot_command
        try:
            (self._settings.directory / MACHINES_FOLDER / instance_id / PARKED_FILE).touch()
            process = await asyncio.create_subprocess_exec(*command)
            async with asyncio.timeout(REBOOT_LIMIT_S):
                code = await process.wait()
        except (OSError, TimeoutError) as error:
            log.error("the reboot by %s failed: %s", shlex.join(command), error or "it does not end")
            return
        if code:
            log.error("the reboot by %s failed: %s", shlex.join(command), f"exit code {code}")

    def _changed(self, _instance_id: str) -> None:
        self._news.set()


def _launch_order(instance_id: str, token: str) -> LaunchOrder:
    return LaunchOrder(instance_id=instance_id, cluster_name="", group="", instance_type="", address="", token=token)


def _turned_away(error: ConnectionClosed) -> bool:
    """Whether the server hung up on purpose: it will do so again."""
    return error.rcvd is not None and error.rcvd.code == CODE_REFUSED


async def _send(socket: ClientConnection, frame: FromHost) -> None:
    await socket.send(_encode(frame), text=True)


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


async def _run(settings: StewardSettings, joined: Joined) -> int:
    steward = asyncio.create_task(Steward(settings, joined).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, steward.cancel)
    try:
        await steward
    except asyncio.CancelledError:
        return EXIT_ENDED
    except NotJoined as error:
        log.error("%s", error)
        return EXIT_REFUSED
    return EXIT_ENDED


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tocsin agent", description="Run a host's agent.", allow_abbrev=False)
    parser.add_argument("--server", required=True, help="base URL, such as http://10.0.0.1:4566")
    parser.add_argument("--dir", type=Path, default=Path("tocsin-host"), help="the host's own directory")
    parser.add_argument("--join", metavar="TOKEN", help="join the server; - reads the token from standard input")
    parser.add_argument("--host", default=sockets.gethostname(), help="its name in the inventory [this machine's]")
    parser.add_argument("--reboot-command", type=shlex.split, default=[], help="what reboots this host")
    arguments = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = StewardSettings(
        server=arguments.server.rstrip("/"),
        directory=arguments.dir.absolute(),
        reboot_command=tuple(arguments.reboot_command),
    )
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = sys.stdin.readline().strip() if arguments.join == "-" else arguments.join
        joined = join(settings, token, arguments.host) if token else credential(settings)
    except (NotJoined, OSError) as error:
        log.error("%s", error)
        return EXIT_USAGE
    return asyncio.run(_run(settings, joined))
