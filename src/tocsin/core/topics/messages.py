"""What may be published, in SNS's words when it may not: size, subject, structure, attributes, FIFO's ids."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from tocsin.core.queues.messages import ATTRIBUTE_NAME, ID, TYPES, is_number
from tocsin.core.topics.attributes import message_bytes_max
from tocsin.model.queue import MessageAttribute
from tocsin.model.topic import Topic, TopicMessage
from tocsin.model.topic_errors import InvalidParameter, ParameterValueInvalid

SUBJECT_CHARS_MAX = 100
JSON_FAILED = "Message Structure - JSON message body failed to parse"


class Draft(Struct, frozen=True, kw_only=True):
    """A message that somebody wants to publish."""

    message: str
    subject: str = ""
    structure: str = ""
    attributes: dict[str, MessageAttribute] = field(default_factory=dict)
    group_id: str = ""
    dedup_id: str = ""


def size_of(draft: Draft) -> int:
    """Bytes of the message and of each attribute's name, type and value."""
    return len(draft.message.encode()) + sum(
        len(name.encode()) + len(one.data_type.encode()) + len((one.text or "").encode()) + len(one.blob or b"")
        for name, one in draft.attributes.items()
    )


def check_draft(topic: Topic, draft: Draft) -> None:
    """Raises InvalidParameter or ParameterValueInvalid."""
    if not draft.message:
        raise InvalidParameter("Empty message")
    if size_of(draft) > message_bytes_max(topic):
        raise InvalidParameter("Message too long")
    if draft.subject:
        _check_subject(draft.subject)
    if draft.structure not in ("", "json"):
        raise InvalidParameter("MessageStructure Reason: must be json")
    if draft.structure:
        by_protocol(draft.message)
    for name, attribute in draft.attributes.items():
        _check_attribute(name, attribute)
    _check_ids(topic, draft)


def _check_subject(subject: str) -> None:
    """Line breaks would be headers of a mail; AWS refuses them everywhere."""
    printable = all(one.isprintable() or one == " " for one in subject)
    if len(subject) > SUBJECT_CHARS_MAX or not printable or subject[0].isspace():
        raise InvalidParameter("Subject")


def by_protocol(text: str) -> dict[str, str]:
    """The texts of MessageStructure json, `default` among them. Raises InvalidParameter."""
    try:
        found = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise InvalidParameter(JSON_FAILED) from None
    if not isinstance(found, dict):
        raise InvalidParameter(JSON_FAILED)
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    if "default" not in texts:
        raise InvalidParameter("Message Structure - No default entry in JSON message body")
    return texts


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def _check_attribute(name: str, attribute: MessageAttribute) -> None:
    if not ATTRIBUTE_NAME.fullmatch(name):
        raise ParameterValueInvalid(f"The message attribute name '{name[:300]}' is invalid.")
    said = f"The message attribute '{name}'"
    if not attribute.data_type:
        raise ParameterValueInvalid(f"{said} must contain non-empty message attribute type.")
    kind = attribute.data_type.partition(".")[0]
    if kind not in TYPES:
        raise ParameterValueInvalid(
            f"{said} has an invalid message attribute type, "
            "the set of supported type prefixes is Binary, Number, and String."
        )
    value = attribute.blob if kind == "Binary" else attribute.text
    if not value:
        raise ParameterValueInvalid(
            f"{said} must contain non-empty message attribute value for message attribute type '{attribute.data_type}'."
        )
    if kind == "Number" and not is_number(attribute.text or ""):
        raise ParameterValueInvalid(f"Could not cast message attribute '{name}' value to number.")
    if attribute.data_type == "String.Array" and not _is_array(attribute.text or ""):
        raise ParameterValueInvalid(f"{said} of type String.Array must be a JSON array of plain values.")


def _is_array(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, list) and not any(isinstance(one, dict | list) for one in found)


def _check_ids(topic: Topic, draft: Draft) -> None:
    for value, name in ((draft.group_id, "MessageGroupId"), (draft.dedup_id, "MessageDeduplicationId")):
        if value and not ID.fullmatch(value):
            raise InvalidParameter(
                f"{name} Reason: The {name} can only include alphanumeric and punctuation characters. "
                "1 to 128 in length"
            )
    if not topic.fifo:
        if draft.dedup_id:
            raise InvalidParameter(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter "
                "that is not valid for this topic type"
            )
        return
    if not draft.group_id:
        raise InvalidParameter("The MessageGroupId parameter is required for FIFO topics")
    if not draft.dedup_id and topic.attributes.get("ContentBasedDeduplication") != "true":
        raise InvalidParameter(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
            "explicitly"
        )


def deduplication_id(topic: Topic, draft: Draft) -> str:
    """The one given, or the message's SHA-256; "" for a topic that does not deduplicate."""
    if not topic.fifo:
        return ""
    return draft.dedup_id or hashlib.sha256(draft.message.encode()).hexdigest()


def deduplication_key(topic: Topic, group_id: str, dedup_id: str) -> str:
    """What must be the same for two messages to be one."""
    by_group = topic.attributes.get("FifoThroughputScope") == "MessageGroup"
    return f"{group_id}\x1f{dedup_id}" if by_group else dedup_id


def published(topic: Topic, draft: Draft, *, message_id: str, at_ms: int, sequence: str = "") -> TopicMessage:
    """The message that a checked draft becomes."""
    texts: Mapping[str, str] = by_protocol(draft.message) if draft.structure else {"default": draft.message}
    return TopicMessage(
        topic_arn=topic.arn,
        message_id=message_id,
        at_ms=at_ms,
        message=texts["default"],
        subject=draft.subject,
        by_protocol={name: text for name, text in texts.items() if name != "default"},
        attributes=draft.attributes,
        group_id=draft.group_id,
        dedup_id=deduplication_id(topic, draft),
        sequence=sequence,
    )
