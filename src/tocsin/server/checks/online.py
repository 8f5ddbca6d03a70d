"""Whether what the settings name answers: a connection to each host, and the running server's view of its channels."""

import asyncio
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tocsin.server.chats import addresses
from tocsin.server.checks.finding import Finding, warning
from tocsin.server.settings import Settings, SettingsError
from tocsin.targets.mail import PORTS

CONNECT_LIMIT_S = 5.0
ANSWER_LIMIT_S = 30.0  # of our own server, which may be busy; one that is away refuses at once
HTTP_PORTS = {"http": 80, "https": 443}


def online(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    return [*asyncio.run(_reached(dict(_hosts(settings, environment)))), *_unaddressed(settings)]


def _hosts(settings: Settings, environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, int]]]:
    """(setting, host and port) of everything that is spoken to."""
    if settings.mail.host:
        yield "mail.host", (settings.mail.host, settings.mail.port or PORTS[settings.mail.tls])
    try:
        found = addresses(settings.chat, environment)
    except SettingsError:
        return
    urls = {f"chat.channels.{name}": one.webhook for name, one in found.channels.items() if one.webhook}
    if any(one.token for one in (*found.channels.values(), *found.workspaces.values())):
        urls["chat.slack_api"] = settings.chat.slack_api
    for name, url in urls.items():
        split = urlsplit(url)
        if split.hostname and split.scheme in HTTP_PORTS:
            yield name, (split.hostname, split.port or HTTP_PORTS[split.scheme])


async def _reached(hosts: Mapping[str, tuple[str, int]]) -> list[Finding]:
    found = await asyncio.gather(*(_connected(name, *place) for name, place in hosts.items()))
    return [one for one in found if one is not None]


async def _connected(name: str, host: str, port: int) -> Finding | None:
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return warning(name, f"{host}:{port} does not answer within {CONNECT_LIMIT_S:g} seconds")
    except OSError as wrong:
        return warning(name, f"{host}:{port} cannot be reached: {wrong.strerror or type(wrong).__name__}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


def _unaddressed(settings: Settings) -> Iterator[Finding]:
    """Configurations of the server that runs, if one does, for which its settings name no address."""
    url = f"http://{settings.host}:{settings.port}/_tocsin/v1/channels"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_LIMIT_S) as answer:
            channels = json.load(answer)["channels"]
    except (OSError, ValueError, KeyError, http.client.HTTPException) as wrong:
        if not _nobody(wrong):
            yield warning("port", f"{url} does not tell the channels, and they are not looked at: {wrong}")
        if isinstance(wrong, urllib.error.HTTPError):
            wrong.close()
        return
    for one in channels:
        if not one["address"]:
            yield warning(f"chat.channels.{one['configuration']}", f"missing, and {one['arn']} hears topics")


def _nobody(wrong: Exception) -> bool:
    """No server runs, as before the first start: nothing to be told of."""
    return isinstance(wrong, urllib.error.URLError) and isinstance(wrong.reason, ConnectionRefusedError)
