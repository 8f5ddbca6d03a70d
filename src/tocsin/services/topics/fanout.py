"""A published message -> what each subscription is owed, as changes of one commit. One function for each protocol.

Queues get their message with the commit. HTTP endpoints and mailboxes get an outbound delivery.
"""

import asyncio
import functools
import json
from collections import Counter
from collections.abc import Callable

from msgspec import Struct, field, structs, to_builtins

from tocsin.core.topics import envelope
from tocsin.core.topics.feedback import Ending, wish
from tocsin.core.topics.filters import wants
from tocsin.core.topics.retries import RetrySchedule, retry_schedule
from tocsin.core.topics.subscriptions import last_resort, raw
from tocsin.model.changes import Change, Put
from tocsin.model.errors import AwsError
from tocsin.model.names import derived_uuid
from tocsin.model.outbound import Outbound, RetryPolicy
from tocsin.model.queue import MessageAttribute, QueueMessage
from tocsin.model.topic import HeldMail, Subscription, Topic, TopicMessage
from tocsin.services.queues import Queues
from tocsin.services.topics.feedback import Ended
from tocsin.services.topics.links import Links
from tocsin.services.topics.mailing import Mailing
from tocsin.services.topics.signing import Signer

HTTP_CARRIER = "sns-http"
AGE_S_LEAST = 86_400  # a delivery policy bounds attempts, and its posts may have to wait for each other
AGENT = "Amazon Simple Notification Service Agent"
SIGNATURES_KEPT_MAX = 256


class Hop(Struct, frozen=True, kw_only=True):
    """What became of a message at one subscription: filtered, delivered, held, handed over, or refused (and why).

    What was handed over is followed by its `outbound_id`.
    """

    subscription_arn: str
    protocol: str
    endpoint: str
    became: str
    outbound_id: str = ""
    why: str = ""


class Owed(Struct, kw_only=True):
    """The changes of a publication, gathered, and what follows once they are on disk."""

    changes: list[Change] = field(default_factory=list)
    queued: list[QueueMessage] = field(default_factory=list)
    outbounds: list[Outbound] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    previous: str = ""  # the status that the cluster of the message at hand had before

    def queue(self, message: QueueMessage) -> None:
        self.changes.append(Put(message))
        self.queued.append(message)

    def send(self, outbound: Outbound) -> None:
        self.changes.append(Put(outbound))
        self.outbounds.append(outbound)


