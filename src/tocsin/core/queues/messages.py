"""What a message may be, in AWS's words when it may not, and the digests that clients check it by."""

import hashlib
import re
import string
from collections.abc import Mapping

from msgspec import Struct, field

from tocsin.core.queues.attributes import NUMBERS, number
from tocsin.model.queue import MessageAttribute, Queue
from tocsin.model.queue_errors import InvalidMessageContents, InvalidParameterValue, MissingParameter, invalid_value

ATTRIBUTES_MOST = 10
ATTRIBUTE_NAME = re.compile(r"(?!\.)(?!(?i:aws|amazon)\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
TYPES = ("String", "Number", "Binary")
TYPE_CHARS_LONGEST = 256
# Everything XML 1.0 cannot say (AWS, SendMessage).
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ALLOWED = "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
ID = re.compile(f"[{re.escape(string.ascii_letters + string.digits + string.punctuation)}]{{1,128}}")
WRONG_ID = "{} can only include alphanumeric and punctuation characters. 1 to 128 in length."
NOT_OF_THIS_TYPE = "The request include parameter that is not valid for this queue type."
NO_DEDUPLICATION = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)


class Draft(Struct, frozen=True, kw_only=True):
    """A message that somebody wants to send."""

    body: str
    attributes: dict[str, MessageAttribute] = field(default_factory=dict)
    delay_s: int | None = None
    group_id: str = ""
    dedup_id: str = ""
    trace_header: str = ""
    sender: str = ""


def check_draft(queue: Queue, draft: Draft) -> None:
    """Raises InvalidParameterValue, MissingParameter or InvalidMessageContents."""
    if not draft.body:
        raise MissingParameter("The request must contain the parameter MessageBody.")
    _check_text(draft.body, "message body")
    _check_attributes(draft.attributes)
    most = number(queue, "MaximumMessageSize")
    if size_of(draft) > most:
        raise InvalidParameterValue(
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )
    _check_delay(queue, draft.delay_s)
    _check_ids(queue, draft)


def _check_text(text: str, what: str) -> None:
    if found := FORBIDDEN.search(text):
        raise InvalidMessageContents(
            f"Invalid binary character '#x{ord(found[0]):X}' was found in the {what}, "
            f"the set of allowed characters is {ALLOWED}"
        )


def _check_delay(queue: Queue, delay_s: int | None) -> None:
    if delay_s is None:
        return
    _, least, most = NUMBERS["DelaySeconds"]
    if not least <= delay_s <= most:
        raise invalid_value(delay_s, "DelaySeconds", f"DelaySeconds must be >= {least} and <= {most}.")
    if queue.fifo and delay_s:
        raise invalid_value(delay_s, "DelaySeconds", NOT_OF_THIS_TYPE)


def _check_ids(queue: Queue, draft: Draft) -> None:
    for value, name in ((draft.group_id, "MessageGroupId"), (draft.dedup_id, "MessageDeduplicationId")):
        if value and not ID.fullmatch(value):
            raise invalid_value(value, name, WRONG_ID.format(name))
    if not queue.fifo:
        if draft.dedup_id:
            raise invalid_value(draft.dedup_id, "MessageDeduplicationId", NOT_OF_THIS_TYPE)
        return
    if not draft.group_id:
        raise MissingParameter("The request must contain the parameter MessageGroupId.")
    if not draft.dedup_id and queue.attributes.get("ContentBasedDeduplication") != "true":
        raise InvalidParameterValue(NO_DEDUPLICATION)


def _check_attributes(attributes: Mapping[str, MessageAttribute]) -> None:
    if len(attributes) > ATTRIBUTES_MOST:
        raise InvalidParameterValue(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{ATTRIBUTES_MOST}]."
        )
    for name, attribute in attributes.items():
        _check_attribute(name, attribute)


def _check_attribute(name: str, attribute: MessageAttribute) -> None:
    if not ATTRIBUTE_NAME.fullmatch(name):
        raise InvalidParameterValue(f"The message attribute name '{name[:300]}' is invalid.")
    said = f"The message attribute '{name}'"
    if not attribute.data_type:
        raise InvalidParameterValue(f"{said} must contain non-empty message attribute type.")
    kind = attribute.data_type.partition(".")[0]
    if kind not in TYPES or len(attribute.data_type) > TYPE_CHARS_LONGEST:
        raise InvalidParameterValue(
            f"{said} has an invalid message attribute type, "
            "the set of supported type prefixes is Binary, Number, and String."
        )
    value = attribute.blob if kind == "Binary" else attribute.text
    if not value:
        raise InvalidParameterValue(
            f"{said} must contain non-empty message attribute value for message attribute type '{kind}'."
        )
    if attribute.text is not None:
        _check_text(attribute.text, f"message attribute '{name}'")
    if kind == "Number" and not is_number(attribute.text or ""):
        raise InvalidParameterValue(f"Can't cast the value of message (user) attribute '{name}' to a number.")


def is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?\s*", text, re.ASCII) is not None


def size_of(draft: Draft) -> int:
    """Bytes of the body and of each attribute's name, type and value."""
    return len(draft.body.encode()) + sum(
        len(name.encode()) + len(one.data_type.encode()) + len(_value(one)) for name, one in draft.attributes.items()
    )


def deduplication_id(queue: Queue, draft: Draft) -> str:
    """The one given, or the body's SHA-256; "" in a queue that does not deduplicate."""
    if not queue.fifo:
        return ""
    return draft.dedup_id or hashlib.sha256(draft.body.encode()).hexdigest()


def deduplication_key(queue: Queue, group_id: str, dedup_id: str) -> str:
    """What must be the same for two messages to be one."""
    by_group = queue.attributes.get("DeduplicationScope") == "messageGroup"
    return f"{group_id}\x1f{dedup_id}" if by_group else dedup_id


def body_md5(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def attributes_md5(attributes: Mapping[str, MessageAttribute]) -> str | None:
    """AWS's digest: by name, each part behind its length in four bytes; None of none (AWS, SQS message metadata)."""
    if not attributes:
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for name, one in sorted(attributes.items()):
        for part in (name.encode(), one.data_type.encode()):
            digest.update(len(part).to_bytes(4) + part)
        value = _value(one)
        digest.update((b"\x02" if one.data_type.startswith("Binary") else b"\x01") + len(value).to_bytes(4) + value)
    return digest.hexdigest()


def _value(attribute: MessageAttribute) -> bytes:
    return (attribute.blob or b"") if attribute.data_type.startswith("Binary") else (attribute.text or "").encode()
