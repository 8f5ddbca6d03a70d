"""Event buses. The default bus is always there: it has a record only once something about it was changed."""

from typing import Any, ClassVar

from tocsin.model.names import DEFAULT_BUS, Scope, bus_arn
from tocsin.model.records import Record


class EventBus(Record, frozen=True, kw_only=True):
    """`policy` is a resource policy's JSON, empty when there is none. The two configurations are described as given."""

    kind: ClassVar[str] = "event-bus"

    name: str
    description: str = ""
    policy: str = ""
    kms_key_id: str = ""
    dead_letter: dict[str, Any] | None = None
    log_config: dict[str, Any] | None = None
    created_ms: int = 0  # of the default bus: unknown
    modified_ms: int = 0

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return bus_arn(self.scope, self.name)


def default_bus(scope: Scope) -> EventBus:
    """The default bus as it is before anything about it was changed. Its successor is the first to be stored."""
    return EventBus(scope=scope, revision=0, name=DEFAULT_BUS)
