"""Mishaps: failures on demand. A person plans one; instances meet it until it is used up, over or cleared."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from tocsin.model.records import Record


class MishapKind(StrEnum):
    """What goes wrong. The words are those of the command line."""

    CAPACITY = "capacity"  # there is no machine to be had
    SCRIPT_FAILS = "script-fails"
    CHECK_FAILS = "check-fails"
    BOOT_SLOW = "boot-slow"
    BOOT_NEVER = "boot-never"


class Mishap(Record, frozen=True, kw_only=True):
    """`cluster` and `group` are names; empty, any is met.

    `left` None: as many instances as come. `expires_ms` 0: it does not end by itself. `struck` are the instances that
    met it, the last ones last: the same instance meets it again without being counted.
    """

    kind: ClassVar[str] = "mishap"

    id: str
    what: MishapKind
    cluster: str = ""
    group: str = ""
    left: int | None = None
    expires_ms: int = 0
    delay_s: float = 0.0
    created_ms: int
    struck: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.id


class Met(Struct, frozen=True, kw_only=True):
    """Who comes upon a mishap."""

    cluster_id: str
    cluster_name: str
    group: str
    instance_id: str
