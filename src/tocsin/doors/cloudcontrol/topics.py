"""AWS::SNS::Topic by SNS's operations: attributes, delivery status logging, subscriptions, tags."""

import json
from typing import Any

from tocsin.core.cloud.mapping import attribute, differing, document, from_attributes, given, tag_list
from tocsin.core.cloud.schemas import TOPIC
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, or_undone, retag
from tocsin.model.cloud import AlreadyExists
from tocsin.model.names import topic_arn
from tocsin.model.topic_errors import NotFound

_ATTRIBUTES = (
    *("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig", "FifoTopic", "FifoThroughputScope"),
    *("ContentBasedDeduplication", "ArchivePolicy"),
)
# Protocol of DeliveryStatusLogging -> how its attributes begin.
_LOGGED = {"http/s": "HTTP", "sqs": "SQS", "lambda": "Lambda", "firehose": "Firehose", "application": "Application"}
_FEEDBACK = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")


async def create(ask: Asking, model: Model) -> str:
    name = str(model["TopicName"])
    if await _there(ask, topic_arn(ask.scope, name)):
        raise AlreadyExists(f"Topic {name} already exists.")
    made = await ask(
        "sns",
        "CreateTopic",
        Name=name,
        Attributes=_attributes(model) or None,
        DataProtectionPolicy=document(model.get("DataProtectionPolicy")),
        Tags=model.get("Tags"),
    )
    identifier = str(made["TopicArn"])
    await or_undone(_subscribe(ask, identifier, {}, model), lambda: delete(ask, identifier))
    return identifier


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    attributes = (await ask("sns", "GetTopicAttributes", TopicArn=identifier))["Attributes"]
    protection = await ask("sns", "GetDataProtectionPolicy", ResourceArn=identifier)
    tags = await ask("sns", "ListTagsForResource", ResourceArn=identifier)
    heard = await ask.all("sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=identifier)
    return {
        **from_attributes(TOPIC, attributes),
        "DataProtectionPolicy": json.loads(protection["DataProtectionPolicy"] or "{}"),
        "TopicName": identifier.rpartition(":")[2],
        "DeliveryStatusLogging": _logging(attributes),
        "Subscription": [given(one, ("Endpoint", "Protocol")) for one in heard],
        "Tags": tags["Tags"],
    }


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    old, new = _attributes(before), _attributes(after)
    for name, value in differing(old, new, sorted(old.keys() | new.keys())).items():
        await ask("sns", "SetTopicAttributes", TopicArn=identifier, AttributeName=name, AttributeValue=value or "")
    if differing(before, after, ["DataProtectionPolicy"]):
        policy = document(after.get("DataProtectionPolicy", {}))
        await ask("sns", "PutDataProtectionPolicy", ResourceArn=identifier, DataProtectionPolicy=policy)
    await _subscribe(ask, identifier, before, after)
    await retag(
        before,
        after,
        lambda tags: ask("sns", "TagResource", ResourceArn=identifier, Tags=tag_list(tags)),
        lambda keys: ask("sns", "UntagResource", ResourceArn=identifier, TagKeys=keys),
    )
    return False


async def delete(ask: Asking, identifier: str) -> None:
    await ask("sns", "GetTopicAttributes", TopicArn=identifier)  # deleting one that is not there succeeds
    await ask("sns", "DeleteTopic", TopicArn=identifier)


async def listed(ask: Asking) -> list[str]:
    return [topic["TopicArn"] for topic in await ask.all("sns", "ListTopics", "Topics")]


async def _there(ask: Asking, arn: str) -> bool:
    try:
        await ask("sns", "GetTopicAttributes", TopicArn=arn)
    except NotFound:
        return False
    return True


def _attributes(model: Model) -> dict[str, str]:
    plain = {name: attribute(value) for name, value in given(model, _ATTRIBUTES).items()}
    logged = [one for one in model.get("DeliveryStatusLogging") or [] if isinstance(one, dict)]
    return plain | {
        f"{_LOGGED.get(str(one.get('Protocol')), one.get('Protocol'))}{name}": attribute(one[name])
        for one in logged
        for name in _FEEDBACK
        if name in one
    }


def _logging(attributes: Model) -> list[dict[str, str]]:
    found = [
        {"Protocol": protocol}
        | {name: attributes[f"{prefix}{name}"] for name in _FEEDBACK if f"{prefix}{name}" in attributes}
        for protocol, prefix in _LOGGED.items()
    ]
    return [one for one in found if len(one) > 1]


async def _subscribe(ask: Asking, identifier: str, before: Model, after: Model) -> None:
    old, new = _ends(before), _ends(after)
    there = await ask.all("sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=identifier) if old - new else []
    for one in there:
        if (one["Protocol"], one["Endpoint"]) in old - new and one["SubscriptionArn"].startswith("arn:"):
            await ask("sns", "Unsubscribe", SubscriptionArn=one["SubscriptionArn"])
    for protocol, endpoint in sorted(new - old):
        await ask("sns", "Subscribe", TopicArn=identifier, Protocol=protocol, Endpoint=endpoint)


def _ends(model: Model) -> set[tuple[str, str]]:
    found = [one for one in model.get("Subscription") or [] if isinstance(one, dict)]
    return {(str(one.get("Protocol")), str(one.get("Endpoint"))) for one in found}


KIND = Kind(TOPIC, create, read, update, delete, listed)
