"""Create, describe, change and delete a chat configuration of any kind."""

from collections.abc import Callable, Mapping
from typing import Any

from tocsin.doors.chatbot.kinds import Kind
from tocsin.doors.chatbot.tagging import first_tags, named, tag_list
from tocsin.doors.door import Context, decided
from tocsin.doors.paging import page
from tocsin.model.changes import Delete, Put
from tocsin.model.chat import ChatConfiguration, ChatThread, chat_scope
from tocsin.model.errors import (
    Conflict,
    InvalidParameter,
    InvalidRequest,
    LimitExceeded,
    ResourceNotFoundException,
)
from tocsin.model.names import topic_of
from tocsin.model.records import successor
from tocsin.ports import Store

# Of one kind in an account; all of them are looked through when a topic speaks.
CONFIGURATIONS_MAX = 500
# "The default is 100" of MaxResults, AWS's largest.
LISTED_MAX = 100


class Channels:
    """`workspaces` are the names of Slack workspaces, by id; `changed` is called when who listens may have changed."""

    def __init__(self, kind: Kind, store: Store, workspaces: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._kind = kind
        self._store = store
        self._workspaces = workspaces
        self._changed = changed

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        made = ChatConfiguration(
            scope=chat_scope(context.scope.account),
            provider=self._kind.provider,
            name=request["ConfigurationName"],
            created_ms=context.now_ms,
            topics=_topics(request.get("SnsTopicArns") or []),
            spec={name: request[name] for name in self._kind.members if name in request},
            webhook=request.get("WebhookUrl", ""),
            tags=first_tags(request),
        )

        async def attempt() -> None:
            others = await self._all(context)
            if len(others) >= CONFIGURATIONS_MAX:
                raise LimitExceeded(f"There can be at most {CONFIGURATIONS_MAX} configurations of this kind.")
            if any(one.name == made.name for one in others):
                raise Conflict(f"A configuration named {made.name} exists already.")
            self._demand_alone(made, others)
            await self._store.commit(Put(made))

        await decided(attempt)
        self._changed()
        return {self._kind.answer: self.described(made)}

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> ChatConfiguration:
            old = await self._named(context, request)
            changes = {name: request[name] for name in self._kind.changeable if name in request}
            new = successor(
                old,
                topics=_topics(request["SnsTopicArns"]) if "SnsTopicArns" in request else old.topics,
                spec=old.spec | changes,
                webhook=request.get("WebhookUrl", old.webhook),
            )
            self._demand_alone(new, await self._all(context))
            await self._store.commit(Put(new))
            return new

        new = await decided(attempt)
        self._changed()
        return {self._kind.answer: self.described(new)}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> None:
            old = await self._named(context, request)
            threads = await self._store.find(ChatThread, old.scope, prefix=f"{old.key}/")
            await self._store.commit(Delete(old), *map(Delete, threads))

        await decided(attempt)
        self._changed()
        return {}

    async def get(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {self._kind.answer: self.described(await self._named(context, request))}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """All, or those of one ARN or team, page by page."""
        wanted = request.get("ChatConfigurationArn"), request.get("TeamId")
        found = [
            one for one in await self._all(context) if wanted[0] in (None, one.arn) and wanted[1] in (None, one.team)
        ]
        taken, token = page(
            found,
            kind=self._kind.listing,
            position=lambda one: [one.name],
            limit=request.get("MaxResults") or LISTED_MAX,
            token=request.get("NextToken"),
            error=InvalidParameter,
        )
        return {self._kind.listing: [self.described(one) for one in taken], "NextToken": token}

    def described(self, one: ChatConfiguration) -> dict[str, Any]:
        return {
            **one.spec,
            **self._kind.needed(one, self._workspaces),
            "ChatConfigurationArn": one.arn,
            "ConfigurationName": one.name,
            "SnsTopicArns": list(one.topics),
            "Tags": tag_list(one.tags),
            "State": "ENABLED",
        }

    async def _all(self, context: Context) -> list[ChatConfiguration]:
        scope = chat_scope(context.scope.account)
        return await self._store.find(ChatConfiguration, scope, prefix=f"{self._kind.provider}/")

    async def _named(self, context: Context, request: dict[str, Any]) -> ChatConfiguration:
        """The configuration whose ARN is given. Raises ResourceNotFoundException."""
        given = request["ChatConfigurationArn"]
        found = await named(self._store, context.scope.account, given)
        if found is None or found.provider != self._kind.provider:
            raise ResourceNotFoundException(f"There is no {self._kind.channel} configuration {given}.")
        return found

    def _demand_alone(self, one: ChatConfiguration, others: list[ChatConfiguration]) -> None:
        """A channel has one configuration: two would post everything twice. Raises Conflict."""
        here = [one.spec.get(name) for name in self._kind.same]
        for other in others:
            if here and other.name != one.name and [other.spec.get(name) for name in self._kind.same] == here:
                raise Conflict(f"The {self._kind.channel} {one.channel} is configured already, as {other.name}.")


def _topics(given: list[str]) -> tuple[str, ...]:
    """The topics, each once. Raises InvalidRequest."""
    for one in given:
        if topic_of(one) is None:
            raise InvalidRequest(f"SnsTopicArns holds {one}, which is not the ARN of an SNS topic.")
    return tuple(dict.fromkeys(given))
