"""The attributes of a topic: which there are, what they may be, what they are when nobody set them.

Names, values and defaults are SNS's (botocore, sns: CreateTopic, GetTopicAttributes).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.core.topics import feedback
from tocsin.core.topics.permissions import default_policy
from tocsin.core.topics.retries import check_topic_delivery, effective_topic_delivery
from tocsin.model.errors import NotImplementedYet
from tocsin.model.topic import Topic
from tocsin.model.topic_errors import InvalidParameter

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo")
WRONG_FIFO_NAME = (
    "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, "
    "numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
)
DISPLAY_NAME_CHARS_MAX = 100
MESSAGE_BYTES = 262_144  # of one message, unless MaximumMessageSize says otherwise
MESSAGE_BYTES_LEAST, MESSAGE_BYTES_MOST = 1_024, 1_048_576
DATA_PROTECTION_CHARS_MAX = 30_720
OF_FIFO = frozenset({"ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy"})


def check_name(name: str, *, fifo: bool) -> None:
    """Raises InvalidParameter."""
    if fifo and not FIFO_NAME.fullmatch(name):
        raise InvalidParameter(WRONG_FIFO_NAME)
    if not fifo and not PLAIN_NAME.fullmatch(name):
        raise InvalidParameter("Topic Name")


def checked(attributes: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """The attributes as they are kept; "" where one is to be taken away. Raises InvalidParameter."""
    return {name: _checked(name, value, fifo=fifo) for name, value in attributes.items()}


def _checked(name: str, value: str, *, fifo: bool) -> str:
    if feedback.ATTRIBUTE.fullmatch(name):
        feedback.check(name, value)
        return value
    check = CHECKS.get(name)
    if check is None or (name in OF_FIFO and not fifo):
        raise InvalidParameter("AttributeName")
    if value:
        check(name, value)
    return value.lower() if name in ("FifoTopic", "ContentBasedDeduplication") else value


def _text(name: str, value: str) -> None:
    if len(value) > DISPLAY_NAME_CHARS_MAX and name == "DisplayName":
        raise InvalidParameter(f"DisplayName Reason: longer than {DISPLAY_NAME_CHARS_MAX} characters")
    if any(ord(one) < 32 for one in value):
        raise InvalidParameter(f"{name} Reason: control characters are not allowed")


def _choice(*choices: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in choices and value.lower() not in choices:
            raise InvalidParameter(f"{name} Reason: must be one of {', '.join(choices)}")

    return check


def _policy(_name: str, value: str) -> None:
    if not isinstance(loaded(value), dict):
        raise InvalidParameter("Policy Error: null")


def _delivery(_name: str, value: str) -> None:
    check_topic_delivery(value)


def _size(name: str, value: str) -> None:
    number = int(value) if value.isascii() and value.isdecimal() and len(value) <= 9 else 0
    if not MESSAGE_BYTES_LEAST <= number <= MESSAGE_BYTES_MOST:
        raise InvalidParameter(f"{name} Reason: must be from {MESSAGE_BYTES_LEAST} to {MESSAGE_BYTES_MOST}")


def _archive(_name: str, value: str) -> None:
    if loaded(value) != {}:
        raise NotImplementedYet("Archives of FIFO topics (ArchivePolicy) are not implemented in Tocsin yet.")


CHECKS: dict[str, Callable[[str, str], None]] = {
    "ArchivePolicy": _archive,
    "ContentBasedDeduplication": _choice("true", "false"),
    "DeliveryPolicy": _delivery,
    "DisplayName": _text,
    "FifoThroughputScope": _choice("Topic", "MessageGroup"),
    "FifoTopic": _choice("true", "false"),
    "KmsMasterKeyId": _text,
    "MaximumMessageSize": _size,
    "Policy": _policy,
    "SignatureVersion": _choice("1", "2"),
    "TracingConfig": _choice("PassThrough", "Active"),
}


def check_same(topic: Topic, attributes: Mapping[str, str], tags: Mapping[str, str], kept_tags: object) -> None:
    """What CreateTopic asks of a topic that is there. Raises InvalidParameter."""
    if any(told(topic, 0, 0).get(name, "") != value for name, value in attributes.items()):
        raise InvalidParameter("Attributes Reason: Topic already exists with different attributes")
    if tags and tags != kept_tags:
        raise InvalidParameter("Tags Reason: Topic already exists with different tags")


def merged(attributes: Mapping[str, str], changed: Mapping[str, str]) -> dict[str, str]:
    """`FifoTopic` false is a topic like any other."""
    both = {**attributes, **changed}
    return {name: value for name, value in both.items() if value and (name, value) != ("FifoTopic", "false")}


def told(topic: Topic, confirmed: int, pending: int) -> dict[str, str]:
    """As GetTopicAttributes tells them."""
    fifo = {"ContentBasedDeduplication": "false"} if topic.fifo else {}
    return {
        "TopicArn": topic.arn,
        "Owner": topic.scope.account,
        "DisplayName": "",
        "Policy": json.dumps(default_policy(topic), separators=(",", ":")),
        "SubscriptionsConfirmed": str(confirmed),
        "SubscriptionsPending": str(pending),
        "SubscriptionsDeleted": "0",
        "EffectiveDeliveryPolicy": effective_topic_delivery(topic),
        **fifo,
        **topic.attributes,
    }


def message_bytes_max(topic: Topic) -> int:
    return int(topic.attributes.get("MaximumMessageSize") or MESSAGE_BYTES)


def loaded(text: str) -> Any:
    """The JSON value of the text; None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
