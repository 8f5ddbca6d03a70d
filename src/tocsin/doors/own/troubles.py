"""What keeps deliveries from arriving, target by target: connections, lanes that fail, buses that let nobody in."""

from collections import defaultdict
from collections.abc import Callable

from tocsin.core.busgrants import may_send
from tocsin.core.obstacles import failing, made_anew, not_authorized, not_let_in, unheard, unposted
from tocsin.model.bus import EventBus, default_bus
from tocsin.model.chat import ChatConfiguration, chat_scope
from tocsin.model.connection import ApiDestination, Connection, ConnectionState, api_destination_of, connection_of
from tocsin.model.names import DEFAULT_BUS, bus_of, topic_of
from tocsin.model.rule import Rule, Target
from tocsin.model.topic import Subscription, Topic
from tocsin.ports import Store
from tocsin.services.outbox import Outbox


class Troubles:
    """`posted_by` says how a chat configuration is posted to; empty where the settings do not know."""

    def __init__(self, store: Store, outbox: Outbox, posted_by: Callable[[ChatConfiguration], str]) -> None:
        self._store = store
        self._outbox = outbox
        self._posted_by = posted_by

    async def of(self, rule: Rule) -> dict[str, list[str]]:
        """Sentences by target id."""
        told: dict[str, list[str]] = defaultdict(list)
        channels = {target.id: await self._channels(target) for target in rule.targets}
        for target in rule.targets:
            told[target.id] += await self._connection(target)
            told[target.id] += await self._unheard(target, channels[target.id])
            told[target.id] += await self._closed_bus(rule, target)
        for view in await self._outbox.lanes(rule.scope):
            for target in rule.targets:
                about = view.oldest.about.get("arn")
                its_own = (view.oldest.origin, about) == (rule.arn, target.arn)
                of_topic = view.oldest.origin.startswith(f"{target.arn}:")  # a subscription's
                of_chat = view.oldest.origin in [one.arn for one in channels[target.id]]
                if view.failing_since_ms and (its_own or of_topic or of_chat):
                    error = view.oldest.last_error
                    told[target.id].append(failing(target, view.owed, view.failing_since_ms, error, view.next_try_ms))
        return told

    async def _channels(self, target: Target) -> list[ChatConfiguration]:
        """Those that hear the target, if it is a topic."""
        place = topic_of(target.arn)
        found = await self._store.find(ChatConfiguration, chat_scope(place[0].account)) if place else []
        return [one for one in found if target.arn in one.topics]

    async def _unheard(self, target: Target, channels: list[ChatConfiguration]) -> list[str]:
        place = topic_of(target.arn)
        if place is None or await self._store.get(Topic, *place) is None:
            return []
        subscriptions = await self._store.find(Subscription, place[0], prefix=f"{place[1]}/")
        if not channels and not any(one.confirmed for one in subscriptions):
            return [unheard(target, place[1], len(subscriptions))]
        return [unposted(target, place[1], one.name) for one in channels if not self._posted_by(one)]

    async def _closed_bus(self, rule: Rule, target: Target) -> list[str]:
        place = bus_of(target.arn)
        bus = await self._store.get(EventBus, *place) if place else None
        if place and bus is None and place[1] == DEFAULT_BUS:
            bus = default_bus(place[0])
        if bus is None or may_send(bus.policy, rule.arn, target.arn):
            return []
        return [not_let_in(target, rule.scope.account)]

    async def _connection(self, target: Target) -> list[str]:
        place = api_destination_of(target.arn)
        destination = await self._store.get(ApiDestination, *place) if place else None
        if destination is not None and destination.arn != target.arn:
            return [made_anew(target, destination.name, destination.arn)]
        found = connection_of(destination.connection_arn) if destination else None
        if found is None:
            return []
        connection = await self._store.get(Connection, *found[:2])
        if connection is None:
            return [not_authorized(target, found[1], "", "")]
        if connection.state is ConnectionState.AUTHORIZED:
            return []
        return [not_authorized(target, connection.name, connection.state, connection.reason)]
