"""ReceiveMessage, and what consumers do afterwards: delete, hide for longer or shorter, one by one or in batches."""

from collections.abc import Collection, Mapping
from typing import Any

from tocsin.core.queues.attributes import NUMBERS
from tocsin.core.queues.messages import attributes_md5, body_md5
from tocsin.doors.door import Context
from tocsin.doors.sqs.batches import entries_of, outcome
from tocsin.doors.sqs.naming import asked_queue
from tocsin.model.queue import MessageAttribute, QueueMessage
from tocsin.model.queue_errors import InvalidAttributeName, MissingParameter, invalid_value
from tocsin.services.queues import Ask, Queues, Received

RECEIVED_MOST = 10
SYSTEM_NAMES = frozenset(
    {
        *("All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"),
        *("SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn"),
    }
)


class Receiving:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def receive(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        system = {*(request.get("AttributeNames") or ()), *(request.get("MessageSystemAttributeNames") or ())}
        for name in system:
            if name not in SYSTEM_NAMES:
                raise InvalidAttributeName(f"Unknown Attribute {name}.")
        fifo = self._queues.named(*place).fifo
        received = await self._queues.receive(*place, ask_of(request))
        own = request.get("MessageAttributeNames") or ()
        return {"Messages": [_members(one, system, own, fifo=fifo) for one in received] or None}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        [refused] = await self._queues.delete(*asked_queue(context, request), [request["ReceiptHandle"]])
        if refused is not None:
            raise refused
        return {}

    async def delete_batch(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        self._queues.named(*place)
        entries = entries_of(request, "DeleteMessageBatchRequestEntry")
        return outcome(entries, await self._queues.delete(*place, [entry["ReceiptHandle"] for entry in entries]))

    async def hide(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        asked = [(request["ReceiptHandle"], request["VisibilityTimeout"])]
        [refused] = await self._queues.hide(*asked_queue(context, request), asked)
        if refused is not None:
            raise refused
        return {}

    async def hide_batch(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        self._queues.named(*place)
        entries = entries_of(request, "ChangeMessageVisibilityBatchRequestEntry")
        if any(entry.get("VisibilityTimeout") is None for entry in entries):
            raise MissingParameter("The request must contain the parameter VisibilityTimeout.")
        asked = [(entry["ReceiptHandle"], entry["VisibilityTimeout"]) for entry in entries]
        return outcome(entries, await self._queues.hide(*place, asked))


def ask_of(request: dict[str, Any]) -> Ask:
    """Raises InvalidParameterValue. ReceiveRequestAttemptId is taken and not asked: see docs/aws.md."""
    most = request.get("MaxNumberOfMessages")
    if most is None:
        most = 1
    if not 1 <= most <= RECEIVED_MOST:
        raise invalid_value(most, "MaxNumberOfMessages", f"Must be between 1 and {RECEIVED_MOST}, if provided.")
    return Ask(
        most=most,
        visibility_s=_seconds(request, "VisibilityTimeout", "VisibilityTimeout"),
        wait_s=_seconds(request, "WaitTimeSeconds", "ReceiveMessageWaitTimeSeconds"),
    )


def _seconds(request: dict[str, Any], name: str, attribute: str) -> int | None:
    value: int | None = request.get(name)
    _, least, longest = NUMBERS[attribute]
    if value is not None and not least <= value <= longest:
        raise invalid_value(value, name, f"Must be >= {least} and <= {longest}, if provided.")
    return value


def _members(received: Received, system: Collection[str], own: Collection[str], *, fifo: bool) -> dict[str, Any]:
    message = received.message
    attributes = chosen(message.attributes, own)
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": received.handle,
        "MD5OfBody": body_md5(message.body),
        "Body": message.body,
        "Attributes": _system(message, system, fifo=fifo) or None,
        "MD5OfMessageAttributes": attributes_md5(attributes),
        "MessageAttributes": {name: _value(one) for name, one in attributes.items()} or None,
    }


def chosen(attributes: Mapping[str, MessageAttribute], names: Collection[str]) -> dict[str, MessageAttribute]:
    """Those asked for: by name, by `prefix.*`, all by `All` or `.*`."""
    if "All" in names or ".*" in names:
        return dict(attributes)
    prefixes = tuple(name.removesuffix("*") for name in names if name.endswith(".*"))
    return {name: one for name, one in attributes.items() if name in names or (prefixes and name.startswith(prefixes))}


def _value(attribute: MessageAttribute) -> dict[str, Any]:
    return {
        "DataType": attribute.data_type,
        "StringValue": attribute.text,
        "BinaryValue": attribute.blob,
    }


def _system(message: QueueMessage, names: Collection[str], *, fifo: bool) -> dict[str, str]:
    found = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
        "SequenceNumber": f"{message.sequence:020d}" if fifo else "",
        "MessageDeduplicationId": message.dedup_id,
        "MessageGroupId": message.group_id,
        "AWSTraceHeader": message.trace_header,
        "DeadLetterQueueSourceArn": message.source_arn,
    }
    return {name: value for name, value in found.items() if value and ("All" in names or name in names)}
