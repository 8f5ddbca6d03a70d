"""From an ARN to what it names. An ARN of another account or region names nothing here."""

from tocsin.doors.door import Context
from tocsin.model.names import Scope, split_arn
from tocsin.model.topic_errors import InvalidParameter, no_subscription, no_topic

ARN_PARTS = 6


def asked_topic(context: Context, arn: str, member: str = "TopicArn") -> tuple[Scope, str]:
    """Where the topic is. Raises InvalidParameter for what is no ARN, NotFound for one that is not the caller's."""
    scope, resource = topic_place(arn, member)
    if scope != context.scope:
        raise no_topic()
    return scope, resource


def topic_place(arn: str, member: str = "TopicArn") -> tuple[Scope, str]:
    """The same, whoever asks."""
    scope, resource = _resource(arn, member)
    if ":" in resource:
        raise InvalidParameter(member)
    return scope, resource


def asked_subscription(context: Context, arn: str) -> tuple[Scope, str]:
    """Scope and key of the subscription."""
    scope, key = subscription_place(arn)
    if scope != context.scope:
        raise no_subscription()
    return scope, key


def subscription_place(arn: str) -> tuple[Scope, str]:
    scope, resource = _resource(arn, "SubscriptionArn")
    topic, colon, subscription = resource.partition(":")
    if not colon or not subscription or ":" in subscription:
        raise InvalidParameter("SubscriptionId")
    return scope, f"{topic}/{subscription}"


def _resource(arn: str, member: str) -> tuple[Scope, str]:
    parts = arn.split(":")
    if len(parts) < ARN_PARTS:
        raise InvalidParameter(f"{member} Reason: An ARN must have at least {ARN_PARTS} elements, not {len(parts)}")
    split = split_arn(arn)
    if split is None or split[0] != "sns" or not split[2]:
        raise InvalidParameter(member)
    return split[1], split[2]
