"""Frames of the agent's link: JSON, one per WebSocket message, tagged by `t`.

Reports carry a number `n` that grows by one per node for ever; the server acknowledges a number once its effect is
committed, and the node keeps a report on disk until then. Orders carry a `work` name; a node does a work once.
"""

from typing import Literal

from msgspec import Struct, field

from tocsin.model.deep import CheckResult, Peer
from tocsin.model.health import Finding
from tocsin.model.injection import Injectable

FRAME_BYTES_MAX = 1 << 20  # one report of script output is at most a tenth of this


class Hello(Struct, frozen=True, kw_only=True, tag_field="t", tag="hello"):
    """First frame of a connection, agent to server. `boot` differs for every start of the agent."""

    instance_id: str
    token: str
    boot: str
    version: str
    pid: int
    platform_name: str = ""  # as /etc/os-release tells them
    platform_version: str = ""
    gpu_reset: bool = False  # whether it can reset its GPUs


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


class CheckEnded(Struct, frozen=True, kw_only=True, tag_field="t", tag="check-ended"):
    """The results of a deep health check. What they amount to is the server's to say: it knows the others' too."""

    n: int
    work: str
    at_ms: int
    results: tuple[CheckResult, ...]


class GpuResetEnded(Struct, frozen=True, kw_only=True, tag_field="t", tag="gpu-reset-ended"):
    """`failed` says why the GPUs, or one of them, could not be reset; "": they were."""

    n: int
    work: str
    at_ms: int
    failed: str = ""


class Placed(Struct, frozen=True, kw_only=True, tag_field="t", tag="placed"):
    """What became of a fault that was to be put in (`work`): in, refused or out (taken out before its time); `detail`
    says why."""

    n: int
    work: str
    at_ms: int
    outcome: Literal["in", "refused", "out"]
    detail: str = ""


class CommandStarted(Struct, frozen=True, kw_only=True, tag_field="t", tag="command-started"):
    """The node has made up its mind: from here on it never runs this work again, whatever happens to it."""

    n: int
    work: str
    at_ms: int


class CommandOutput(Struct, frozen=True, kw_only=True, tag_field="t", tag="command-output"):
    """Pieces of a step's output with the time each was read, exact when put together: a piece is at most a line.

    `stream` is stdout or stderr; `at` counts the bytes (UTF-8) of that stream before these.
    """

    n: int
    work: str
    step: str
    stream: str
    at: int
    pieces: tuple[tuple[int, str], ...]


class StepResult(Struct, frozen=True, kw_only=True):
    """`outcome`: succeeded, failed (non-zero exit), timed-out, cancelled, not-started (see `detail`), skipped
    (not for this node), left-out (after an exit or a cancellation)."""

    step: str
    started_ms: int
    ended_ms: int
    outcome: str
    exit_code: int | None = None
    detail: str = ""


class CommandEnded(Struct, frozen=True, kw_only=True, tag_field="t", tag="command-ended"):
    """`outcome`: that of the first step that did not go well, else succeeded; or cancelled; or late (it came too late
    to be begun); or interrupted (the agent ended while the command ran, or the node's disk forgot it)."""

    n: int
    work: str
    at_ms: int
    outcome: str
    detail: str = ""
    steps: tuple[StepResult, ...] = ()


class ExtensionChecked(Struct, frozen=True, kw_only=True, tag_field="t", tag="extension-checked"):
    """How an extension's health script ended: told when that is another end than the last. 0 is well; `text` is what it
    wrote last to stderr, or why it has no end of its own."""

    n: int
    work: str
    at_ms: int
    exit_code: int
    text: str = ""


NodeReport = ScriptStarted | ScriptOutput | ScriptEnded | Found | CheckEnded | GpuResetEnded
CommandReport = CommandStarted | CommandOutput | CommandEnded
Report = NodeReport | CommandReport | Placed | ExtensionChecked
FromAgent = (
    Hello
    | Beat
    | ScriptStarted
    | ScriptOutput
    | ScriptEnded
    | Found
    | CheckEnded
    | Placed
    | GpuResetEnded
    | CommandStarted
    | CommandOutput
    | CommandEnded
    | ExtensionChecked
)


class Welcome(Struct, frozen=True, kw_only=True, tag_field="t", tag="welcome"):
    """Answer to Hello. `acked` is the last report number the server has committed, `gpus` what the node is held to."""

    acked: int
    beat_interval_s: float
    gpus: int = 0


class Ack(Struct, frozen=True, kw_only=True, tag_field="t", tag="ack"):
    """Every report up to `n` is committed."""

    n: int


