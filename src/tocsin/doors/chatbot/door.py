"""The chatbot's operations."""

from collections.abc import Callable, Mapping

from tocsin.doors.chatbot.account import Account
from tocsin.doors.chatbot.channels import Channels
from tocsin.doors.chatbot.kinds import CHIME, SLACK, TEAMS
from tocsin.doors.chatbot.tagging import Tagging
from tocsin.doors.door import Door, Handler
from tocsin.ports import Store


def chatbot_door(store: Store, workspaces: Mapping[str, str], changed: Callable[[], None]) -> Door:
    """`workspaces` are the names of Slack workspaces, by id; `changed` is called when who listens may have changed."""
    slack, teams, chime = (Channels(kind, store, workspaces, changed) for kind in (SLACK, TEAMS, CHIME))
    account, tagging = Account(store, workspaces), Tagging(store)
    operations: dict[str, Handler] = {
        "CreateSlackChannelConfiguration": slack.create,
        "UpdateSlackChannelConfiguration": slack.update,
        "DeleteSlackChannelConfiguration": slack.delete,
        "DescribeSlackChannelConfigurations": slack.describe,
        "CreateMicrosoftTeamsChannelConfiguration": teams.create,
        "UpdateMicrosoftTeamsChannelConfiguration": teams.update,
        "DeleteMicrosoftTeamsChannelConfiguration": teams.delete,
        "GetMicrosoftTeamsChannelConfiguration": teams.get,
        "ListMicrosoftTeamsChannelConfigurations": teams.describe,
        "CreateChimeWebhookConfiguration": chime.create,
        "UpdateChimeWebhookConfiguration": chime.update,
        "DeleteChimeWebhookConfiguration": chime.delete,
        "DescribeChimeWebhookConfigurations": chime.describe,
        "DescribeSlackWorkspaces": account.describe_workspaces,
        "ListMicrosoftTeamsConfiguredTeams": account.list_teams,
        "GetAccountPreferences": account.preferences,
        "UpdateAccountPreferences": account.prefer,
        "TagResource": tagging.tag,
        "UntagResource": tagging.untag,
        "ListTagsForResource": tagging.list,
    }
    return Door(service="chatbot", operations=operations)
