"""Rules and their targets. A rule holds its targets, so that one revision guards both."""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct

from tocsin.model.names import DEFAULT_BUS, rule_arn
from tocsin.model.records import Record


class RuleState(StrEnum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


class Target(Struct, frozen=True, kw_only=True):
    """`spec` is the request's Target member as it came (Id and Arn included): described back exactly."""

    id: str
    arn: str
    spec: dict[str, Any]


class Rule(Record, frozen=True, kw_only=True):
    """`scheduled_ms` is since when the schedule counts: its setting, or the rule's last enabling."""

    kind: ClassVar[str] = "rule"

    bus: str = DEFAULT_BUS
    name: str
    state: RuleState = RuleState.ENABLED
    pattern: str = ""
    schedule: str = ""
    scheduled_ms: int = 0
    description: str = ""
    role_arn: str = ""
    targets: tuple[Target, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.bus}/{self.name}"

    @property
    def arn(self) -> str:
        return rule_arn(self.scope, self.bus, self.name)
