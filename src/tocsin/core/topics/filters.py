"""Filter policies: which messages a subscription wants. The pattern language of the bus, within SNS's own bounds.

Attributes are asked as an event whose fields they are; a body is asked as the JSON object it is.
"""

import functools
import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from tocsin.core.patterns import Pattern, load_event, matches, parse
from tocsin.core.patterns.conditions import AnythingBut, Wildcard
from tocsin.model.errors import InvalidEventPattern
from tocsin.model.queue import MessageAttribute
from tocsin.model.topic import Subscription, TopicMessage
from tocsin.model.topic_errors import InvalidParameter

SCOPES = ("MessageAttributes", "MessageBody")
KEYS_MAX = 5  # "A filter policy can have a maximum of five attribute names" (AWS)
COMBINATIONS_MAX = 150  # "the total combination of values must not exceed 150" (AWS)
POLICY_CHARS_MAX = 262_144
POLICIES_KEPT_MAX = 2_048
_PREFACE = "Event pattern is not valid. Reason: "
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


class Filter(Struct, frozen=True):
    pattern: Pattern
    on_body: bool


def read_filter(text: str, scope: str) -> Filter:
    """Raises InvalidParameter in AWS's words."""
    policy = _loaded(text)
    on_body = scope == "MessageBody"
    keys, combinations = _weigh(policy, 1, nested=on_body)
    if keys > KEYS_MAX:
        raise InvalidParameter(f"FilterPolicy: Filter policy can not have more than {KEYS_MAX} keys")
    if combinations > COMBINATIONS_MAX:
        raise InvalidParameter("FilterPolicy: Filter policy is too complex")
    try:
        pattern = parse(text, chars_max=POLICY_CHARS_MAX)
    except InvalidEventPattern as refused:
        raise InvalidParameter(f"FilterPolicy: {refused.message.removeprefix(_PREFACE)}") from refused
    if any(_is_wildcard(one) for fields in pattern.alternatives for field in fields for one in field.conditions):
        raise InvalidParameter("FilterPolicy: Unrecognized match type wildcard")
    return Filter(pattern, on_body)


def _loaded(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidParameter("FilterPolicy: failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise InvalidParameter("FilterPolicy: Filter is not an object")
    return policy


def _weigh(policy: Mapping[str, Any], depth: int, *, nested: bool) -> tuple[int, int]:
    """Leaf keys, and combinations: the product over the keys of values times depth."""
    keys, combinations = 0, 1
    for name, value in policy.items():
        parts = [value] if isinstance(value, dict) else []
        if name == "$or" and isinstance(value, list):
            parts = [part for part in value if isinstance(part, dict)]
        elif isinstance(value, dict) and not nested:
            raise InvalidParameter(
                "FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy"
            )
        if parts:
            inner = depth if name == "$or" else depth + 1
            weighed = [_weigh(part, inner, nested=nested) for part in parts]
            keys += sum(one for one, _ in weighed)
            combinations *= sum(one for _, one in weighed)
        elif isinstance(value, list):
            keys += 1
            combinations *= max(len(value), 1) * depth
    return keys, combinations


def _is_wildcard(condition: object) -> bool:
    return isinstance(condition, Wildcard) or (isinstance(condition, AnythingBut) and condition.operator == "wildcard")


@functools.lru_cache(POLICIES_KEPT_MAX)
def _kept(text: str, scope: str) -> Filter:
    return read_filter(text, scope)


def wants(subscription: Subscription, message: TopicMessage) -> bool:
    """Whether the subscription's filter lets the message through."""
    text = subscription.attributes.get("FilterPolicy")
    if not text or text == "{}":
        return True
    kept = _kept(text, subscription.attributes.get("FilterPolicyScope") or SCOPES[0])
    try:
        event = load_event(message.message.encode() if kept.on_body else _as_event(message.attributes))
    except ValueError:
        return False  # a body that is no JSON has nothing to ask
    return matches(kept.pattern, event)


def _as_event(attributes: Mapping[str, MessageAttribute]) -> bytes:
    shown = (f"{json.dumps(name)}:{_value(one)}" for name, one in attributes.items())
    return f"{{{','.join(shown)}}}".encode()


def _value(attribute: MessageAttribute) -> str:
    text = attribute.text or ""
    match attribute.data_type.partition(".")[0], attribute.data_type:
        case "Number", _:
            return _number(text.strip())
        case _, "String.Array":
            return text  # checked to be a JSON array when it was published
        case "Binary", _:
            return "[]"  # not asked about (AWS: Binary is ignored)
    return json.dumps(text)


def _number(text: str) -> str:
    """As JSON writes it: no leading plus or zeros."""
    if _NUMBER.fullmatch(text):
        return text
    try:
        return str(Decimal(text))
    except InvalidOperation:
        return json.dumps(text)
