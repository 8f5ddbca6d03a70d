"""Delivery status logging: what a topic wants told of its deliveries, and the lines that tell it. Pure.

The protocols are AWS's, mail is none of them; shape and names of the log groups are those that AWS documents (Amazon
SNS, message delivery status).
"""

import hashlib
import json
import re
from datetime import UTC, datetime

from msgspec import Struct

from tocsin.model.names import Scope, derived_uuid
from tocsin.model.topic import Subscription, Topic, TopicMessage
from tocsin.model.topic_errors import InvalidParameter

FAMILIES = {"http": "HTTP", "https": "HTTP", "sqs": "SQS"}
ATTRIBUTE = re.compile(
    r"(HTTP|Firehose|Lambda|Application|SQS)(SuccessFeedbackRoleArn|SuccessFeedbackSampleRate|FailureFeedbackRoleArn)"
)
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
EVERY = "100"  # percent; AWS documents no default
# How carriers of targets/topics_http.py begin what an endpoint said.
STATUS = re.compile(r"(?:The endpoint answers )?([1-5]\d\d)\b")


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be told of one delivery, once it is known how it ended."""

    success: bool
    failure: bool
    topic: str
    topic_arn: str
    message_id: str
    message_md5: str
    delivery_id: str
    destination: str
    published_ms: int


class Ending(Struct, frozen=True, kw_only=True):
    """How a delivery ended: `response` is what the endpoint said, or why it was not asked."""

    failed: bool
    response: str
    status: int | None
    attempts: int


def check(name: str, value: str) -> None:
    """One of the attributes. Raises InvalidParameter."""
    if not value:
        return
    if name.endswith("SampleRate"):
        if not value.isdecimal() or int(value) > 100:
            raise InvalidParameter(f"{name} Reason: must be a whole number of percent, 0 to 100")
    elif not ROLE.fullmatch(value):
        raise InvalidParameter(f"{name} Reason: must be the ARN of a role")


def wish(topic: Topic, subscription: Subscription, message: TopicMessage) -> Wish | None:
    """None where nothing of it is told. Which successes are sampled follows from their ids: a repeat tells the same."""
    family, given = FAMILIES.get(subscription.protocol), topic.attributes
    if family is None:
        return None
    delivery_id = derived_uuid("delivery", message.message_id, subscription.id)
    sampled = int(delivery_id[:8], 16) % 100 < int(given.get(f"{family}SuccessFeedbackSampleRate") or EVERY)
    success = bool(given.get(f"{family}SuccessFeedbackRoleArn")) and sampled
    failure = bool(given.get(f"{family}FailureFeedbackRoleArn"))
    if not success and not failure:
        return None
    text = message.text_for(subscription.protocol).encode()
    return Wish(
        success=success,
        failure=failure,
        topic=topic.name,
        topic_arn=topic.arn,
        message_id=message.message_id,
        message_md5=hashlib.md5(text, usedforsecurity=False).hexdigest(),
        delivery_id=delivery_id,
        destination=subscription.endpoint,
        published_ms=message.at_ms,
    )


def group_of(scope: Scope, topic: str, *, failed: bool) -> str:
    """The log group's name, as AWS has it."""
    return f"sns/{scope.region}/{scope.account}/{topic}" + ("/Failure" if failed else "")


def status_in(text: str) -> int | None:
    """The HTTP status of an answer; None where there was none."""
    found = STATUS.match(text)
    return int(found[1]) if found else None


def line(wanted: Wish, ending: Ending, now_ms: int) -> str:
    """One line of the log."""
    delivery: dict[str, object] = {
        "deliveryId": wanted.delivery_id,
        "destination": wanted.destination,
        "providerResponse": ending.response,
        "dwellTimeMs": max(0, now_ms - wanted.published_ms),
        "attempts": ending.attempts,
    }
    if ending.status is not None:
        delivery["statusCode"] = ending.status
    published = datetime.fromtimestamp(wanted.published_ms // 1000, UTC)
    notification = {
        "messageMD5Sum": wanted.message_md5,
        "messageId": wanted.message_id,
        "topicArn": wanted.topic_arn,
        "timestamp": f"{published:%Y-%m-%d %H:%M:%S}.{wanted.published_ms % 1000:03}",
    }
    told = {
        "notification": notification,
        "delivery": delivery,
        "status": "FAILURE" if ending.failed else "SUCCESS",
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
