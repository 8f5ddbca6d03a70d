"""A message through the whole path, for a test, and what became of what it owed to the outside."""

from collections.abc import Callable

import msgspec
from msgspec import Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.topics.messages import Draft
from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.errors import AwsError, StoreUnavailable
from tocsin.model.names import Scope, topic_of
from tocsin.model.topic import Topic
from tocsin.services.outcomes import Outcomes
from tocsin.services.topics import Topics

SUBJECT = "A test from Tocsin"
TEXT = (
    "This message was published to {topic} by `tocsin notify test`. Nothing happened: "
    "it shows that messages of this topic reach you."
)
# Deliveries asked about at once: more than a person looks at.
ASKED_MAX = 1_000


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    to: str


_asked = msgspec.json.Decoder(Asked).decode


class Notify:
    def __init__(self, topics: Topics, outcomes: Outcomes, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._topics = topics
        self._outcomes = outcomes

    async def send(self, request: Request) -> Response:
        """Publish a test message to the topic `to` (a name or an ARN); answers each hop that follows at once."""
        try:
            to = _asked(await request.body()).to
        except msgspec.MsgspecError as error:
            return refuse(f"The request cannot be read: {error}")
        scope = scope_of(request)
        topic = await self._topic(scope, to)
        if topic is None:
            return refuse(f"There is no topic {to} in account {scope.account}, {scope.region}.", 404)
        try:
            published = await self._topics.publish(topic.scope, topic.name, [self._draft(topic)])
        except StoreUnavailable as error:
            return refuse(f"The state cannot be written now: {error}", 503)
        except AwsError as error:
            return refuse(error.message, error.status)
        hops = [to_builtins(hop) for hop in published.hops]
        return answer({"topic": topic.arn, "message_id": published.sent[0].message_id, "hops": hops})

    def _draft(self, topic: Topic) -> Draft:
        """One that no earlier test's deduplication swallows."""
        group, dedup = ("tocsin-notify-test", self._new_id()) if topic.fifo else ("", "")
        return Draft(message=TEXT.format(topic=topic.name), subject=SUBJECT, group_id=group, dedup_id=dedup)

    async def _topic(self, scope: Scope, to: str) -> Topic | None:
        place = topic_of(to) if to.startswith("arn:") else (scope, to)
        return await self._topics.find(*place) if place and place[0] == scope else None

    async def outbounds(self, request: Request) -> Response:
        """How the outbound deliveries of these ids stand."""
        ids = request.query_params.getlist("id")[:ASKED_MAX]
        return answer({"outbounds": await self._outcomes.told(scope_of(request), ids)})
