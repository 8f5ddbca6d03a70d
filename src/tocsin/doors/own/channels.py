"""Which channels and other services hear which topics, and whether the settings say where they are posted to."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, scope_of
from tocsin.model.chat import ChatConfiguration, chat_scope
from tocsin.model.names import topic_arn
from tocsin.ports import Store
from tocsin.services.chats import Chats


class Channels:
    """`how` says how a configuration is posted to: by webhook, by token, or (empty) not at all."""

    def __init__(self, store: Store, chats: Chats, how: Callable[[ChatConfiguration], str]) -> None:
        self._store = store
        self._chats = chats
        self._how = how

    async def listed(self, request: Request) -> Response:
        """All of the account, or those that hear `topic`, a name or an ARN."""
        scope, topic = scope_of(request), request.query_params.get("topic", "")
        found = await self._store.find(ChatConfiguration, chat_scope(scope.account))
        services = list(self._chats.elsewhere.items())
        if topic:
            wanted = topic if topic.startswith("arn:") else topic_arn(scope, topic)
            found = [one for one in found if wanted in one.topics]
            services = [(name, names) for name, names in services if name in (wanted, _name(wanted))]
        return answer(
            {
                "channels": [self._told(one) for one in found],
                "services": [{"service": one, "topic": name} for name, names in services for one in names],
            }
        )

    def _told(self, one: ChatConfiguration) -> dict[str, Any]:
        return {
            "configuration": one.name,
            "kind": str(one.provider),
            "channel": one.channel,
            "topics": list(one.topics),
            "address": self._how(one),
            "arn": one.arn,
        }


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]
