"""SQS queues as targets and as the end of dead letters. Messages commit with the bus's place in the journal."""

from collections.abc import Sequence

from tocsin.model.changes import Put
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.errors import AwsError
from tocsin.model.queue import MessageAttribute, QueueMessage
from tocsin.services.queues import Queues


class QueueTargets:
    """The payload as a message. A FIFO queue gets the group the target names, and the event's id to deduplicate by."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        messages: list[QueueMessage] = []
        refused: list[Refused] = []
        for one in deliveries:
            queue = self._queues.queue_by_arn(one.target.arn)
            if queue is None:
                message = f"The queue {one.target.arn} does not exist."
                refused.append(Refused(delivery=one, code="NO_RESOURCE", message=message))
                continue
            group = one.target.spec.get("SqsParameters", {}).get("MessageGroupId", "")
            try:
                messages.append(
                    self._queues.message_to(
                        queue,
                        one.payload.decode(),
                        {},
                        now_ms=now_ms,
                        group_id=group,
                        dedup_id=one.event.id if queue.fifo else "",
                    )
                )
            except AwsError as error:
                refused.append(Refused(delivery=one, code="INVALID_PARAMETER", message=error.message))
        return _landed(self._queues, messages, refused)


class DeadLetterQueues:
    """The event as it was, whatever the target would have been sent, with AWS's attributes (facts/peers.md §3.2)."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def bury(self, refused: Sequence[Refused], now_ms: int) -> Landed:
        messages: list[QueueMessage] = []
        for one in refused:
            target = one.delivery.target
            queue = self._queues.queue_by_arn(target.spec.get("DeadLetterConfig", {}).get("Arn", ""))
            if queue is None:
                continue
            told = {
                "RULE_ARN": one.delivery.rule.arn,
                "TARGET_ARN": target.arn,
                "ERROR_CODE": one.code,
                "ERROR_MESSAGE": one.message,
                "RETRY_ATTEMPTS": "0",
            }
            attributes = {name: MessageAttribute(data_type="String", text=text) for name, text in told.items()}
            body = one.delivery.event.body.decode()
            try:
                messages.append(self._queues.message_to(queue, body, attributes, now_ms=now_ms))
            except AwsError:  # a queue that takes no more: the bus counts the delivery as dropped
                continue
        return _landed(self._queues, messages, [])


def _landed(queues: Queues, messages: list[QueueMessage], refused: list[Refused]) -> Landed:
    def committed() -> None:
        for message in messages:
            queues.arrived(message)

    return Landed(changes=tuple(map(Put, messages)), refused=tuple(refused), committed=committed)
