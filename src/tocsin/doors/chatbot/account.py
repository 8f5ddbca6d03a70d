"""What an account has beside its channels: workspaces and teams that are known, and preferences."""

from collections.abc import Mapping
from typing import Any

from tocsin.doors.chatbot.channels import LISTED_MAX
from tocsin.doors.door import Context, decided
from tocsin.doors.paging import page
from tocsin.model.changes import Put
from tocsin.model.chat import ChatConfiguration, ChatPreferences, Provider, chat_scope
from tocsin.model.errors import InvalidParameter
from tocsin.model.records import successor
from tocsin.ports import Store

MEMBERS = {
    "UserAuthorizationRequired": "user_authorization_required",
    "TrainingDataCollectionEnabled": "training_data_collection_enabled",
}


class Account:
    """`workspaces` are those of the settings: id -> name."""

    def __init__(self, store: Store, workspaces: Mapping[str, str]) -> None:
        self._store = store
        self._workspaces = workspaces

    async def describe_workspaces(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Those of the settings, and those that a configuration names."""
        used = {one.team for one in await self._of(context, Provider.SLACK)}
        found = [
            {"SlackTeamId": team, "SlackTeamName": self._workspaces.get(team) or team, "State": "ENABLED"}
            for team in sorted(used | set(self._workspaces))
        ]
        return _paged(found, "SlackWorkspaces", "SlackTeamId", request)

    async def list_teams(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Those that a configuration names."""
        teams = {}
        for one in await self._of(context, Provider.TEAMS):
            teams[one.team] = {"TenantId": one.spec["TenantId"], "TeamId": one.team, "State": "ENABLED"}
            if "TeamName" in one.spec:
                teams[one.team]["TeamName"] = one.spec["TeamName"]
        return _paged([teams[team] for team in sorted(teams)], "ConfiguredTeams", "TeamId", request)

    async def preferences(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _told(await self._preferences(context))

    async def prefer(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> ChatPreferences:
            old = await self._preferences(context)
            given = {name: request[member] for member, name in MEMBERS.items() if member in request}
            new = successor(old, **given)
            await self._store.commit(Put(new))
            return new

        return _told(await decided(attempt))

    async def _preferences(self, context: Context) -> ChatPreferences:
        """As they are kept; those of an account that never chose have revision 0."""
        scope = chat_scope(context.scope.account)
        return await self._store.get(ChatPreferences, scope, "account") or ChatPreferences(scope=scope, revision=0)

    async def _of(self, context: Context, provider: Provider) -> list[ChatConfiguration]:
        return await self._store.find(ChatConfiguration, chat_scope(context.scope.account), prefix=f"{provider}/")


def _told(preferences: ChatPreferences) -> dict[str, Any]:
    return {"AccountPreferences": {member: getattr(preferences, name) for member, name in MEMBERS.items()}}


def _paged(found: list[dict[str, Any]], listing: str, position: str, request: dict[str, Any]) -> dict[str, Any]:
    taken, token = page(
        found,
        kind=listing,
        position=lambda one: [one[position]],
        limit=request.get("MaxResults") or LISTED_MAX,
        token=request.get("NextToken"),
        error=InvalidParameter,
    )
    return {listing: taken, "NextToken": token}
