"""Frames of the agent's link: JSON, one per WebSocket message, tagged by `t`.

Reports carry a number `n` that grows by one per node for ever; the server acknowledges a number once its effect is
committed, and the node keeps a report on disk until then. Orders carry a `work` name; a node does a work once.
"""

from msgspec import Struct, field

from tocsin.model.health import Finding

FRAME_BYTES_MAX = 1 << 20  # one report of script output is at most a tenth of this


class Hello(Struct, frozen=True, kw_only=True, tag_field="t", tag="hello"):
    """First frame of a connection, agent to server. `boot` differs for every start of the agent."""

    instance_id: str
    token: str
    boot: str
    version: str
    pid: int


class Beat(Struct, frozen=True, kw_only=True, tag_field="t", tag="beat"):
    """A sign of life."""


class ScriptStarted(Struct, frozen=True, kw_only=True, tag_field="t", tag="script-started"):
    n: int
    work: str
    at_ms: int


class ScriptOutput(Struct, frozen=True, kw_only=True, tag_field="t", tag="script-output"):
    """Lines of output with the time each was read."""

    n: int
    work: str
    lines: tuple[tuple[int, str], ...]


class ScriptEnded(Struct, frozen=True, kw_only=True, tag_field="t", tag="script-ended"):
    """`outcome`: succeeded, failed (non-zero exit), timed-out, not-started (no bundle, no script: see `detail`)."""

    n: int
    work: str
    at_ms: int
    outcome: str
    exit_code: int | None = None
    detail: str = ""


class Found(Struct, frozen=True, kw_only=True, tag_field="t", tag="found"):
    """A fault seen, or its end. `place` is where its source stood: reading goes on behind it after a restart.

    It belongs to no work; the field is there because every report has one.
    """

    n: int
    finding: Finding
    place: str = ""
    work: str = ""


Report = ScriptStarted | ScriptOutput | ScriptEnded | Found
FromAgent = Hello | Beat | ScriptStarted | ScriptOutput | ScriptEnded | Found


class Welcome(Struct, frozen=True, kw_only=True, tag_field="t", tag="welcome"):
    """Answer to Hello. `acked` is the last report number the server has committed."""

    acked: int
    beat_interval_s: float


class Ack(Struct, frozen=True, kw_only=True, tag_field="t", tag="ack"):
    """Every report up to `n` is committed."""

    n: int


class RunScript(Struct, frozen=True, kw_only=True, tag_field="t", tag="run-script"):
    """Fetch the lifecycle bundle and run `on_create` in it. `bundle_path` is a path on the server, `source` its S3 URI.

    `resource_config` is the text of resource_config.json. Limits: seconds, bytes of output.
    """

    work: str
    source: str
    bundle_path: str
    on_create: str
    resource_config: str
    environment: dict[str, str] = field(default_factory=dict)
    time_limit_s: float
    output_bytes_max: int
    fault: str = ""  # on demand: the script fails without being run, with this for a reason


class Halt(Struct, frozen=True, kw_only=True, tag_field="t", tag="halt"):
    """The server does not know this node (any more): end."""

    reason: str


Order = RunScript | Halt
ToAgent = Welcome | Ack | RunScript | Halt
