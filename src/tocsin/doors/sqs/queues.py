"""Queues themselves: make, delete, list, find, their attributes and what points at them."""

from typing import Any

from tocsin.core.queues.attributes import TOLD, told
from tocsin.doors.door import Context
from tocsin.doors.paging import page
from tocsin.doors.sqs.naming import asked_queue
from tocsin.doors.sqs.tags import check_tags
from tocsin.model.errors import Validation
from tocsin.model.names import Scope
from tocsin.model.queue import Queue
from tocsin.model.queue_errors import InvalidAttributeName, InvalidParameterValue, QueueDoesNotExist, invalid_value
from tocsin.services.queues import Queues

LISTED_MOST = 1_000  # "ListQueues returns a maximum of 1,000 results" (AWS)
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
FIXED = ("QueueArn", "CreatedTimestamp", "LastModifiedTimestamp")
NAMES = frozenset(
    {
        *(*TOLD, *COUNTS, *FIXED, "All", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "FifoQueue"),
        *("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "KmsMasterKeyId"),
        *("KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"),
    }
)


class QueueDesk:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        tags = check_tags(request.get("tags") or {})
        queue = await self._queues.create(context.scope, request["QueueName"], request.get("Attributes") or {}, tags)
        return {"QueueUrl": self._queues.url(queue)}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._queues.delete_queue(*asked_queue(context, request))
        return {}

    async def purge(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._queues.purge(*asked_queue(context, request))
        return {}

    async def url(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        owner = request.get("QueueOwnerAWSAccountId") or context.scope.account
        queue = self._queues.named(Scope(owner, context.scope.region), request["QueueName"])
        if owner != context.scope.account:
            raise QueueDoesNotExist
        return {"QueueUrl": self._queues.url(queue)}

    async def list_all(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = self._queues.all_of(context.scope, request.get("QueueNamePrefix") or "")
        urls, token = self._page("ListQueues", found, request)
        return {"QueueUrls": urls or None, "NextToken": token}

    async def list_sources(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queues.named(*asked_queue(context, request))
        urls, token = self._page("ListDeadLetterSourceQueues", self._queues.sources_of(queue), request)
        return {"queueUrls": urls, "NextToken": token}

    def _page(self, kind: str, found: list[Queue], request: dict[str, Any]) -> tuple[list[str], str | None]:
        """AWS gives a token only to those who asked for pages."""
        most = request.get("MaxResults")
        if most is not None and not 1 <= most <= LISTED_MOST:
            raise invalid_value(most, "MaxResults", f"MaxResults must be an integer between 1 and {LISTED_MOST}")
        try:
            taken, token = page(
                found,
                kind=kind,
                position=lambda queue: [queue.name],
                limit=most or LISTED_MOST,
                token=request.get("NextToken"),
            )
        except Validation as wrong:
            raise InvalidParameterValue("Invalid or expired next token.") from wrong
        return [self._queues.url(queue) for queue in taken], token if most else None

    async def get_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        names = request.get("AttributeNames") or []
        for name in names:
            if name not in NAMES:
                raise InvalidAttributeName(f"Unknown Attribute {name}.")
        queue = self._queues.named(*asked_queue(context, request))
        found = told(queue) | self._seen(queue)
        wanted = found if "All" in names else {name: found[name] for name in names if name in found}
        return {"Attributes": wanted or None}

    def _seen(self, queue: Queue) -> dict[str, str]:
        counts = self._queues.counts(queue)
        numbers = (counts.visible, counts.in_flight, counts.delayed)
        return {
            "QueueArn": queue.arn,
            "CreatedTimestamp": str(queue.created_ms // 1000),
            "LastModifiedTimestamp": str(queue.modified_ms // 1000),
        } | {name: str(count) for name, count in zip(COUNTS, numbers, strict=True)}

    async def set_attributes(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._queues.set_attributes(*asked_queue(context, request), request["Attributes"])
        return {}
