"""Tags of rules and event buses, kept under their ARNs."""

from collections.abc import Callable
from typing import Any

from tocsin.core.noise import TAG, control_of
from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import tagged_arn
from tocsin.model.errors import LimitExceeded, Validation
from tocsin.model.names import rule_bus_of
from tocsin.model.tags import RESERVED_SAID, checked_tags
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.tagging import retag, tags_of


class Tagging:
    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus

    async def tag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        added = told(request)
        return await self._retag(context, request["ResourceARN"], lambda tags: tags | added)

    async def untag(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        return await self._retag(
            context, request["ResourceARN"], lambda tags: {key: tags[key] for key in tags if key not in gone}
        )

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        arn = await tagged_arn(self._store, context.scope, request["ResourceARN"])
        tags = await tags_of(self._store, context.scope, arn)
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    async def _retag(
        self, context: Context, given: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, Any]:
        async def attempt() -> tuple[str, bool]:
            arn = await tagged_arn(self._store, context.scope, given)
            before, after = await retag(self._store, context.scope, arn, lambda tags: _checked(change(tags)))
            return arn, _of_noise(before) != _of_noise(after)

        arn, quieted = await decided(attempt)
        if quieted and (bus := rule_bus_of(arn)):
            await self._bus.reload(context.scope, bus)
            await self._bus.refreshed()
        return {}


def told(request: dict[str, Any]) -> dict[str, str]:
    """The tags a request carries. Raises LimitExceeded; Validation for AWS's own, or a noise control that is none."""
    return _checked({tag["Key"]: tag["Value"] for tag in request.get("Tags") or []})


def _checked(tags: dict[str, str]) -> dict[str, str]:
    many = LimitExceeded("The requested resource exceeds the maximum number allowed.")
    checked_tags(tags, many=many, reserved=Validation(RESERVED_SAID))
    for value in _of_noise(tags).values():
        if value:
            control_of(value)  # else it would be found out when the noise comes
    return tags


def _of_noise(tags: dict[str, str]) -> dict[str, str]:
    """The tags that control what a rule's targets are spared."""
    return {key: value for key, value in tags.items() if key == TAG or key.startswith(f"{TAG}:")}
