"""The JSON that SNS sends to queues, HTTP endpoints and email-json: members in its order, and the text it signs.

The text to sign is the one of AWS's published algorithm: names and values of some members by name, a line each.
"""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tocsin.model.queue import MessageAttribute
from tocsin.model.topic import TopicMessage

NOTIFICATION, CONFIRMATION, GOODBYE = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    GOODBYE: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class Signed(Struct, frozen=True):
    """`version` "1" is SHA1withRSA, "2" SHA256withRSA."""

    version: str
    signature: str
    certificate_url: str


def timestamp(at_ms: int) -> str:
    """2026-01-01T00:00:00.000Z."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def notification(message: TopicMessage, protocol: str) -> dict[str, Any]:
    """The members before the signature. A message without a subject has none (facts/peers.md §3.2)."""
    return {
        "Type": NOTIFICATION,
        "MessageId": message.message_id,
        **({"SequenceNumber": message.sequence} if message.sequence else {}),
        "TopicArn": message.topic_arn,
        **({"Subject": message.subject} if message.subject else {}),
        "Message": message.text_for(protocol),
        "Timestamp": timestamp(message.at_ms),
    }


def to_sign(members: dict[str, Any]) -> bytes:
    names = (name for name in SIGNED[members["Type"]] if name in members)
    return "".join(f"{name}\n{members[name]}\n" for name in names).encode()


def sealed(
    members: dict[str, Any],
    signed: Signed,
    unsubscribe_url: str = "",
    attributes: dict[str, MessageAttribute] | None = None,
) -> str:
    """The whole JSON, in SNS's own spacing."""
    shown = {
        **members,
        "SignatureVersion": signed.version,
        "Signature": signed.signature,
        "SigningCertURL": signed.certificate_url,
        **({"UnsubscribeURL": unsubscribe_url} if unsubscribe_url else {}),
        **({"MessageAttributes": _attributes(attributes)} if attributes else {}),
    }
    return json.dumps(shown, ensure_ascii=False, indent=2, separators=(",", " : "))


def _attributes(attributes: dict[str, MessageAttribute]) -> dict[str, dict[str, str]]:
    return {
        name: {
            "Type": one.data_type,
            "Value": base64.b64encode(one.blob).decode() if one.blob is not None else one.text or "",
        }
        for name, one in attributes.items()
    }
