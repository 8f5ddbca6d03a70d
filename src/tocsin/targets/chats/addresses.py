"""Where channels are posted to. Only carriers look in here: addresses and tokens are secrets, and print as nothing."""

from collections.abc import Mapping

from msgspec import Struct

from tocsin.model.chat import ChatConfiguration, Provider


class Address(Struct, frozen=True, kw_only=True):
    """An incoming webhook, or the token of a Slack bot. The webhook counts where both are there."""

    webhook: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Address(…)"


class Addresses(Struct, frozen=True, kw_only=True):
    """`channels` by a configuration's name or a channel's id, `workspaces` by a Slack workspace's id."""

    channels: Mapping[str, Address] = {}
    workspaces: Mapping[str, Address] = {}

    def of(self, one: ChatConfiguration) -> Address | None:
        """A configuration's own address, else its channel's, else its workspace's; None where nothing is configured."""
        if one.provider is Provider.CHIME and one.webhook:
            return Address(webhook=one.webhook)
        found = self.channels.get(one.name) or self.channels.get(one.channel)
        if found is None and one.provider is Provider.SLACK:
            found = self.workspaces.get(one.team)
        return found if found and (found.webhook or found.token) else None

    def how(self, one: ChatConfiguration) -> str:
        """`webhook` or `token`, whichever a configuration is posted by; empty where nothing is configured."""
        found = self.of(one)
        return "" if found is None else "webhook" if found.webhook else "token"
