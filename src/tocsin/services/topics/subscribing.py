"""Subscriptions: asked for, confirmed by who holds the token, changed, ended."""

import secrets
from collections.abc import Callable, Mapping, Sequence

from tocsin.core.topics.envelope import CONFIRMATION, GOODBYE
from tocsin.core.topics.subscriptions import check_dead_letters, check_endpoint, checked
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.names import Scope, queue_of
from tocsin.model.outbound import Outbound
from tocsin.model.records import successor
from tocsin.model.topic import Subscription, Topic
from tocsin.model.topic_errors import (
    AuthorizationError,
    InvalidParameter,
    SubscriptionLimitExceeded,
    no_subscription,
    no_topic,
)
from tocsin.ports import Store
from tocsin.services.deciding import decided
from tocsin.services.queues import Queues
from tocsin.services.topics.fanout import Fanout, Owed
from tocsin.services.topics.mailing import Mailing
from tocsin.services.topics.settings import TopicsLimits

TOKEN_BYTES = 64
TOKEN_MS = 2 * 86_400_000  # "Confirmation tokens are valid for two days" (AWS, Subscribe)


class Subscribing:
    def __init__(
        self,
        store: Store,
        queues: Queues,
        fanout: Fanout,
        mailing: Mailing,
        limits: TopicsLimits,
        new_id: Callable[[], str],
        wake: Callable[[Sequence[Outbound]], None],
    ) -> None:
        self._store = store
        self._queues = queues
        self._fanout = fanout
        self._mailing = mailing
        self._limits = limits
        self._new_id = new_id
        self._wake = wake

    async def subscribe(
        self, topic: Topic, protocol: str, endpoint: str, attributes: Mapping[str, str], now_ms: int
    ) -> Subscription:
        """The new subscription, or the one there is with the same endpoint. Who still has to confirm is asked again."""
        check_endpoint(topic, protocol, endpoint)
        wanted = {name: value for name, value in checked(protocol, attributes).items() if value}
        check_dead_letters(topic, wanted.get("RedrivePolicy", ""))

        async def attempt() -> Subscription:
            found = await self._store.find(Subscription, topic.scope, prefix=f"{topic.name}/")
            same = [one for one in found if (one.protocol, one.endpoint) == (protocol, endpoint)]
            if same and any(same[0].attributes.get(name) != value for name, value in wanted.items()):
                raise InvalidParameter("Attributes Reason: Subscription already exists with different attributes")
            if same and same[0].confirmed:
                return same[0]
            if not same and len(found) >= self._limits.subscriptions_max:
                raise SubscriptionLimitExceeded(f"The topic has {len(found)} subscriptions already.")
            if same:
                asked = successor(same[0], token_ms=now_ms)
            else:
                asked = self._new(topic, protocol, endpoint, wanted, now_ms)
            owed = Owed()
            if not asked.confirmed:
                self._fanout.confirmation(topic, asked, CONFIRMATION, now_ms, owed)
            current = await self._store.get(Topic, topic.scope, topic.name)
            if current is None:
                raise no_topic()
            await self._store.commit(Put(asked), *owed.changes)
            self._follow(owed)
            return asked

        return await decided(attempt)

    def _new(self, topic: Topic, protocol: str, endpoint: str, attributes: dict[str, str], now_ms: int) -> Subscription:
        """A queue of the same account needs nobody's consent."""
        place = queue_of(endpoint) if protocol == "sqs" else None
        own = place is not None and place[0].account == topic.scope.account
        return Subscription(
            scope=topic.scope,
            topic=topic.name,
            id=self._new_id(),
            protocol=protocol,
            endpoint=endpoint,
            token=secrets.token_hex(TOKEN_BYTES),
            token_ms=now_ms,
            created_ms=now_ms,
            confirmed_ms=now_ms if own else 0,
            authenticated=own,
            attributes=attributes,
        )

    def _follow(self, owed: Owed) -> None:
        for queued in owed.queued:
            self._queues.arrived(queued)
        self._wake(owed.outbounds)

    async def confirm(
        self, scope: Scope, topic: str, token: str, now_ms: int, *, authenticated: bool = False
    ) -> Subscription:
        """Raises InvalidParameter for a token that is none, or too old. Confirming twice is confirming."""

        async def attempt() -> Subscription:
            found = await self._store.find(Subscription, scope, prefix=f"{topic}/")
            meant = next((one for one in found if secrets.compare_digest(one.token.encode(), token.encode())), None)
            if meant is None or (not meant.confirmed and meant.token_ms + TOKEN_MS < now_ms):
                raise InvalidParameter("Token")
            if meant.confirmed:
                return meant
            after = successor(meant, confirmed_ms=now_ms, authenticated=authenticated)
            await self._store.commit(Put(after))
            return after

        return await decided(attempt)

    async def named(self, scope: Scope, key: str) -> Subscription:
        """Raises NotFound."""
        found = await self._store.get(Subscription, scope, key)
        if found is None:
            raise no_subscription()
        return found

    async def set_attribute(self, topic: Topic, key: str, name: str, value: str) -> None:
        async def attempt() -> None:
            before = await self.named(topic.scope, key)
            both = {**before.attributes, name: value}
            scoped = name in ("FilterPolicy", "FilterPolicyScope")
            asked = {one: both.get(one, "") for one in ("FilterPolicy", "FilterPolicyScope")} if scoped else {}
            wanted = checked(before.protocol, {**asked, name: value})
            if name == "RedrivePolicy":
                check_dead_letters(topic, value)
            merged = {**before.attributes, name: wanted[name]}
            after = successor(before, attributes={one: kept for one, kept in merged.items() if kept})
            await self._store.commit(Put(after))

        await decided(attempt)

    async def end(self, scope: Scope, key: str) -> None:
        """The owner unsubscribes. Who ends what is not there has what he wants."""

        async def attempt() -> None:
            found = await self._store.get(Subscription, scope, key)
            if found is not None:
                await self._store.commit(Delete(found), *await self._mailing.dropped(found))

        await decided(attempt)

    async def leave(self, scope: Scope, key: str, token: str, now_ms: int) -> Subscription:
        """The reader unsubscribes with a link. For two days he can come back with another (AWS, Unsubscribe).

        Raises NotFound, InvalidParameter for a wrong token, AuthorizationError where only the owner may.
        """

        async def attempt() -> Subscription:
            before = await self.named(scope, key)
            if not secrets.compare_digest(before.token.encode(), token.encode()):
                raise InvalidParameter("Token")
            if before.authenticated:
                raise AuthorizationError("Only the owner may end this subscription, with a signed Unsubscribe.")
            if not before.confirmed:
                return before
            after = successor(before, confirmed_ms=0, token_ms=now_ms)
            topic = await self._store.get(Topic, scope, before.topic)
            owed = Owed()
            if topic is not None:
                self._fanout.confirmation(topic, after, GOODBYE, now_ms, owed)
            await self._store.commit(Put(after), *await self._mailing.dropped(after), *owed.changes)
            self._follow(owed)
            return after

        return await decided(attempt)

    async def endings(self, topic: Topic) -> list[Change]:
        """The changes that end all subscriptions of a topic that goes."""
        changes: list[Change] = []
        for one in await self._store.find(Subscription, topic.scope, prefix=f"{topic.name}/"):
            changes += [Delete(one), *await self._mailing.dropped(one)]
        return changes

    async def forget(self, now_ms: int) -> None:
        """Remove what nobody confirmed in time."""
        for one in await self._store.find(Subscription):
            if not one.confirmed and one.token_ms + TOKEN_MS < now_ms:
                await self.end(one.scope, one.key)
