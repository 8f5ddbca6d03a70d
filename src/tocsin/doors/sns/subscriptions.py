"""Subscriptions: subscribe, confirm, unsubscribe, list, attributes."""

from typing import Any

from tocsin.core.topics.subscriptions import told
from tocsin.doors.door import Context
from tocsin.doors.sns.naming import asked_subscription, asked_topic, topic_place
from tocsin.doors.sns.paging import PAGE_MAX, start_of, token_beyond
from tocsin.model.topic import Subscription
from tocsin.services.topics import Topics

PENDING, PENDING_LISTED = "pending confirmation", "PendingConfirmation"


class SubscriptionDesk:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def subscribe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        topic = await self._topics.named(*asked_topic(context, request["TopicArn"]))
        made = await self._topics.subscriptions.subscribe(
            topic,
            request["Protocol"],
            request.get("Endpoint") or "",
            request.get("Attributes") or {},
            context.now_ms,
        )
        shown = made.confirmed or request.get("ReturnSubscriptionArn")
        return {"SubscriptionArn": made.arn if shown else PENDING}

    async def confirm(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Whoever holds the token may, as on AWS: it names the topic's account and region by itself."""
        scope, name = topic_place(request["TopicArn"])
        await self._topics.named(scope, name)
        strict = (request.get("AuthenticateOnUnsubscribe") or "").lower() == "true" and bool(context.access_key)
        confirmed = await self._topics.subscriptions.confirm(
            scope, name, request["Token"], context.now_ms, authenticated=strict
        )
        return {"SubscriptionArn": confirmed.arn}

    async def unsubscribe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._topics.subscriptions.end(*asked_subscription(context, request["SubscriptionArn"]))
        return {}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._page(context, request, "ListSubscriptions", "")

    async def list_by_topic(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        topic = await self._topics.named(*asked_topic(context, request["TopicArn"]))
        return await self._page(context, request, "ListSubscriptionsByTopic", f"{topic.name}/")

    async def _page(self, context: Context, request: dict[str, Any], kind: str, prefix: str) -> dict[str, Any]:
        after = start_of(kind, request)
        found = await self._topics.subscriptions_of(context.scope, prefix, after, PAGE_MAX + 1)
        return {"Subscriptions": [_listed(one) for one in found[:PAGE_MAX]], "NextToken": token_beyond(kind, found)}

    async def get_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope, key = asked_subscription(context, request["SubscriptionArn"])
        subscription = await self._topics.subscriptions.named(scope, key)
        topic = await self._topics.named(scope, subscription.topic)
        return {"Attributes": told(topic, subscription)}

    async def set_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope, key = asked_subscription(context, request["SubscriptionArn"])
        subscription = await self._topics.subscriptions.named(scope, key)
        topic = await self._topics.named(scope, subscription.topic)
        await self._topics.subscriptions.set_attribute(
            topic, key, request["AttributeName"], request.get("AttributeValue") or ""
        )
        return {}


def _listed(subscription: Subscription) -> dict[str, str]:
    return {
        "SubscriptionArn": subscription.arn if subscription.confirmed else PENDING_LISTED,
        "Owner": subscription.scope.account,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic_arn,
    }
