"""Topics themselves: make, delete, list, their attributes, permissions and data protection policy."""

import json
from typing import Any

from tocsin.core.topics.attributes import DATA_PROTECTION_CHARS_MAX
from tocsin.core.topics.permissions import with_statement, without_statement
from tocsin.doors.door import Context
from tocsin.doors.sns.naming import asked_topic
from tocsin.doors.sns.paging import PAGE_MAX, start_of, token_beyond
from tocsin.doors.sns.tags import told_tags
from tocsin.model.errors import NotImplementedYet
from tocsin.model.records import successor
from tocsin.model.topic import Topic
from tocsin.model.topic_errors import InvalidParameter
from tocsin.services.topics import Topics


class TopicDesk:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        protection = _protection(request.get("DataProtectionPolicy") or "")
        topic = await self._topics.create(
            context.scope, request["Name"], request.get("Attributes") or {}, told_tags(request), protection
        )
        return {"TopicArn": topic.arn}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._topics.delete(*asked_topic(context, request["TopicArn"]))
        return {}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        after = start_of("ListTopics", request)
        found = await self._topics.all_of(context.scope, after, PAGE_MAX + 1)
        shown = [{"TopicArn": topic.arn} for topic in found[:PAGE_MAX]]
        return {"Topics": shown, "NextToken": token_beyond("ListTopics", found)}

    async def get_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        topic = await self._topics.named(*asked_topic(context, request["TopicArn"]))
        return {"Attributes": await self._topics.told(topic)}

    async def set_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_topic(context, request["TopicArn"])
        if request["AttributeName"] == "FifoTopic":
            raise InvalidParameter("AttributeName")
        await self._topics.set_attribute(*place, request["AttributeName"], request.get("AttributeValue") or "")
        return {}

    async def add_permission(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_topic(context, request["TopicArn"])

        def change(topic: Topic) -> Topic:
            policy = with_statement(topic, request["Label"], request["AWSAccountId"], request["ActionName"])
            return successor(topic, attributes={**topic.attributes, "Policy": policy})

        await self._topics.change(*place, change)
        return {}

    async def remove_permission(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_topic(context, request["TopicArn"])

        def change(topic: Topic) -> Topic:
            return successor(
                topic, attributes={**topic.attributes, "Policy": without_statement(topic, request["Label"])}
            )

        await self._topics.change(*place, change)
        return {}

    async def get_protection(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        topic = await self._topics.named(*asked_topic(context, request["ResourceArn"], "ResourceArn"))
        return {"DataProtectionPolicy": topic.data_protection}

    async def put_protection(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_topic(context, request["ResourceArn"], "ResourceArn")
        policy = _protection(request["DataProtectionPolicy"])
        await self._topics.change(*place, lambda topic: successor(topic, data_protection=policy))
        return {}


def _protection(text: str) -> str:
    """A policy that masks or denies would be a promise that nothing here keeps: only the empty one is taken."""
    if len(text) > DATA_PROTECTION_CHARS_MAX:
        raise InvalidParameter("DataProtectionPolicy Reason: longer than 30,720 characters")
    try:
        policy = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict):
        raise InvalidParameter("DataProtectionPolicy Reason: not a JSON object")
    if policy.get("Statement"):
        raise NotImplementedYet(
            "Data protection policies with statements are not implemented in Tocsin: nothing here looks for personal "
            "data in messages, so that none would be audited, masked or denied."
        )
    return text
