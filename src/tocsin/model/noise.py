"""Noise control: what a target is spared, what that remembers, and what was held back. Off unless somebody sets it."""

from typing import ClassVar

from msgspec import Struct

from tocsin.model.names import DEFAULT_BUS, rule_arn
from tocsin.model.records import Record

# The gates of a control, as they are written and told.
ON_CHANGE, DEDUPLICATE, THROTTLE = "on-change", "deduplicate", "throttle"


class Deduplicate(Struct, frozen=True):
    """Of events that agree in the values at `key`, one within the window."""

    key: tuple[str, ...]
    window_s: int


class Throttle(Struct, frozen=True):
    """So many deliveries within the window; for the others one digest at its end."""

    deliveries_max: int
    window_s: int


class OnChange(Struct, frozen=True):
    """Only events whose value at `field` differs from that of the last delivery which agrees in the values at `key`."""

    field: str
    key: tuple[str, ...] = ()


class Control(Struct, frozen=True, kw_only=True):
    """What holds for one target. Asked in this order; the first that holds a delivery back has it."""

    on_change: OnChange | None = None
    deduplicate: Deduplicate | None = None
    throttle: Throttle | None = None


class NoiseSetting(Record, frozen=True, kw_only=True):
    """A target's control, set by our own operation. It counts in place of what the rule's tags say."""

    kind: ClassVar[str] = "noise-setting"

    bus: str = DEFAULT_BUS
    rule: str
    target_id: str
    control: Control

    @property
    def key(self) -> str:
        return f"{self.bus}/{self.rule}/{self.target_id}"

    @property
    def rule_arn(self) -> str:
        return rule_arn(self.scope, self.bus, self.rule)


class Seen(Struct, frozen=True):
    """An event that a digest names: its id, and when it was accepted."""

    id: str
    at_ms: int


class Window(Record, frozen=True, kw_only=True):
    """What one gate of a target's control remembers of one key. `value` is of the last delivery; the counts are a
    throttle's. It is worth something only to the very control it was made under."""

    kind: ClassVar[str] = "noise-window"

    bus: str
    rule: str
    target_id: str
    gate: str
    of: str = ""
    control: Control
    since_ms: int
    since_id: str = ""
    value: str = ""
    delivered: int = 0
    held: int = 0
    first: Seen | None = None
    last: Seen | None = None

    @property
    def key(self) -> str:
        return f"{self.bus}/{self.rule}/{self.target_id}/{self.gate}/{self.of}"

    @property
    def rule_arn(self) -> str:
        return rule_arn(self.scope, self.bus, self.rule)

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has passed. What waits for a change has none."""
        timed = self.control.deduplicate if self.gate == DEDUPLICATE else self.control.throttle
        return self.gate != ON_CHANGE and timed is not None and now_ms >= self.since_ms + timed.window_s * 1000


class Held(Struct, frozen=True, kw_only=True):
    """A delivery that was held back: of which event (by its place in the journal), by which gate, and why."""

    seq: int
    rule_arn: str
    target_id: str
    gate: str
    why: str
