"""The three kinds of chat configurations as data: which members each has, and what makes two of them the same channel.

channels.py has the one set of handlers that works on all three.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tocsin.model.chat import ChatConfiguration, Provider

COMMON = ("IamRoleArn", "LoggingLevel")
GUARDED = ("GuardrailPolicyArns", "UserAuthorizationRequired")


class Kind(Struct, frozen=True, kw_only=True):
    """`members` are told back as they were given; `same` are those in which no two configurations may agree.

    `answer` is the member of the answer that holds one configuration, `listing` the one that holds many.
    """

    provider: Provider
    members: tuple[str, ...]
    changeable: tuple[str, ...]
    same: tuple[str, ...]
    answer: str
    listing: str
    channel: str
    needed: Callable[[ChatConfiguration, Mapping[str, str]], dict[str, Any]]


def _of_slack(one: ChatConfiguration, workspaces: Mapping[str, str]) -> dict[str, Any]:
    """AWS knows the names from Slack itself. A channel without one is called by its id."""
    return {
        "SlackTeamName": workspaces.get(one.team) or one.team,
        "SlackChannelName": one.spec.get("SlackChannelName") or one.channel,
    }


def _nothing(one: ChatConfiguration, workspaces: Mapping[str, str]) -> dict[str, Any]:
    return {}


SLACK = Kind(
    provider=Provider.SLACK,
    members=("SlackTeamId", "SlackChannelId", "SlackChannelName", *COMMON, *GUARDED),
    changeable=("SlackChannelId", "SlackChannelName", *COMMON, *GUARDED),
    same=("SlackTeamId", "SlackChannelId"),
    answer="ChannelConfiguration",
    listing="SlackChannelConfigurations",
    channel="Slack channel",
    needed=_of_slack,
)
TEAMS = Kind(
    provider=Provider.TEAMS,
    members=("ChannelId", "ChannelName", "TeamId", "TeamName", "TenantId", *COMMON, *GUARDED),
    changeable=("ChannelId", "ChannelName", *COMMON, *GUARDED),
    same=("TeamId", "ChannelId"),
    answer="ChannelConfiguration",
    listing="TeamChannelConfigurations",
    channel="Microsoft Teams channel",
    needed=_nothing,
)
CHIME = Kind(
    provider=Provider.CHIME,
    members=("WebhookDescription", *COMMON),
    changeable=("WebhookDescription", *COMMON),
    same=(),
    answer="WebhookConfiguration",
    listing="WebhookConfigurations",
    channel="Chime webhook",
    needed=_nothing,
)
