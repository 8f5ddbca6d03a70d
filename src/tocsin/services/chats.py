"""Chats hear topics: a published message becomes one outbound for each channel that listens, all in one commit.

Topics ask `heard`; the chatbot door writes configurations and says `changed`; carriers in targets/ post the bodies.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from tocsin.core.cards import Card, Hints, Link, Suspect, chime, markdown, read_card, slack, teams
from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.model.changes import Put
from tocsin.model.chat import ChatConfiguration, Post, Provider
from tocsin.model.delivery import Landed
from tocsin.model.names import Scope, derived_uuid, topic_of
from tocsin.model.outbound import Outbound, RetryPolicy
from tocsin.model.topic import TopicMessage
from tocsin.ports import Store
from tocsin.services.statuses import StatusHistory

CHAT, APPRISE = "chat", "apprise"
# The protocol in whose words a message with several comes: AWS subscribes its chat service by https.
HEARD_AS = "https"
# A day later, nobody wants to read it; and who cannot be reached for six hours has other ways to learn of it.
RETRY = RetryPolicy(attempts_max=100, age_s_max=6 * 3600)

DRAWN: Mapping[Provider, Callable[[Card], dict[str, Any]]] = {
    Provider.SLACK: slack,
    Provider.TEAMS: teams,
    Provider.CHIME: chime,
}


class Chats:
    """`arrived` wakes the outbox; `elsewhere` names, by topic ARN or name, the other services that hear it.

    `invited` makes the button that looks into a node; `document` is what it runs.
    """

    def __init__(
        self,
        *,
        store: Store,
        arrived: Callable[[Sequence[Outbound]], None],
        console_link: str = "",
        elsewhere: Mapping[str, Sequence[str]] | None = None,
        invited: Callable[[Suspect | None, TopicMessage, str], Link | None] = lambda *_: None,
        document: str = INVESTIGATION,
    ) -> None:
        self._store = store
        self._arrived = arrived
        self._console_link = console_link
        self._invited = invited
        self._document = document
        self.elsewhere: Mapping[str, Sequence[str]] = elsewhere or {}
        self._statuses = StatusHistory(store)
        self._by_topic: dict[str, list[ChatConfiguration]] | None = None
        self._generation = 0
        self.counts: Counter[str] = Counter(heard=0, posts=0)

    def changed(self) -> None:
        """A configuration was written: who listens is read anew."""
        self._generation += 1
        self._by_topic = None

    async def listening(self, topic_arn: str) -> list[ChatConfiguration]:
        """The configurations that hear a topic."""
        while self._by_topic is None:
            generation = self._generation
            found: dict[str, list[ChatConfiguration]] = {}
            for one in await self._store.find(ChatConfiguration):
                for topic in one.topics:
                    found.setdefault(topic, []).append(one)
            if generation == self._generation:
                self._by_topic = found
        return self._by_topic.get(topic_arn, [])

    def services(self, topic_arn: str) -> list[str]:
        """Names of the other services that hear a topic."""
        return [*self.elsewhere.get(topic_arn, ()), *self.elsewhere.get(_topic(topic_arn)[1], ())]

    async def heard(self, topic_arn: str, message: TopicMessage, now_ms: int) -> Landed:
        """See ports.Listeners."""
        channels, services = await self.listening(topic_arn), self.services(topic_arn)
        if not channels and not services:
            return Landed()
        card = await self._card(topic_arn, message)
        owed = [self._post(one, card, topic_arn, message, now_ms) for one in channels]
        owed += [self._note(service, card, topic_arn, message, now_ms) for service in services]

        def committed() -> None:
            self.counts["heard"] += 1
            self.counts["posts"] += len(owed)
            self._arrived(owed)

        return Landed(changes=tuple(map(Put, owed)), committed=committed)

    async def to_channel(self, configuration: ChatConfiguration, message: TopicMessage, now_ms: int) -> Landed:
        """The message for one channel alone, whatever it listens to."""
        card = await self._card(message.topic_arn, message)
        owed = [self._post(configuration, card, message.topic_arn, message, now_ms)]
        return Landed(changes=tuple(map(Put, owed)), committed=lambda: self._arrived(owed))

    async def _card(self, topic_arn: str, message: TopicMessage) -> Card:
        text, (scope, name) = message.text_for(HEARD_AS), _topic(topic_arn)
        previous = await self._statuses.before(scope, text)
        hints = Hints(
            topic=name,
            subject=message.subject,
            previous=previous,
            console_link=self._console_link,
            document=self._document,
        )
        card = read_card(text, hints)
        button = self._invited(card.suspect, message, scope.account)
        return replace(card, links=(*card.links, button)) if button else card

    def _post(
        self, configuration: ChatConfiguration, card: Card, topic_arn: str, message: TopicMessage, now_ms: int
    ) -> Outbound:
        about = Post(
            configuration=configuration.key, account=configuration.scope.account, thread=card.thread, ends=card.ends
        )
        body = json.dumps(DRAWN[configuration.provider](card), ensure_ascii=False)
        return _outbound(CHAT, configuration.arn, body, msgspec.to_builtins(about), topic_arn, message, now_ms)

    def _note(self, service: str, card: Card, topic_arn: str, message: TopicMessage, now_ms: int) -> Outbound:
        body = markdown(card) or card.title
        about = {"service": service, "title": card.title or card.summary, "tone": str(card.tone)}
        return _outbound(APPRISE, service, body, about, topic_arn, message, now_ms)


def _outbound(
    carrier: str, who: str, body: str, about: dict[str, Any], topic_arn: str, message: TopicMessage, now_ms: int
) -> Outbound:
    return Outbound(
        scope=_topic(topic_arn)[0],
        lane=f"{carrier}/{who}",
        id=derived_uuid(message.message_id, who),
        carrier=carrier,
        origin=who,
        body=body,
        about=about,
        first_ms=now_ms,
        due_ms=now_ms,
        retry=RETRY,
    )


def _topic(topic_arn: str) -> tuple[Scope, str]:
    topic = topic_of(topic_arn)
    assert topic is not None, f"{topic_arn} is no topic's ARN"
    return topic
