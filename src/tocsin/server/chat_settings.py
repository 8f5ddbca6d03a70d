"""`[chat]` of the settings: where channels are posted to. What is secret may stand in the file, in a file of its own,
or in the environment; server/chats.py reads it."""

from msgspec import Struct, field

from tocsin.core.cards.hyperpod import INVESTIGATION


class ChannelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel, by the name of its configuration or by its own id."""

    webhook: str = ""
    webhook_file: str = ""
    token: str = ""
    token_file: str = ""


class WorkspaceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Slack workspace, by its id: a bot's token serves all channels that the bot was invited to."""

    name: str = ""
    token: str = ""
    token_file: str = ""


class ChatSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`console_link` may hold {cluster}, {cluster_id}, {instance}, {account} and {region}.

    `apprise` names, by topic ARN or name, addresses of other services: `@file` stands for the lines of a file,
    `$VARIABLE` for an environment variable.
    """

    console_link: str = ""
    # What the button of a card about a node runs there; empty: no button.
    investigate: str = INVESTIGATION
    # Cards that one channel is posted one by one in a minute; the others are listed in one. As fast as a person reads;
    # Slack takes three times as many. 0: all one by one.
    posts_per_minute: int = 20
    post_limit_s: float = 10.0
    slack_api: str = "https://slack.com/api"
    channels: dict[str, ChannelSettings] = field(default_factory=dict)
    workspaces: dict[str, WorkspaceSettings] = field(default_factory=dict)
    apprise: dict[str, list[str]] = field(default_factory=dict)