class RunScript(Struct, frozen=True, kw_only=True, tag_field="t", tag="run-script"):
    """Fetch the lifecycle bundle and run `on_create` in it. `bundle_path` is a path on the server, `source` its S3 URI.

    `resource_config_path` is where resource_config.json is fetched, packed with gzip. Limits: seconds, bytes of output.
    `fresh`: the root volume is a new one, so what earlier scripts left in their home goes.
    `then`: a second script of the bundle, run when the first has succeeded.
    """

    work: str
    source: str
    bundle_path: str
    on_create: str
    resource_config_path: str
    environment: dict[str, str] = field(default_factory=dict)
    time_limit_s: float
    output_bytes_max: int
    fault: str = ""  # on demand: the script fails without being run, with this for a reason
    fresh: bool = False
    then: str = ""


class CommandStep(Struct, frozen=True, kw_only=True):
    """One script, its parameters filled in; `plugin` is the action it stands for. `on_failure` and `on_success` are
    go-on, exit, or (after a failure) exit-well; a step that is `last` runs even after an exit. `skip` says why it is
    not to be run here."""

    name: str
    plugin: str = ""
    interpreter: str
    script: str
    directory: str = ""
    time_limit_s: float
    environment: dict[str, str] = field(default_factory=dict)
    on_failure: str = "go-on"
    on_success: str = "go-on"
    last: bool = False
    skip: str = ""


class RunCommand(Struct, frozen=True, kw_only=True, tag_field="t", tag="run-command"):
    """Run the steps in order, once and never again. `begun`: the server knows that the node began it; a node that does
    not know it itself (its disk was lost) only says so. It is not begun later than `start_within_s` from now."""

    work: str
    steps: tuple[CommandStep, ...]
    environment: dict[str, str] = field(default_factory=dict)
    start_within_s: float
    output_bytes_max: int
    begun: bool = False


class CancelCommand(Struct, frozen=True, kw_only=True, tag_field="t", tag="cancel-command"):
    """End the work's process group, or do not begin it. Of a work that ended before, nothing comes of it."""

    work: str


class RunDeepCheck(Struct, frozen=True, kw_only=True, tag_field="t", tag="run-deep-check"):
    """Check the node in depth: `kinds`, each test for `seconds`, all of it within `time_limit_s`; DCGM's diagnostics at
    `dcgm_level` (0: none). It answers at `address` and `port` meanwhile, to those who know `secret`, and reaches for
    `peers` there. `ring` are those that are checked with it, itself among them, in one order for all: their all-reduce
    takes the two ports behind that one."""

    work: str
    kinds: tuple[str, ...]
    address: str
    port: int
    secret: str
    peers: tuple[Peer, ...] = ()
    ring: tuple[Peer, ...] = ()
    seconds: float
    time_limit_s: float
    dcgm_level: int = 0
    fault: str = ""  # on demand: the check fails without being made, with this for a reason


class RunGpuReset(Struct, frozen=True, kw_only=True, tag_field="t", tag="run-gpu-reset"):
    """Reset these GPUs, one after the other, each within `time_limit_s`. Nothing may run on them."""

    work: str
    gpus: tuple[str, ...]
    time_limit_s: float


class AnswerPeers(Struct, frozen=True, kw_only=True, tag_field="t", tag="answer-peers"):
    """Answer nodes that are being checked, for a while."""

    work: str
    address: str
    port: int
    secret: str
    for_s: float


class Inject(Struct, frozen=True, kw_only=True, tag_field="t", tag="inject"):
    """Put a fault in, for a while: a test's tool, which an agent heeds only where it is told that it may.

    `what`: kmsg (`argument`: the line), xid (the code), gpu-lost (the GPU's number), disk-full and readonly (an empty
    directory, or nothing), nic-down (the name of the interface that is made, or nothing), reading (`check=value` of
    `part`), hang, dead. The agent answers with Placed.
    """

    work: str
    what: Injectable
    argument: str = ""
    part: str = ""
    for_s: float


class TakeOut(Struct, frozen=True, kw_only=True, tag_field="t", tag="take-out"):
    """Take a fault out before its time."""

    work: str


class WatchExtension(Struct, frozen=True, kw_only=True, tag_field="t", tag="watch-extension"):
    """Run an extension's health script again and again, and tell when its end is another. `well` is what the server
    knows; another work of the same `extension` takes its place."""

    work: str
    extension: str
    script: str
    environment: dict[str, str] = field(default_factory=dict)
    every_s: float
    time_limit_s: float
    well: bool = True


class UnwatchExtension(Struct, frozen=True, kw_only=True, tag_field="t", tag="unwatch-extension"):
    """Ask no more for an extension's health, by whatever work."""

    work: str
    extension: str


class Halt(Struct, frozen=True, kw_only=True, tag_field="t", tag="halt"):
    """The server does not know this node (any more): end."""

    reason: str


Order = (
    RunScript
    | RunCommand
    | CancelCommand
    | RunDeepCheck
    | RunGpuReset
    | AnswerPeers
    | Inject
    | TakeOut
    | WatchExtension
    | UnwatchExtension
    | Halt
)
ToAgent = Welcome | Ack | Order
