"""Publish and PublishBatch."""

import re
from typing import Any

from tocsin.core.topics.attributes import message_bytes_max
from tocsin.core.topics.messages import Draft, check_draft, size_of
from tocsin.doors.door import Context
from tocsin.doors.sns.naming import asked_topic
from tocsin.model.errors import NotImplementedYet
from tocsin.model.queue import MessageAttribute
from tocsin.model.topic import Topic
from tocsin.model.topic_errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidParameter,
    TooManyEntriesInBatchRequest,
    TopicError,
)
from tocsin.services.topics import Sent, Topics

ENTRIES_MAX = 10  # AWS, PublishBatch
ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Publishing:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def publish(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("PhoneNumber"):
            raise NotImplementedYet("Publishing to a PhoneNumber is not implemented in Tocsin yet.")
        arn = request.get("TopicArn") or request.get("TargetArn")
        if not arn:
            raise InvalidParameter("TopicArn or TargetArn Reason: no value for required parameter")
        if ":endpoint/" in arn:
            raise NotImplementedYet("Publishing to a mobile application's endpoint is not implemented in Tocsin yet.")
        topic = await self._topics.named(*asked_topic(context, arn))
        draft = _draft(request)
        check_draft(topic, draft)
        published = await self._topics.publish(topic.scope, topic.name, [draft])
        return _sent(published.sent[0])

    async def publish_batch(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        topic = await self._topics.named(*asked_topic(context, request["TopicArn"]))
        entries = request["PublishBatchRequestEntries"]
        _check_entries(entries)
        drafts = [_draft(entry) for entry in entries]
        if sum(map(size_of, drafts)) > message_bytes_max(topic):
            raise BatchRequestTooLong
        judged = [_judged(topic, draft) for draft in drafts]
        good = [draft for draft, refused in zip(drafts, judged, strict=True) if refused is None]
        published = await self._topics.publish(topic.scope, topic.name, good) if good else None
        sent = iter(published.sent if published else ())
        successful = [
            {"Id": entry["Id"], **_sent(next(sent))}
            for entry, refused in zip(entries, judged, strict=True)
            if refused is None
        ]
        failed = [_failed(entry["Id"], refused) for entry, refused in zip(entries, judged, strict=True) if refused]
        return {"Successful": successful, "Failed": failed}


def _draft(request: dict[str, Any]) -> Draft:
    attributes = {
        name: MessageAttribute(
            data_type=value["DataType"], text=value.get("StringValue"), blob=value.get("BinaryValue")
        )
        for name, value in (request.get("MessageAttributes") or {}).items()
    }
    return Draft(
        message=request["Message"],
        subject=request.get("Subject") or "",
        structure=request.get("MessageStructure") or "",
        attributes=attributes,
        group_id=request.get("MessageGroupId") or "",
        dedup_id=request.get("MessageDeduplicationId") or "",
    )


def _check_entries(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise EmptyBatchRequest
    if len(entries) > ENTRIES_MAX:
        raise TooManyEntriesInBatchRequest
    ids = [entry["Id"] for entry in entries]
    if not all(map(ENTRY_ID.fullmatch, ids)):
        raise InvalidBatchEntryId
    if len(set(ids)) < len(ids):
        raise BatchEntryIdsNotDistinct


def _judged(topic: Topic, draft: Draft) -> TopicError | None:
    try:
        check_draft(topic, draft)
    except TopicError as refused:
        return refused
    return None


def _sent(sent: Sent) -> dict[str, Any]:
    return {"MessageId": sent.message_id, "SequenceNumber": sent.sequence or None}


def _failed(entry_id: str, refused: TopicError) -> dict[str, Any]:
    return {"Id": entry_id, "Code": refused.code, "Message": refused.message, "SenderFault": True}
