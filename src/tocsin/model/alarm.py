"""Alarms by name, as CloudWatch has them: what a software update listens to. Who measures sets their state."""

from enum import StrEnum
from typing import ClassVar

from tocsin.model.records import Record


class AlarmState(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Alarm(Record, frozen=True, kw_only=True):
    """An alarm somebody has set. One that nobody ever set is no alarm: it does not ring."""

    kind: ClassVar[str] = "alarm"

    name: str
    state: AlarmState
    reason: str = ""
    set_ms: int = 0

    @property
    def key(self) -> str:
        return self.name
