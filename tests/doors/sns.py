"""The clients of one account around topics, and what the SNS tests do with them again and again."""

import base64
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.harness import REGION, WAIT_S, RunningServer

# Which members are signed, in this order (AWS, "Verifying the signatures of Amazon SNS messages").
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class Office:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.sns, self.sqs, self.events = (server.client(name, account) for name in ("sns", "sqs", "events"))

    def topic(self, name: str = "alarms", **attributes: str) -> str:
        return str(self.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])

    def queue(self, name: str = "q", **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        url = str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
        return url, f"arn:aws:sqs:{REGION}:{self.account}:{name}"

    def subscribed_queue(self, topic: str, name: str = "q", fifo: bool = False, **attributes: str) -> tuple[str, str]:
        """URL of a new queue that hears the topic, and the subscription's ARN."""
        url, arn = self.queue(name, **({"FifoQueue": "true"} if fifo else {}))
        made = self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return url, str(made["SubscriptionArn"])

    def received(self, url: str, wait_s: int = 0, most: int = 10) -> list[Any]:
        """What the queue holds now (or what comes within so many seconds), taken off it."""
        asked = {"MessageAttributeNames": ["All"], "AttributeNames": ["All"], "WaitTimeSeconds": wait_s}
        found: list[Any] = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=most, **asked).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def bodies(self, url: str, wait_s: int = 0) -> list[str]:
        return [message["Body"] for message in self.received(url, wait_s)]

    def told(self, subscription: str) -> dict[str, str]:
        found: dict[str, str] = self.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        return found


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
        body: bytes = answer.read()
        return body


def verify(envelope: Mapping[str, Any]) -> None:
    """Raises InvalidSignature unless the message is what the certificate's owner signed."""
    certificate = x509.load_pem_x509_certificate(fetched(envelope["SigningCertURL"]))
    names = [name for name in SIGNED[envelope["Type"]] if name in envelope]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


def attribute(value: str, data_type: str = "String") -> dict[str, str]:
    return {"DataType": data_type, "StringValue": value}


def policy(**asked: Any) -> str:
    return json.dumps(asked)
