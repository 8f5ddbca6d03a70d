"""Words of node health: what a node's agent sees, what it finds, and what is known of a node's faults.

A line or reading becomes a finding on the node; the fleet folds findings into the node's record (core/faults/assess).
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    """How much a fault matters. From ERROR upwards the node is unhealthy."""

    INFO = "info"  # kept in the log, nothing else
    WARNING = "warning"  # shown, and watched
    ERROR = "error"
    FATAL = "fatal"


class Remedy(StrEnum):
    """What mends a fault, from the mildest up: the ladder."""

    NONE = "none"
    APP = "app"  # the job is restarted by its owner; the node stays
    CHECK = "check"  # the node is checked in depth, once no job runs there
    GPU_RESET = "gpu-reset"
    REBOOT = "reboot"
    REPLACE = "replace"
    QUARANTINE = "quarantine"  # nothing automatic helps: a person looks


class Clearing(StrEnum):
    """What ends a fault. A person may end each."""

    QUIET = "quiet"  # it does not come again for a while
    SIGN = "sign"  # a line or reading says that it is over
    REBOOT = "reboot"
    REPLACE = "replace"  # only another machine
    HUMAN = "human"


# What an agent reports when it finds its machine booted anew: no fault, but the end of some.
BOOT = "boot"
# A person put the node aside, and from where such a finding comes.
QUARANTINE = "quarantine"
HAND = "hand"

SEVERITIES = list(Severity)
REMEDIES = list(Remedy)


class Line(Struct, frozen=True, kw_only=True):
    """A record of a log. `facility` and `level` are syslog's; -1 where the source does not say who wrote it.

    `place` is where the record stands in its source, by which it is known again after a restart.
    """

    source: str
    text: str
    at_ms: int
    facility: int = -1
    level: int = 6
    place: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """A number that a check read: of what (`check`), on what (`subject`), and the same in words."""

    check: str
    subject: str = ""
    value: float
    at_ms: int
    text: str = ""


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault seen once, or for the `count`th time since the last report, or its end (`over`).

    `fault` names a type of the catalogue, `subject` the part that has it, `code` a driver's number for it.
    """

    fault: str
    subject: str = ""
    code: int = 0
    at_ms: int
    text: str
    source: str
    count: int = 1
    over: bool = False

    @property
    def name(self) -> str:
        """The fault type as people say and set it: xid-79, disk-full."""
        return f"{self.fault}-{self.code}" if self.code else self.fault


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a fault counts and what is said of it.

    It counts once it was seen `needed` times within `window_s`, and `settle_s` after it was first seen. `fault_type`
    and `reason` are HyperPod's words for it. `at_idle`: it leaves the node healthy as long as jobs run there.
    """

    quiet_s: float = 0.0
    needed: int = 1
    window_s: float = 0.0
    settle_s: float = 0.0
    at_idle: bool = False
    fault_type: str = ""
    reason: str = ""
    advice: str = ""


class Judgement(Terms, frozen=True, kw_only=True, omit_defaults=True):
    """What the catalogue makes of a finding. Under `observe` nothing is done about it."""

    severity: Severity
    remedy: Remedy
    clears: Clearing
    observe: bool = False


class Known(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault that a node has. `moments` are the last times at which it was seen, oldest first (epoch ms)."""

    fault: str
    subject: str = ""
    code: int = 0
    text: str
    source: str
    since_ms: int
    last_ms: int
    count: int = 1
    moments: tuple[int, ...] = ()
    judged: Judgement

    @property
    def name(self) -> str:
        return f"{self.fault}-{self.code}" if self.code else self.fault

    @property
    def part(self) -> tuple[str, str, int]:
        """What makes it the same fault: type, part and code."""
        return (self.fault, self.subject, self.code)


class Mended(Struct, frozen=True, kw_only=True):
    """A repair that was begun at this place of the cluster, and for which fault. A replacement inherits them.

    `failed` says why it came to nothing, of a repair that says so itself.
    """

    fault: str
    remedy: Remedy
    at_ms: int
    failed: str = ""


class MarkKind(StrEnum):
    """What befell a machine. Points of each: core/faults/lemons.py."""

    SEEN = "seen"  # an error that counts for rules of history only
    XID = "xid"  # an error of the driver that speaks against the hardware
    OUT = "out"  # it was taken out: its node turned unhealthy
    LOST = "lost"  # it died, or fell silent
    AGAIN = "again"  # a fault came back that a repair of this machine was to mend


class Mark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that befell a machine, remembered beyond the fault's end. `where` is the place in the part, if told."""

    kind: MarkKind
    fault: str
    subject: str = ""
    where: str = ""
    at_ms: int


class GpuReset(Struct, frozen=True, kw_only=True):
    """A reset of GPUs that was ordered: which, by their PCI addresses, and when."""

    gpus: tuple[str, ...]
    at: datetime


class ResetEnd(Struct, frozen=True, kw_only=True):
    """How the last reset of a node's GPUs ended: `failed` says why it came to nothing."""

    failed: str = ""