class Fanout:
    def __init__(self, queues: Queues, mailing: Mailing, signer: Signer, links: Links) -> None:
        self._queues = queues
        self._mailing = mailing
        self._signer = signer
        self._links = links
        self._sign = functools.lru_cache(SIGNATURES_KEPT_MAX)(signer.sign)
        self._protocols: dict[str, Callable[[Topic, Subscription, TopicMessage, Owed], Hop]] = {
            "sqs": self._to_queue,
            "http": self._to_endpoint,
            "https": self._to_endpoint,
            "email": self._to_mailbox,
            "email-json": self._to_mailbox,
        }

    def fan_out(self, topic: Topic, subscriptions: list[Subscription], message: TopicMessage, owed: Owed) -> None:
        for subscription in subscriptions:
            if not subscription.confirmed:
                continue
            if wants(subscription, message):
                hop = self._protocols[subscription.protocol](topic, subscription, message, owed)
            else:
                hop = _hop(subscription, "filtered", why="The filter policy does not match.")
            owed.hops.append(hop)
            owed.counted[hop.became] += 1
            if subscription.protocol == "sqs" and hop.became != "filtered":
                _note_end(topic, subscription, message, hop, owed)

    async def sign_ahead(self, topic: Topic, subscriptions: list[Subscription], message: TopicMessage) -> None:
        """Make the signatures that `fan_out` will want, off the event loop: each takes it half a millisecond."""
        sealed = {one.protocol for one in subscriptions if one.confirmed and one.protocol != "email" and not raw(one)}
        texts = {envelope.to_sign(envelope.notification(message, protocol)) for protocol in sealed}
        for text in texts:
            await asyncio.to_thread(self._sign, text, version_of(topic))

    def signed(self, members: dict[str, str], topic: Topic) -> envelope.Signed:
        version = version_of(topic)
        signature = self._sign(envelope.to_sign(members), version)
        return envelope.Signed(version, signature, self._links.certificate(self._signer.name))

    def sealed(self, topic: Topic, subscription: Subscription, message: TopicMessage) -> str:
        members = envelope.notification(message, subscription.protocol)
        return envelope.sealed(
            members, self.signed(members, topic), self._links.unsubscribe(subscription), message.attributes
        )

    def to_confirm(self, topic: Topic, subscription: Subscription, kind: str, now_ms: int) -> str:
        """SubscriptionConfirmation, or UnsubscribeConfirmation, whose link takes the end back."""
        chosen = "to subscribe to" if kind == envelope.CONFIRMATION else "to deactivate your subscription to"
        undo = "confirm" if kind == envelope.CONFIRMATION else "cancel this operation and restore"
        members = {
            "Type": kind,
            "MessageId": derived_uuid(kind, subscription.token, now_ms),
            "Token": subscription.token,
            "TopicArn": subscription.topic_arn,
            "Message": (
                f"You have chosen {chosen} the topic {subscription.topic_arn}.\n"
                f"To {undo} the subscription, visit the SubscribeURL included in this message."
            ),
            "SubscribeURL": self._links.subscribe(subscription),
            "Timestamp": envelope.timestamp(now_ms),
        }
        return envelope.sealed(members, self.signed(members, topic))

    def confirmation(self, topic: Topic, subscription: Subscription, kind: str, now_ms: int, owed: Owed) -> None:
        """What asks the endpoint's owner, in the protocol's way."""
        if subscription.protocol in ("http", "https"):
            body = self.to_confirm(topic, subscription, kind, now_ms)
            message_id = derived_uuid(kind, subscription.token, now_ms)
            owed.send(self._post(topic, subscription, kind, message_id, body, now_ms))
        elif subscription.protocol == "sqs":
            queue = self._queues.queue_by_arn(subscription.endpoint)
            if queue is not None:
                body = self.to_confirm(topic, subscription, kind, now_ms)
                owed.queue(self._queues.message_to(queue, body, {}, now_ms=now_ms))
        elif kind == envelope.CONFIRMATION:
            owed.send(self._mailing.confirmation(topic, subscription, now_ms))
        else:
            owed.send(self._mailing.goodbye(subscription, now_ms))

    def _to_queue(self, topic: Topic, subscription: Subscription, message: TopicMessage, owed: Owed) -> Hop:
        plain = raw(subscription)
        body = message.text_for("sqs") if plain else self.sealed(topic, subscription, message)
        try:
            queue = self._queues.queue_by_arn(subscription.endpoint)
            if queue is None:
                return self._refused(subscription, body, message, owed, "NoSuchQueue", "The queue does not exist.")
            queued = self._queues.message_to(
                queue,
                body,
                message.attributes if plain else {},
                now_ms=message.at_ms,
                group_id=message.group_id,
                dedup_id=message.dedup_id if queue.fifo else "",
            )
        except AwsError as error:
            return self._refused(subscription, body, message, owed, error.code, error.message)
        owed.queue(queued)
        return _hop(subscription, "delivered")

    def _refused(
        self, subscription: Subscription, body: str, message: TopicMessage, owed: Owed, code: str, why: str
    ) -> Hop:
        """To the dead-letter queue with what no attempt would get through; dropped and counted where there is none."""
        last = last_resort(subscription, body, message.message_id)
        queue = self._queues.queue_by_arn(last.queue_arn) if last else None
        if last is None or queue is None:
            return _hop(subscription, "dropped", why=why)
        told = {"ErrorCode": code, "ErrorMessage": why, "RetryAttempts": "0"}
        attributes = {name: MessageAttribute(data_type="String", text=text) for name, text in told.items()}
        try:
            group, dedup = (message.group_id, message.dedup_id) if queue.fifo else ("", "")
            buried = self._queues.message_to(
                queue, body, attributes, now_ms=message.at_ms, group_id=group, dedup_id=dedup
            )
        except AwsError as error:
            return _hop(subscription, "dropped", why=f"{why} Nor does the dead-letter queue take it: {error.message}")
        owed.queue(buried)
        return _hop(subscription, "dead-lettered", why=why)

    def _to_endpoint(self, topic: Topic, subscription: Subscription, message: TopicMessage, owed: Owed) -> Hop:
        plain = raw(subscription)
        body = message.text_for(subscription.protocol) if plain else self.sealed(topic, subscription, message)
        outbound = self._post(topic, subscription, envelope.NOTIFICATION, message.message_id, body, message.at_ms)
        if wanted := wish(topic, subscription, message):
            outbound = structs.replace(outbound, about={**outbound.about, "feedback": to_builtins(wanted)})
        owed.send(outbound)
        return _hop(subscription, "handed over", outbound.id)

    def _post(
        self,
        topic: Topic,
        subscription: Subscription,
        kind: str,
        message_id: str,
        body: str,
        now_ms: int,
    ) -> Outbound:
        schedule = retry_schedule(topic, subscription)
        headers = {
            "x-amz-sns-message-type": kind,
            "x-amz-sns-message-id": message_id,
            "x-amz-sns-topic-arn": topic.arn,
            "Content-Type": schedule.content_type,
            "User-Agent": AGENT,
        }
        if kind == envelope.NOTIFICATION:
            headers["x-amz-sns-subscription-arn"] = subscription.arn
            headers |= {"x-amz-sns-rawdelivery": "true"} if raw(subscription) else {}
        return Outbound(
            scope=subscription.scope,
            lane=f"sns:{subscription.id}",
            id=derived_uuid(message_id, subscription.id),
            carrier=HTTP_CARRIER,
            origin=subscription.arn,
            body=body,
            about={
                "url": subscription.endpoint,
                "headers": headers,
                "schedule": structs.asdict(schedule),
                "subscription": subscription.key if kind == envelope.NOTIFICATION else "",
            },
            first_ms=now_ms,
            due_ms=now_ms,
            retry=RetryPolicy(attempts_max=1 + schedule.retries, age_s_max=longest_s(schedule), backoff=False),
            last_resort=last_resort(subscription, body, message_id) if kind == envelope.NOTIFICATION else None,
        )

    def _to_mailbox(self, topic: Topic, subscription: Subscription, message: TopicMessage, owed: Owed) -> Hop:
        as_json = subscription.protocol == "email-json"
        text = self.sealed(topic, subscription, message) if as_json else message.text_for("email")
        owing = self._mailing.owed(topic, subscription, message, text, owed.previous)
        if owing is None:
            why = "More messages are held for this subscription than may be."
            return self._refused(subscription, text, message, owed, "TooManyHeld", why)
        if isinstance(owing, HeldMail):
            owed.changes.append(Put(owing))
            return _hop(subscription, "held", why="Too many mails in a minute: the next digest lists it.")
        owed.send(owing)
        return _hop(subscription, "handed over", owing.id)


def _note_end(topic: Topic, subscription: Subscription, message: TopicMessage, hop: Hop, owed: Owed) -> None:
    """What a topic that logs it wants told of a delivery into a queue, which ends with the publication."""
    wanted = wish(topic, subscription, message)
    if wanted is None:
        return
    failed = hop.became != "delivered"
    response = {"ErrorMessage": hop.why} if failed else {"sqsMessageId": owed.queued[-1].message_id}
    ending = Ending(failed=failed, response=json.dumps(response), status=400 if failed else 200, attempts=1)
    owed.ended.append(Ended(scope=topic.scope, wish=wanted, ending=ending))


def version_of(topic: Topic) -> str:
    return topic.attributes.get("SignatureVersion") or "1"


def longest_s(schedule: RetrySchedule) -> int:
    """Beyond what the attempts can take, so that they end it."""
    return AGE_S_LEAST + int(sum(schedule.delay_s(retry) for retry in range(schedule.retries)))


def _hop(subscription: Subscription, became: str, outbound_id: str = "", why: str = "") -> Hop:
    return Hop(
        subscription_arn=subscription.arn,
        protocol=subscription.protocol,
        endpoint=subscription.endpoint,
        became=became,
        outbound_id=outbound_id,
        why=why,
    )
