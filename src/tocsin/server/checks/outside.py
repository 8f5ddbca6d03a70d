"""What mails and chats need, and what of it is missing."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from tocsin.server.chats import addresses, elsewhere
from tocsin.server.checks.finding import Finding, error, warning
from tocsin.server.settings import Settings, SettingsError
from tocsin.targets.chats import Address
from tocsin.targets.chats.apprise import known

PLACEHOLDERS = {"cluster", "cluster_id", "instance", "account", "region"}


def mail(given: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """A table without a server: its mails would wait. The rest is a matter of the start."""
    if given.get("mail") and not settings.mail.host:
        yield warning("mail.host", "no mail server is named: mails wait for one")


def chat(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    yield from _address("chat.slack_api", settings.chat.slack_api)
    yield from _link(settings.chat.console_link)
    yield from _elsewhere(settings, environment)
    yield from _buttons(settings)
    try:
        found = addresses(settings.chat, environment)
    except SettingsError:
        return  # a file that cannot be read is told among the files
    for name in settings.chat.channels:
        yield from _channel(f"chat.channels.{name}", found.channels[name])
    for team in settings.chat.workspaces:
        if not found.workspaces[team].token:
            yield warning(f"chat.workspaces.{team}", "no token: its channels need a webhook each")


def _channel(name: str, address: Address) -> Iterator[Finding]:
    if not address.webhook and not address.token:
        yield warning(name, "neither webhook nor token: nothing can be posted")
    if address.webhook and address.token:
        yield warning(name, "both webhook and token: the webhook is used, and has no threads")
    if address.webhook:
        yield from _address(f"{name}.webhook", address.webhook)


def _address(name: str, url: str) -> Iterator[Finding]:
    """The address itself may be a secret, and is not repeated."""
    try:
        split = urlsplit(url)
        fine = split.scheme in ("http", "https") and bool(split.hostname)
    except ValueError:
        fine = False
    if not fine:
        yield error(name, "is no https:// address")


def _link(link: str) -> Iterator[Finding]:
    if not link:
        return
    yield from _address("chat.console_link", link)
    for name in re.findall(r"\{(.*?)\}", link):
        if name not in PLACEHOLDERS:
            yield error("chat.console_link", f"{{{name}}} is none of {', '.join(sorted(PLACEHOLDERS))}")


def _buttons(settings: Settings) -> Iterator[Finding]:
    told = settings.chat.channels or settings.chat.workspaces
    if told and settings.chat.investigate and not settings.public_url:
        said = "not set: buttons that investigate a node lead to this machine's own address, which nobody else reaches"
        yield warning("public_url", said)


def _elsewhere(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    try:
        found = elsewhere(settings.chat, environment)
    except SettingsError as wrong:
        yield error("chat.apprise", str(wrong).removeprefix("setting "))
        return
    for topic, services in found.by_topic.items():
        for service in services:
            if not known(found.addresses[service]):
                yield error(f"chat.apprise.{topic}", f"{service}: apprise does not know this kind of address")
