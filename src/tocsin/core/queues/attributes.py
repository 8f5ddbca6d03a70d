"""The attributes of a queue: which there are, what they may be, what they are when nobody set them.

Ranges and defaults are AWS's (SetQueueAttributes). The doors ask before a queue is made or changed.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tocsin.model.names import split_arn
from tocsin.model.queue import Queue
from tocsin.model.queue_errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    QueueNameExists,
    invalid_value,
)

MESSAGE_BYTES_LARGEST = 1 << 20  # since August 2025; 256 KiB before

# name -> (default, least, most)
NUMBERS = {
    "VisibilityTimeout": (30, 0, 43_200),
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (MESSAGE_BYTES_LARGEST, 1_024, MESSAGE_BYTES_LARGEST),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "KmsDataKeyReusePeriodSeconds": (300, 60, 86_400),
}
CHOICES = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
DOCUMENTS = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"})  # "" takes them away
OF_FIFO = frozenset({"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"})
# What is told of a queue whose owner said nothing about it.
TOLD = frozenset(NUMBERS) - {"KmsDataKeyReusePeriodSeconds"}
FIFO_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo")
WRONG_NAME = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
WRONG_FIFO_NAME = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
    "must end with .fifo suffix and be 1 to 80 in length."
)
RECEIVES_MOST = 1_000


class Redrive(Struct, frozen=True):
    """Where messages go that were received `receives` times and never deleted."""

    arn: str
    receives: int


def check_name(name: str, *, fifo: bool) -> None:
    """Raises InvalidParameterValue."""
    if fifo and not FIFO_NAME.fullmatch(name):
        raise InvalidParameterValue(WRONG_FIFO_NAME)
    if not fifo and not PLAIN_NAME.fullmatch(name):
        raise InvalidParameterValue(WRONG_NAME)


def checked(attributes: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """The attributes in the spelling they are kept in; "" where one is to be taken away. Raises InvalidAttribute…"""
    return {name: _checked(name, value, fifo=fifo) for name, value in attributes.items()}


def _checked(name: str, value: str, *, fifo: bool) -> str:
    if name in OF_FIFO and not fifo:
        raise InvalidAttributeName(f"Unknown Attribute {name}.")
    if name in NUMBERS:
        return _number(name, value)
    if name in CHOICES:
        if value.lower() not in {choice.lower() for choice in CHOICES[name]}:
            raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")
        return next(choice for choice in CHOICES[name] if choice.lower() == value.lower())
    if name not in DOCUMENTS:
        raise InvalidAttributeName(f"Unknown Attribute {name}.")
    if value and name != "KmsMasterKeyId":
        _object(name, value)
    if value and name == "RedrivePolicy":
        _redrive(value)
    return value


def _number(name: str, value: str) -> str:
    _, least, most = NUMBERS[name]
    if not (value.isascii() and value.isdecimal() and len(value) <= 9 and least <= int(value) <= most):
        raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")
    return str(int(value))


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")
    return found


def _redrive(value: str) -> Redrive:
    policy = _object("RedrivePolicy", value)
    for needed in ("maxReceiveCount", "deadLetterTargetArn"):
        if not policy.get(needed):
            raise invalid_value(
                value, "RedrivePolicy", f"Redrive policy does not contain mandatory attribute: {needed}."
            )
    for name in policy:
        if name not in ("maxReceiveCount", "deadLetterTargetArn"):
            raise invalid_value(value, "RedrivePolicy", f"Only following attributes are supported: [{_SUPPORTED}].")
    count = str(policy["maxReceiveCount"])
    if not (count.isascii() and count.isdecimal() and len(count) <= 4 and 1 <= int(count) <= RECEIVES_MOST):
        reason = f"Invalid value for maxReceiveCount: {count[:64]}, valid values are from 1 to 1000 both inclusive."
        raise invalid_value(value, "RedrivePolicy", reason)
    return Redrive(str(policy["deadLetterTargetArn"]), int(count))


_SUPPORTED = "deadLetterTargetArn, maxReceiveCount"


def number(queue: Queue, name: str) -> int:
    """A numeric attribute as it holds now, in the attribute's own unit."""
    said = queue.attributes.get(name)
    return NUMBERS[name][0] if said is None else int(said)


def redrive(queue: Queue) -> Redrive | None:
    said = queue.attributes.get("RedrivePolicy")
    return _redrive(said) if said else None


def check_redrive(queue: Queue, target: Queue | None) -> None:
    """Raises InvalidParameterValue when the queue's dead letters could not go to `target`, which its policy names."""
    policy = redrive(queue)
    if policy is None:
        return
    text = queue.attributes["RedrivePolicy"]
    place = split_arn(policy.arn)
    if place is None or place[0] != "sqs" or not place[2]:
        raise invalid_value(text, "RedrivePolicy", "Invalid value for deadLetterTargetArn.")
    if place[1] != queue.scope:
        raise invalid_value(text, "RedrivePolicy", "Dead letter target owner should be same as the source.")
    if target is None:
        raise invalid_value(text, "RedrivePolicy", "Dead letter target does not exist.")
    if target.fifo != queue.fifo:
        raise invalid_value(text, "RedrivePolicy", "Dead-letter queue must be same type of queue as the source.")
    if not _allows(target, queue):
        raise invalid_value(text, "RedrivePolicy", "Dead letter target does not allow this source queue.")


def _allows(target: Queue, source: Queue) -> bool:
    said = target.attributes.get("RedriveAllowPolicy")
    allow = _object("RedriveAllowPolicy", said) if said else {}
    match allow.get("redrivePermission", "allowAll"):
        case "denyAll":
            return False
        case "byQueue":
            sources = allow.get("sourceQueueArns")
            return isinstance(sources, list) and source.arn in sources
    return True


def merged(attributes: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """With the changes; those that are empty go."""
    return {name: value for name, value in {**attributes, **changes}.items() if value != ""}


def check_same(queue: Queue, wanted: Mapping[str, str]) -> None:
    """CreateQueue again: raises QueueNameExists when an attribute it names has another value now."""
    now = told(queue)
    for name, value in wanted.items():
        if now.get(name, "") != value:
            raise QueueNameExists(
                f"A queue already exists with the same name and a different value for attribute {name}"
            )


def told(queue: Queue) -> dict[str, str]:
    """All attributes that hold, with the defaults; counts and times are the door's."""
    defaults = {name: str(NUMBERS[name][0]) for name in TOLD} | {"SqsManagedSseEnabled": "true"}
    return defaults | (FIFO_DEFAULTS if queue.fifo else {}) | queue.attributes


def dead_letter_arn(queue: Queue) -> str:
    policy = redrive(queue)
    return policy.arn if policy else ""
