"""Where channels are posted to. Only carriers look in here: addresses and tokens are secrets, and print as nothing."""

import re
from collections.abc import Mapping

from msgspec import Struct

from tocsin.model.chat import ChatConfiguration, Provider


class Address(Struct, frozen=True, kw_only=True):
    """An incoming webhook, or the token of a Slack bot. The webhook counts where both are there."""

    webhook: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Address(…)"


def plain(name: str) -> str:
    """A name as it stands in an environment variable."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


class Addresses(Struct, frozen=True, kw_only=True):
    """`channels` by a configuration's name or a channel's id, plain where they come from the environment; `workspaces`
    by a Slack workspace's id."""

    channels: Mapping[str, Address] = {}
    workspaces: Mapping[str, Address] = {}

    def of(self, one: ChatConfiguration) -> Address | None:
        """A configuration's own address, else its channel's, else its workspace's; None where nothing is configured."""
        if one.provider is Provider.CHIME and one.webhook:
            return Address(webhook=one.webhook)
        slack = one.provider is Provider.SLACK
        names = [one.name, one.channel, plain(one.name), plain(one.channel), plain(one.team) if slack else ""]
        found = [self.channels.get(name) for name in names] + [self.workspaces.get(one.team) if slack else None]
        return next((address for address in found if address and (address.webhook or address.token)), None)

    def how(self, one: ChatConfiguration) -> str:
        """`webhook` or `token`, whichever a configuration is posted by; empty where nothing is configured."""
        found = self.of(one)
        return "" if found is None else "webhook" if found.webhook else "token"
