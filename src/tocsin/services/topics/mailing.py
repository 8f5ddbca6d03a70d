"""Mails of subscriptions: each message by itself as long as they are few, else held for one digest.

What is held is on disk with the publication. The windows are in memory: a restart begins a new one.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import to_builtins

from tocsin.core.cards import Hints
from tocsin.core.topics.digest import DIGEST_LINES_MAX
from tocsin.core.topics.mails import Mail, confirmation, digest, goodbye, in_a_line, notice
from tocsin.core.topics.subscriptions import last_resort
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import Stale
from tocsin.model.names import Scope, derived_uuid
from tocsin.model.outbound import LastResort, Outbound, RetryPolicy
from tocsin.model.topic import HeldMail, Subscription, Topic, TopicMessage
from tocsin.ports import Store
from tocsin.services.flows import Flows, Turn
from tocsin.services.topics.links import Links
from tocsin.services.topics.settings import TopicsLimits

log = logging.getLogger(__name__)

CARRIER = "mail"
# A mail is worth trying as long as mail servers try (RFC 5321 §4.5.4.1: at least four to five days).
RETRY = RetryPolicy(attempts_max=10_000, age_s_max=4 * 86_400)

FlowKey = tuple[Scope, str]


class Mailing:
    def __init__(self, store: Store, links: Links, limits: TopicsLimits, counts: Counter[str]) -> None:
        self._store = store
        self._links = links
        self._limits = limits
        self._counts = counts
        self.flows: Flows[FlowKey] = Flows(limits.mails_held_max)

    async def load(self, now_ms: int) -> None:
        """Take up what was held when the server ended: it is told in a minute."""
        kept = await self._store.find(HeldMail)
        held: Counter[FlowKey] = Counter((one.scope, _subscription_key(one)) for one in kept)
        last_place = max((one.place for one in kept), default=0)
        self.flows.load(now_ms, self._limits.mails_per_minute, held, last_place)

    def owed(
        self, topic: Topic, subscription: Subscription, message: TopicMessage, text: str, previous: str
    ) -> Outbound | HeldMail | None:
        """The mail, or what holds the message for the digest; None when no more can be held.

        `previous` is the status that the message's cluster had before, where that is known.
        """
        key = (subscription.scope, subscription.key)
        turn = self.flows.turn(key, message.at_ms, self._per_minute(subscription))
        if turn is Turn.FULL:
            return None
        hints = Hints(
            topic=topic.name,
            subject=message.subject,
            previous=previous,
            console_link=self._links.console_link,
            document=self._links.document,
        )
        if turn is Turn.ALONE:
            mail = notice(topic, subscription, message, text, self._links.unsubscribe_page(subscription), hints)
            last = last_resort(subscription, text, message.message_id)
            return self.outbound(subscription, mail, message.message_id, message.at_ms, last)
        return HeldMail(
            scope=subscription.scope,
            topic=subscription.topic,
            subscription=subscription.id,
            place=self.flows.next_place(message.at_ms),
            at_ms=message.at_ms,
            line=in_a_line(message, message.text_for("email"), hints),
        )

    def confirmation(self, topic: Topic, subscription: Subscription, now_ms: int) -> Outbound:
        mail = confirmation(topic, subscription, self._links.confirm_page(subscription))
        return self.outbound(subscription, mail, f"confirm {subscription.token} {now_ms}", now_ms)

    def goodbye(self, subscription: Subscription, now_ms: int) -> Outbound:
        mail = goodbye(subscription, self._links.return_page(subscription))
        return self.outbound(subscription, mail, f"goodbye {subscription.token} {now_ms}", now_ms)

    def outbound(
        self, subscription: Subscription, mail: Mail, what: str, now_ms: int, last: LastResort | None = None
    ) -> Outbound:
        return Outbound(
            scope=subscription.scope,
            lane=f"mail:{subscription.endpoint}",
            id=derived_uuid(what, subscription.id),
            carrier=CARRIER,
            origin=subscription.arn,
            body=mail.text,
            about=to_builtins(mail) | {"text": "", "subscription": subscription.key if mail.unsubscribe else ""},
            first_ms=now_ms,
            due_ms=now_ms,
            retry=RETRY,
            last_resort=last,
        )

    async def flush(self, now_ms: int, wake: Callable[[Sequence[Outbound]], None]) -> None:
        """Commit the digests that are due, and wake the outbox for each: the next may find the store away."""

        async def tell(key: FlowKey, now_ms: int) -> None:
            wake(await self._tell(key, now_ms))

        await self.flows.tell_due(now_ms, tell)

    async def _tell(self, key: FlowKey, now_ms: int) -> list[Outbound]:
        scope, name = key
        held = await self._store.find(HeldMail, scope, prefix=f"{name}/", limit=DIGEST_LINES_MAX)
        subscription = await self._store.get(Subscription, scope, name)
        topic = await self._store.get(Topic, scope, subscription.topic) if subscription else None
        mails: list[Outbound] = []
        if subscription and topic and held:
            more = max(self.flows.held(key) - len(held), 0)
            mail = digest(topic, subscription, held, more, self._links.unsubscribe_page(subscription))
            what = f"digest {held[0].key} {held[-1].key}"
            last = last_resort(subscription, mail.text, derived_uuid(what))
            mails = [self.outbound(subscription, mail, what, now_ms, last)]
        try:
            await self._store.commit(*map(Delete, held), *map(Put, mails))
        except Stale:  # somebody unsubscribed meanwhile: look again at once
            return []
        self._counts["digests"] += len(mails)
        self.flows.told(key, now_ms, len(held))
        return mails

    async def dropped(self, subscription: Subscription) -> Sequence[Change]:
        """The changes that forget what is held for a subscription that ends."""
        held = await self._store.find(HeldMail, subscription.scope, prefix=f"{subscription.key}/")
        self.flows.forget((subscription.scope, subscription.key))
        return [Delete(one) for one in held]

    def _per_minute(self, subscription: Subscription) -> int:
        return int(subscription.attributes.get("MailsPerMinute") or self._limits.mails_per_minute)


def _subscription_key(held: HeldMail) -> str:
    return f"{held.topic}/{held.subscription}"
