"""AddPermission and RemovePermission: statements of the queue's policy, kept and not asked."""

import json
import re
from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.sqs.naming import asked_queue
from tocsin.model.names import Scope
from tocsin.model.queue_errors import InvalidParameterValue, invalid_value
from tocsin.services.queues import Queues

LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
ACTIONS = frozenset(
    {
        *("*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"),
        *("GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue"),
    }
)


class Permissions:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def add(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place, label = asked_queue(context, request), request["Label"]
        if not LABEL.fullmatch(label):
            reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            raise invalid_value(label, "Label", reason)
        for action in request["Actions"]:
            if action not in ACTIONS:
                raise invalid_value(
                    f"SQS:{action}", "ActionName", "Only the queue owner is allowed to invoke this action."
                )
        policy = self._policy(*place)
        if any(statement.get("Sid") == label for statement in policy["Statement"]):
            raise invalid_value(label, "Label", "Already exists.")
        policy["Statement"].append(
            {
                "Sid": label,
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in request["AWSAccountIds"]]},
                "Action": [f"SQS:{action}" for action in request["Actions"]],
                "Resource": self._queues.named(*place).arn,
            }
        )
        await self._queues.set_attributes(*place, {"Policy": json.dumps(policy)})
        return {}

    async def remove(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place, label = asked_queue(context, request), request["Label"]
        policy = self._policy(*place)
        left = [statement for statement in policy["Statement"] if statement.get("Sid") != label]
        if len(left) == len(policy["Statement"]):
            raise InvalidParameterValue(
                f"Value {label} for parameter Label is invalid. Reason: can't find label on existing policy."
            )
        text = json.dumps({**policy, "Statement": left}) if left else ""
        await self._queues.set_attributes(*place, {"Policy": text})
        return {}

    def _policy(self, scope: Scope, name: str) -> dict[str, Any]:
        queue = self._queues.named(scope, name)
        policy = json.loads(queue.attributes.get("Policy") or "{}")
        statements = policy.get("Statement", [])
        if isinstance(statements, dict):
            statements = [statements]
        if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
            raise InvalidParameterValue("The queue's policy has no list of statements. Set another policy first.")
        return {"Version": "2012-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", **policy, "Statement": statements}
