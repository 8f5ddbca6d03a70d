"""SendMessage and its batch: from members to drafts, and the digests that clients check."""

from typing import Any

from tocsin.core.queues.attributes import MESSAGE_BYTES_LARGEST
from tocsin.core.queues.messages import Draft, attributes_md5, body_md5, size_of
from tocsin.doors.door import Context
from tocsin.doors.sqs.batches import entries_of, failed
from tocsin.doors.sqs.naming import asked_queue
from tocsin.model.queue import MessageAttribute, Queue
from tocsin.model.queue_errors import BatchRequestTooLong, InvalidParameterValue, QueueError
from tocsin.services.queues import Queues, Sent

TRACE = "AWSTraceHeader"


class Sending:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def send(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        queue = self._queues.named(*place)
        draft = draft_of(context, request)
        [sent] = await self._queues.send(*place, [draft])
        if isinstance(sent, QueueError):
            raise sent
        return _members(queue, draft, sent)

    async def send_batch(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        queue = self._queues.named(*place)
        entries = entries_of(request, "SendMessageBatchRequestEntry")
        drafts = [draft_of(context, entry) for entry in entries]
        size = sum(map(size_of, drafts))
        if size > MESSAGE_BYTES_LARGEST:
            raise BatchRequestTooLong(
                f"Batch requests cannot be longer than {MESSAGE_BYTES_LARGEST} bytes. You have sent {size} bytes."
            )
        successful, refused = [], []
        for entry, draft, sent in zip(entries, drafts, await self._queues.send(*place, drafts), strict=True):
            if isinstance(sent, QueueError):
                refused.append(failed(entry, sent))
            else:
                successful.append({"Id": entry["Id"], **_members(queue, draft, sent)})
        return {"Successful": successful, "Failed": refused}


def draft_of(context: Context, entry: dict[str, Any]) -> Draft:
    system = entry.get("MessageSystemAttributes") or {}
    for name in system:
        if name != TRACE:
            raise InvalidParameterValue(f"Message system attribute name '{name}' is invalid.")
    return Draft(
        body=entry["MessageBody"],
        attributes={name: _attribute(name, value) for name, value in (entry.get("MessageAttributes") or {}).items()},
        delay_s=entry.get("DelaySeconds"),
        group_id=entry.get("MessageGroupId") or "",
        dedup_id=entry.get("MessageDeduplicationId") or "",
        trace_header=(system[TRACE].get("StringValue") or "") if system else "",
        sender=context.access_key or context.scope.account,
    )


def _attribute(name: str, value: dict[str, Any]) -> MessageAttribute:
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise InvalidParameterValue("Message attribute list values in SendMessage operation are not supported.")
    if value.get("StringValue") is not None and value.get("BinaryValue") is not None:
        raise InvalidParameterValue(f"Message attribute '{name}' has multiple values.")
    return MessageAttribute(data_type=value["DataType"], text=value.get("StringValue"), blob=value.get("BinaryValue"))


def _members(queue: Queue, draft: Draft, sent: Sent) -> dict[str, Any]:
    trace = {TRACE: MessageAttribute(data_type="String", text=draft.trace_header)} if draft.trace_header else {}
    return {
        "MessageId": sent.message_id,
        "MD5OfMessageBody": body_md5(draft.body),
        "MD5OfMessageAttributes": attributes_md5(draft.attributes),
        "MD5OfMessageSystemAttributes": attributes_md5(trace),
        "SequenceNumber": f"{sent.sequence:020d}" if queue.fifo else None,
    }
