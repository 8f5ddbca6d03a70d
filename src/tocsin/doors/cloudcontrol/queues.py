"""AWS::SQS::Queue by SQS's operations: a queue is its attributes and tags."""

from typing import Any

from tocsin.core.cloud.mapping import attribute, differing, from_attributes, given, tag_list, tag_map
from tocsin.core.cloud.schemas import QUEUE
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, retag
from tocsin.model.cloud import AlreadyExists
from tocsin.model.queue_errors import QueueDoesNotExist

_ATTRIBUTES = tuple(name for name in QUEUE.properties if name not in ("QueueName", "QueueUrl", "Arn", "Tags"))


async def create(ask: Asking, model: Model) -> str:
    name = str(model["QueueName"])
    if await _there(ask, name):
        raise AlreadyExists(f"Queue {name} already exists.")
    attributes = {one: attribute(value) for one, value in given(model, _ATTRIBUTES).items()}
    if model.get("FifoQueue") is False:
        attributes.pop("FifoQueue")  # an attribute that is there only where it is true
    made = await ask("sqs", "CreateQueue", QueueName=name, Attributes=attributes or None, tags=tag_map(model) or None)
    return str(made["QueueUrl"])


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    answer = await ask("sqs", "GetQueueAttributes", QueueUrl=identifier, AttributeNames=["All"])
    tags = await ask("sqs", "ListQueueTags", QueueUrl=identifier)
    attributes = answer["Attributes"]
    name = attributes["QueueArn"].rpartition(":")[2]
    url = await ask("sqs", "GetQueueUrl", QueueName=name)
    return {
        **from_attributes(QUEUE, attributes),
        "QueueName": name,
        "QueueUrl": url["QueueUrl"],
        "Arn": attributes["QueueArn"],
        "Tags": tag_list(tags.get("Tags") or {}),
    }


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    changed = differing(before, after, _ATTRIBUTES)
    if changed:
        values = {
            name: attribute(QUEUE.defaults.get(name) if value is None else value) for name, value in changed.items()
        }
        await ask("sqs", "SetQueueAttributes", QueueUrl=identifier, Attributes=values)
    await retag(
        before,
        after,
        lambda tags: ask("sqs", "TagQueue", QueueUrl=identifier, Tags=tags),
        lambda keys: ask("sqs", "UntagQueue", QueueUrl=identifier, TagKeys=keys),
    )
    return False


async def delete(ask: Asking, identifier: str) -> None:
    await ask("sqs", "DeleteQueue", QueueUrl=identifier)


async def listed(ask: Asking) -> list[str]:
    return [str(url) for url in await ask.all("sqs", "ListQueues", "QueueUrls", MaxResults=1_000)]


async def _there(ask: Asking, name: str) -> bool:
    try:
        await ask("sqs", "GetQueueUrl", QueueName=name)
    except QueueDoesNotExist:
        return False
    return True


KIND = Kind(QUEUE, create, read, update, delete, listed)
