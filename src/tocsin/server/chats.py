"""`[chat]` at the start: secrets out of files and environment, names for other services, carriers for all of them."""

import hashlib
import os
from collections.abc import Mapping

from aiohttp import ClientSession
from msgspec import Struct

from tocsin.ports import Carrier, Clock, Store
from tocsin.server.chat_settings import ChatSettings
from tocsin.server.secret_files import read, secret
from tocsin.server.settings import SettingsError
from tocsin.services.chats import APPRISE, CHAT
from tocsin.targets.chats import Address, Addresses, ChatCarrier
from tocsin.targets.chats.addresses import plain
from tocsin.targets.chats.apprise import MISSING, AppriseCarrier, installed
from tocsin.targets.chats.posting import Poster

VARIABLE = "TOCSIN_CHAT_"


class Elsewhere(Struct, frozen=True, kw_only=True):
    """Other services: their names by topic, and their addresses by name. Names tell the kind and no secret."""

    by_topic: Mapping[str, tuple[str, ...]]
    addresses: Mapping[str, str]

    def __repr__(self) -> str:
        return "Elsewhere(…)"


class Chatting(Struct, frozen=True, kw_only=True):
    """All of `[chat]` that is read at the start."""

    addresses: Addresses
    elsewhere: Elsewhere


def read_chat(settings: ChatSettings) -> Chatting:
    """Raises SettingsError."""
    return Chatting(addresses=addresses(settings), elsewhere=elsewhere(settings))


def chat_carriers(
    settings: ChatSettings, chatting: Chatting, store: Store, clock: Clock, session: ClientSession
) -> dict[str, Carrier]:
    """By the names that outbound deliveries call them."""
    return {
        CHAT: ChatCarrier(
            store=store,
            clock=clock,
            poster=Poster(session, settings.post_limit_s),
            addresses=chatting.addresses,
            slack_api=settings.slack_api,
        ),
        APPRISE: AppriseCarrier(chatting.elsewhere.addresses, clock, settings.post_limit_s),
    }


def variable(name: str, what: str) -> str:
    """The environment variable of a channel's or workspace's secret."""
    return f"{VARIABLE}{plain(name)}_{what}"


def addresses(settings: ChatSettings, environment: Mapping[str, str] = os.environ) -> Addresses:
    """Of the settings, and of variables whose channels the settings do not name.

    Raises SettingsError for a secret that cannot be read.
    """
    channels = _unnamed(environment)
    for name, one in settings.channels.items():
        where = f"chat.channels.{name}"
        webhook, token = variable(name, "WEBHOOK"), variable(name, "TOKEN")
        channels[name] = Address(
            webhook=secret(f"{where}.webhook_file", one.webhook, one.webhook_file, webhook, environment),
            token=secret(f"{where}.token_file", one.token, one.token_file, token, environment),
        )
    workspaces = {}
    for team, workspace in settings.workspaces.items():
        where = f"chat.workspaces.{team}.token_file"
        given = secret(where, workspace.token, workspace.token_file, variable(team, "TOKEN"), environment)
        workspaces[team] = Address(token=given)
    return Addresses(channels=channels, workspaces=workspaces)


def _unnamed(environment: Mapping[str, str]) -> dict[str, Address]:
    found: dict[str, dict[str, str]] = {}
    for name, value in environment.items():
        channel, _, what = name.removeprefix(VARIABLE).rpartition("_")
        if name.startswith(VARIABLE) and channel and what in ("WEBHOOK", "TOKEN"):
            found.setdefault(channel, {})[what.lower()] = value.strip()
    return {channel: Address(**given) for channel, given in found.items()}


def elsewhere(settings: ChatSettings, environment: Mapping[str, str] = os.environ) -> Elsewhere:
    """Raises SettingsError for an entry that cannot be read, and where the extra is missing."""
    if settings.apprise and not installed():
        raise SettingsError(f"setting chat.apprise: {MISSING}")
    by_topic: dict[str, tuple[str, ...]] = {}
    found: dict[str, str] = {}
    for topic, entries in settings.apprise.items():
        urls = [url for entry in entries for url in _urls(f"chat.apprise.{topic}", entry, environment)]
        by_topic[topic] = tuple(_name(url) for url in urls)
        found |= {_name(url): url for url in urls}
    return Elsewhere(by_topic=by_topic, addresses=found)


def _urls(setting: str, entry: str, environment: Mapping[str, str]) -> list[str]:
    if entry.startswith("@"):
        lines = map(str.strip, read(setting, entry[1:]).splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    if entry.startswith("$"):
        if not environment.get(entry[1:]):
            raise SettingsError(f"setting {setting}: the environment has no {entry[1:]}")
        return [environment[entry[1:]]]
    return [entry]


def _name(url: str) -> str:
    """`discord-3f2a91c0`: the kind of service, and a digest, so that an address changed is another service."""
    return f"{url.partition(':')[0]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
