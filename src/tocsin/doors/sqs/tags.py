"""Tags of queues."""

from collections.abc import Mapping
from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.sqs.naming import asked_queue
from tocsin.model.queue_errors import InvalidParameterValue
from tocsin.model.tags import RESERVED_SAID, TAGS_MAX, checked_tags
from tocsin.services.queues import Queues

KEY_CHARS_LONGEST, VALUE_CHARS_LONGEST = 128, 256


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidParameterValue."""
    said = f"Too many tags added for queue: {TAGS_MAX} are allowed, there would be {len(tags)}."
    many, reserved = InvalidParameterValue(said), InvalidParameterValue(RESERVED_SAID)
    for key, value in tags.items():
        if not 1 <= len(key) <= KEY_CHARS_LONGEST:
            raise InvalidParameterValue(f"Tag keys must be between 1 and {KEY_CHARS_LONGEST} characters in length.")
        if len(value) > VALUE_CHARS_LONGEST:
            raise InvalidParameterValue(f"Tag values may be {VALUE_CHARS_LONGEST} characters long at most.")
    return checked_tags(dict(tags), many=many, reserved=reserved)


class Tagging:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def tag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        place = asked_queue(context, request)
        await self._queues.retag(*place, lambda tags: check_tags({**tags, **request["Tags"]}))
        return {}

    async def untag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        place = asked_queue(context, request)
        await self._queues.retag(*place, lambda tags: {key: value for key, value in tags.items() if key not in gone})
        return {}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queues.named(*asked_queue(context, request))
        return {"Tags": queue.tags or None}
