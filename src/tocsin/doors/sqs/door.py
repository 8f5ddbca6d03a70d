"""SQS's operations, and what all of them share: a lost race and a full store in this service's words."""

from tocsin.doors.door import Door, Handler, settled
from tocsin.doors.sqs.permissions import Permissions
from tocsin.doors.sqs.queues import QueueDesk
from tocsin.doors.sqs.receiving import Receiving
from tocsin.doors.sqs.sending import Sending
from tocsin.doors.sqs.tags import Tagging
from tocsin.model.queue_errors import RequestThrottled
from tocsin.services.queues import Queues


def sqs_door(queues: Queues) -> Door:
    desk, sending, receiving = QueueDesk(queues), Sending(queues), Receiving(queues)
    tagging, permissions = Tagging(queues), Permissions(queues)
    operations: dict[str, Handler] = {
        "CreateQueue": desk.create,
        "DeleteQueue": desk.delete,
        "PurgeQueue": desk.purge,
        "GetQueueUrl": desk.url,
        "ListQueues": desk.list_all,
        "ListDeadLetterSourceQueues": desk.list_sources,
        "GetQueueAttributes": desk.get_attributes,
        "SetQueueAttributes": desk.set_attributes,
        "SendMessage": sending.send,
        "SendMessageBatch": sending.send_batch,
        "ReceiveMessage": receiving.receive,
        "DeleteMessage": receiving.delete,
        "DeleteMessageBatch": receiving.delete_batch,
        "ChangeMessageVisibility": receiving.hide,
        "ChangeMessageVisibilityBatch": receiving.hide_batch,
        "TagQueue": tagging.tag,
        "UntagQueue": tagging.untag,
        "ListQueueTags": tagging.list,
        "AddPermission": permissions.add,
        "RemovePermission": permissions.remove,
    }
    return Door(service="sqs", operations=settled(operations, RequestThrottled, "queue"))
