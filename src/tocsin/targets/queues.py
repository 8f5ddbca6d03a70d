"""SQS queues as targets and as the end of dead letters. Messages commit with the bus's place in the journal."""

from collections.abc import Sequence

from tocsin.model.changes import Put
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.errors import AwsError
from tocsin.model.outbound import DeadLetter
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
    """What was given up, as a message in the queue of its last resort."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def bury(self, letters: Sequence[DeadLetter], now_ms: int) -> Landed:
        messages: list[QueueMessage] = []
        for one in letters:
            queue = self._queues.queue_by_arn(one.last_resort.queue_arn) if one.last_resort else None
            if queue is None or one.last_resort is None:
                continue
            try:
                messages.append(self._queues.message_to(queue, one.last_resort.body, _told(one), now_ms=now_ms))
            except AwsError:  # a queue that takes no more: the caller counts the delivery as dropped
                continue
        return _landed(self._queues, messages, [])


def _told(letter: DeadLetter) -> dict[str, MessageAttribute]:
    """A message's attributes: whose it was, and why it ended here. SQS takes no empty ones."""
    last = letter.last_resort
    assert last is not None
    code, message, retries = last.error_names
    told = last.attributes | {
        code: letter.code,
        message: letter.message,
        retries: str(letter.retries),
        last.exhausted_name: letter.exhausted,
    }
    return {name: MessageAttribute(data_type="String", text=text) for name, text in told.items() if name and text}


def _landed(queues: Queues, messages: list[QueueMessage], refused: list[Refused]) -> Landed:
    def committed() -> None:
        for message in messages:
            queues.arrived(message)

    return Landed(changes=tuple(map(Put, messages)), refused=tuple(refused), committed=committed)
