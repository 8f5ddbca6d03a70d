"""What may be subscribed and how: protocols, endpoints, attributes; SNS's words when it may not.

MailFormat and MailsPerMinute are attributes of Tocsin's own.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tocsin.core.topics.filters import SCOPES, read_filter
from tocsin.core.topics.retries import check_delivery, effective_delivery
from tocsin.model.errors import NotImplementedYet
from tocsin.model.names import queue_of
from tocsin.model.outbound import LastResort
from tocsin.model.topic import Subscription, Topic
from tocsin.model.topic_errors import InvalidParameter

PROTOCOLS = ("http", "https", "email", "email-json", "sqs")
# AWS's other protocols: known, and not here.
ELSEWHERE = ("sms", "application", "lambda", "firehose")
MAIL = ("email", "email-json")
RAW = ("http", "https", "sqs")
MAILS_PER_MINUTE_MOST = 600
ENDPOINT_CHARS_MAX = 2_048
# AWS names the first two; retries are Tocsin's own to tell.
ERROR_NAMES = ("ErrorCode", "ErrorMessage", "RetryAttempts")
# One address, nothing that could be read as two or as another header (RFC 5321 §4.5.3.1: 64 and 255 octets).
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def check_endpoint(topic: Topic, protocol: str, endpoint: str) -> None:
    """Raises InvalidParameter; NotImplementedYet for what AWS has beyond."""
    if protocol in ELSEWHERE:
        raise NotImplementedYet(
            f"Subscriptions with the protocol {protocol} are not implemented in Tocsin yet. "
            f"There are {', '.join(PROTOCOLS)}."
        )
    if protocol not in PROTOCOLS:
        raise InvalidParameter(f"Amazon SNS does not support this protocol string: {protocol}")
    if topic.fifo and protocol != "sqs":
        raise InvalidParameter(
            f"Protocol Reason: FIFO SNS Topics can not have {protocol} subscriptions: subscribe SQS queues"
        )
    if not endpoint:
        raise InvalidParameter("Endpoint")
    if len(endpoint) > ENDPOINT_CHARS_MAX:
        raise InvalidParameter(f"Endpoint Reason: longer than {ENDPOINT_CHARS_MAX} characters")
    ENDPOINTS[protocol](topic, endpoint)


def _url(scheme: str) -> Callable[[Topic, str], None]:
    def check(_topic: Topic, endpoint: str) -> None:
        if not endpoint.startswith(f"{scheme}://"):
            raise InvalidParameter("Endpoint must match the specified protocol")
        try:
            parts = urlsplit(endpoint)
            fine = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            fine = False
        if not fine or not endpoint.isascii() or any(one.isspace() or not one.isprintable() for one in endpoint):
            raise InvalidParameter("Endpoint Reason: not a URL")

    return check


def _address(_topic: Topic, endpoint: str) -> None:
    if not ADDRESS.fullmatch(endpoint):
        raise InvalidParameter("Email address")


def _queue(topic: Topic, endpoint: str) -> None:
    if queue_of(endpoint) is None:
        raise InvalidParameter("SQS endpoint ARN")
    if endpoint.endswith(".fifo") and not topic.fifo:
        raise InvalidParameter(
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
        )


ENDPOINTS: dict[str, Callable[[Topic, str], None]] = {
    "http": _url("http"),
    "https": _url("https"),
    "email": _address,
    "email-json": _address,
    "sqs": _queue,
}


def checked(protocol: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes a subscription shall have; "" where one is to be taken away. Raises InvalidParameter."""
    scope = attributes.get("FilterPolicyScope") or SCOPES[0]
    for name, value in attributes.items():
        check = CHECKS.get(name)
        if name in ("ReplayPolicy", "SubscriptionRoleArn"):
            raise NotImplementedYet(f"The subscription attribute {name} is not implemented in Tocsin yet.")
        if check is None:
            raise InvalidParameter("AttributeName")
        if value:
            check(protocol, value)
    if attributes.get("FilterPolicy") not in (None, "", "{}"):
        read_filter(attributes["FilterPolicy"], scope)
    return {name: value.lower() if name == "RawMessageDelivery" else value for name, value in attributes.items()}


