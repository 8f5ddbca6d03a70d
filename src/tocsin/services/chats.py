"""Chats hear topics: a published message becomes one outbound for each channel that listens, all in one commit.

Topics ask `heard`; the chatbot door writes configurations and says `changed`; carriers in targets/ post the bodies.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from tocsin.core.cards import Card, Hints, Link, Suspect, chime, digest, in_a_line, markdown, read_card, slack, teams
from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.core.topics.digest import DIGEST_LINES_MAX
from tocsin.model.changes import Delete, Put
from tocsin.model.chat import ChatConfiguration, HeldPost, Post, Provider, chat_scope
from tocsin.model.delivery import Landed
from tocsin.model.errors import Stale, TocsinError
from tocsin.model.names import Scope, derived_uuid, topic_of
from tocsin.model.outbound import Outbound, RetryPolicy
from tocsin.model.times import epoch_ms
from tocsin.model.topic import TopicMessage
from tocsin.ports import Clock, Store
from tocsin.services.flows import RETRY_PAUSE_S, Flows, Turn
from tocsin.services.statuses import StatusHistory

log = logging.getLogger(__name__)

CHAT, APPRISE = "chat", "apprise"
# The protocol in whose words a message with several comes: AWS subscribes its chat service by https.
HEARD_AS = "https"
# A day later, nobody wants to read it; and who cannot be reached for six hours has other ways to learn of it.
RETRY = RetryPolicy(attempts_max=100, age_s_max=6 * 3600)
# Held for the digests of one channel; each digest lists a thousand. More are dropped and counted.
POSTS_HELD_MAX = 100_000

ChannelKey = tuple[str, str]  # account, key of the configuration

DRAWN: Mapping[Provider, Callable[[Card], dict[str, Any]]] = {
    Provider.SLACK: slack,
    Provider.TEAMS: teams,
    Provider.CHIME: chime,
}


class Chats:
    """`arrived` wakes the outbox; `elsewhere` names, by topic ARN or name, the other services that hear it.

    `invited` makes the button that looks into a node; `document` is what it runs. A channel gets `per_minute` cards one
    by one, and what is more is listed in one; 0: all one by one.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        arrived: Callable[[Sequence[Outbound]], None],
        console_link: str = "",
        elsewhere: Mapping[str, Sequence[str]] | None = None,
        invited: Callable[[Suspect | None, TopicMessage, str], Link | None] = lambda *_: None,
        document: str = INVESTIGATION,
        per_minute: int = 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._per_minute = per_minute
        self._flows: Flows[ChannelKey] = Flows(POSTS_HELD_MAX)
        self._arrived = arrived
        self._console_link = console_link
        self._invited = invited
        self._document = document
        self.elsewhere: Mapping[str, Sequence[str]] = elsewhere or {}
        self._statuses = StatusHistory(store)
        self._by_topic: dict[str, list[ChatConfiguration]] | None = None
        self._generation = 0
        self.counts: Counter[str] = Counter(heard=0, posts=0, held=0, digests=0, dropped=0)

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
        turns = [(one, self._turn(one, now_ms)) for one in channels]
        owed = [self._post(one, card, message, now_ms) for one, turn in turns if turn is Turn.ALONE]
        owed += [self._note(service, card, message, now_ms) for service in services]
        held = [self._held(one, card, message, now_ms) for one, turn in turns if turn is Turn.HELD]

        def committed() -> None:
            self.counts["heard"] += 1
            self.counts["posts"] += len(owed)
            self.counts["held"] += len(held)
            self.counts["dropped"] += sum(turn is Turn.FULL for _, turn in turns)
            self._arrived(owed)

        return Landed(changes=tuple(map(Put, [*owed, *held])), committed=committed)

    async def to_channel(self, configuration: ChatConfiguration, message: TopicMessage, now_ms: int) -> Landed:
        """The message for one channel alone, whatever it listens to."""
        card = await self._card(message.topic_arn, message)
        owed = [self._post(configuration, card, message, now_ms)]
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

    def _turn(self, configuration: ChatConfiguration, now_ms: int) -> Turn:
        key = (configuration.scope.account, configuration.key)
        return self._flows.turn(key, now_ms, self._per_minute) if self._per_minute else Turn.ALONE

    def _post(self, one: ChatConfiguration, card: Card, message: TopicMessage, now_ms: int) -> Outbound:
        about = Post(configuration=one.key, account=one.scope.account, thread=card.thread, ends=card.ends)
        return _posted(one, card, about, message.topic_arn, message.message_id, now_ms)

    def _note(self, service: str, card: Card, message: TopicMessage, now_ms: int) -> Outbound:
        body = markdown(card) or card.title
        about = {"service": service, "title": card.title or card.summary, "tone": str(card.tone)}
        return _outbound(APPRISE, service, body, about, message.topic_arn, message.message_id, now_ms)

    def _held(self, one: ChatConfiguration, card: Card, message: TopicMessage, now_ms: int) -> HeldPost:
        return HeldPost(
            scope=one.scope,
            configuration=one.key,
            topic_arn=message.topic_arn,
            place=self._flows.next_place(now_ms),
            at_ms=now_ms,
            line=in_a_line(card),
            tone=card.tone,
            closes=card.thread if card.ends else "",
        )

    # Digests.

    async def load(self) -> None:
        """Take up what was held when the server ended. Called once, before anything else."""
        kept = await self._store.find(HeldPost)
        held: Counter[ChannelKey] = Counter((one.scope.account, one.configuration) for one in kept)
        last_place = max((one.place for one in kept), default=0)
        self._flows.load(epoch_ms(self._clock.now()), self._per_minute, held, last_place)

    async def run(self) -> None:
        """Post digests when they are due, until cancelled."""
        while True:
            self._flows.stirred.clear()
            try:
                await self.sweep(epoch_ms(self._clock.now()))
            except TocsinError as away:
                log.warning("digests of chats wait for the store: %s", away)
                await self._clock.sleep(RETRY_PAUSE_S)
            await self._flows.rest(self._clock)

    async def sweep(self, now_ms: int) -> None:
        """Commit the digests that are due."""
        await self._flows.tell_due(now_ms, self._tell)

    async def _tell(self, key: ChannelKey, now_ms: int) -> None:
        account, name = key
        scope = chat_scope(account)
        held = await self._store.find(HeldPost, scope, prefix=f"{name}/", limit=DIGEST_LINES_MAX)
        configuration = await self._store.get(ChatConfiguration, scope, name)
        owed: list[Outbound] = []
        if configuration and held:
            more = max(self._flows.held(key) - len(held), 0)
            closes = tuple(dict.fromkeys(one.closes for one in held if one.closes))
            about = Post(configuration=name, account=account, closes=closes)
            card, what = digest(held, more), f"digest {held[0].key} {held[-1].key}"
            owed = [_posted(configuration, card, about, held[-1].topic_arn, what, now_ms)]
        try:
            await self._store.commit(*map(Delete, held), *map(Put, owed))
        except Stale:  # told already: look again at once
            return
        self.counts["digests"] += len(owed)
        self.counts["dropped"] += 0 if owed else len(held)
        self._flows.told(key, now_ms, len(held))
        self._arrived(owed)


def _posted(one: ChatConfiguration, card: Card, about: Post, topic_arn: str, what: str, now_ms: int) -> Outbound:
    body = json.dumps(DRAWN[one.provider](card), ensure_ascii=False)
    return _outbound(CHAT, one.arn, body, msgspec.to_builtins(about), topic_arn, what, now_ms)


def _outbound(
    carrier: str, who: str, body: str, about: dict[str, Any], topic_arn: str, what: str, now_ms: int
) -> Outbound:
    """`what` names what is told: its repeat is the same delivery."""
    return Outbound(
        scope=_topic(topic_arn)[0],
        lane=f"{carrier}/{who}",
        id=derived_uuid(what, who),
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