def _raw(protocol: str, value: str) -> None:
    if value.lower() not in ("true", "false"):
        raise InvalidParameter(f"RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
    if value.lower() == "true" and protocol not in RAW:
        raise InvalidParameter(
            f"RawMessageDelivery Reason: Delivery protocol [{protocol}] does not support raw message delivery."
        )


def _redrive(_protocol: str, value: str) -> None:
    if dead_letter_arn(value) is None:
        raise InvalidParameter("RedrivePolicy: deadLetterTargetArn is an invalid arn")


def _scope(_protocol: str, value: str) -> None:
    if value not in SCOPES:
        raise InvalidParameter(
            f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
        )


def _delivery(protocol: str, value: str) -> None:
    if protocol not in ("http", "https"):
        raise InvalidParameter(
            f"DeliveryPolicy Reason: Delivery protocol [{protocol}] does not support delivery policies."
        )
    check_delivery(value)


def _format(protocol: str, value: str) -> None:
    if protocol != "email" or value not in ("text", "html"):
        raise InvalidParameter("MailFormat Reason: text or html, of subscriptions with the protocol email")


def _rate(protocol: str, value: str) -> None:
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 6 else 0
    if protocol not in MAIL or not 1 <= number <= MAILS_PER_MINUTE_MOST:
        raise InvalidParameter(
            f"MailsPerMinute Reason: from 1 to {MAILS_PER_MINUTE_MOST}, of subscriptions with the protocol email or "
            "email-json"
        )


def _checked_together(_protocol: str, _value: str) -> None:
    """FilterPolicy is read with its scope."""


CHECKS: dict[str, Callable[[str, str], None]] = {
    "DeliveryPolicy": _delivery,
    "FilterPolicy": _checked_together,
    "FilterPolicyScope": _scope,
    "MailFormat": _format,
    "MailsPerMinute": _rate,
    "RawMessageDelivery": _raw,
    "RedrivePolicy": _redrive,
}


def dead_letter_arn(text: str) -> str | None:
    """The queue that a RedrivePolicy names. Raises InvalidParameter for a text that is no policy."""
    try:
        policy: Any = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict):
        raise InvalidParameter("RedrivePolicy: failed to parse JSON.")
    arn = policy.get("deadLetterTargetArn")
    return arn if isinstance(arn, str) and queue_of(arn) else None


def last_resort(subscription: Subscription, body: str, request_id: str) -> LastResort | None:
    """Where a message goes that cannot be delivered; None without a RedrivePolicy."""
    policy = subscription.attributes.get("RedrivePolicy")
    arn = dead_letter_arn(policy) if policy else None
    if arn is None:
        return None
    attributes = {"RequestID": request_id}
    return LastResort(queue_arn=arn, body=body, attributes=attributes, error_names=ERROR_NAMES, exhausted_name="")


def check_dead_letters(topic: Topic, text: str) -> None:
    """Raises InvalidParameter when the dead-letter queue is not of the topic's kind (AWS: FIFO for FIFO)."""
    if text and str(dead_letter_arn(text)).endswith(".fifo") != topic.fifo:
        kind = "FIFO" if topic.fifo else "standard"
        raise InvalidParameter(f"RedrivePolicy: must use a {kind} queue as DLQ for a {kind} topic")


def raw(subscription: Subscription) -> bool:
    return subscription.attributes.get("RawMessageDelivery") == "true"


def told(topic: Topic, subscription: Subscription) -> dict[str, str]:
    """As GetSubscriptionAttributes tells them."""
    effective = (
        {"EffectiveDeliveryPolicy": effective_delivery(topic, subscription)}
        if subscription.protocol in ("http", "https")
        else {}
    )
    scope = {"FilterPolicyScope": SCOPES[0]} if subscription.attributes.get("FilterPolicy") else {}
    return {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Owner": subscription.scope.account,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "RawMessageDelivery": "false",
        "PendingConfirmation": "false" if subscription.confirmed else "true",
        "ConfirmationWasAuthenticated": "true" if subscription.authenticated else "false",
        "SubscriptionPrincipal": f"arn:aws:iam::{subscription.scope.account}:root",
        **effective,
        **scope,
        **{name: value for name, value in subscription.attributes.items() if name != "FilterPolicy" or value != "{}"},
    }
