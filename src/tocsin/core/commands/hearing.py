"""What a node reports of a command -> its invocation as it then is, and the head of its output.

Reports on an invocation that is over change nothing but its output: what was said stays said.
"""

from collections.abc import Mapping, Sequence

from tocsin.model.command import Command, Details, Invocation, Status, StepOutput, StepRun
from tocsin.model.link import CommandEnded, CommandOutput, CommandReport, CommandStarted, CommandStep, StepResult
from tocsin.model.logs import LogLine
from tocsin.model.records import successor

# What GetCommandInvocation tells of a step's output (botocore's model).
STDOUT_CHARS_MAX = 24_000
STDERR_CHARS_MAX = 8_000
TRUNCATED = "\n--output truncated--"

NO_CODE = -1  # "the command hasn't started running on the managed node, or it wasn't received by the node"

# By outcome of a step or of the whole.
ENDS: Mapping[str, tuple[Status, Details]] = {
    "succeeded": (Status.SUCCESS, Details.SUCCESS),
    "skipped": (Status.SUCCESS, Details.SUCCESS),
    "failed": (Status.FAILED, Details.FAILED),
    "not-started": (Status.FAILED, Details.FAILED),
    "interrupted": (Status.FAILED, Details.FAILED),
    "timed-out": (Status.TIMED_OUT, Details.EXECUTION_TIMED_OUT),
    "late": (Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT),
    "cancelled": (Status.CANCELLED, Details.CANCELLED),
}
_UNKNOWN = (Status.FAILED, Details.FAILED)


def heard(invocation: Invocation, report: CommandReport, now_ms: int) -> Invocation:
    """The very same invocation where the report changes none of it. Its times are ours: a node's clock may be wrong."""
    if invocation.final:
        return invocation
    match report:
        case CommandStarted():
            return successor(
                invocation,
                status=Status.CANCELLING if invocation.cancelled else Status.IN_PROGRESS,
                details=Details.CANCELLING if invocation.cancelled else Details.IN_PROGRESS,
                started_ms=now_ms,
            )
        case CommandOutput():
            return invocation
        case CommandEnded():
            late = report.outcome == "late" and invocation.cancelled  # it was kept from beginning: see `order_of`
            status, details = ENDS.get("cancelled" if late else report.outcome, _UNKNOWN)
            return successor(
                invocation,
                status=status,
                details=details,
                ended_ms=now_ms,
                steps=tuple(_run(one) for one in report.steps if one.outcome != "left-out"),
                reason=report.detail,
            )


def _run(result: StepResult) -> StepRun:
    status, details = ENDS.get(result.outcome, _UNKNOWN)
    return StepRun(
        step=result.step,
        status=status,
        details=details,
        code=NO_CODE if result.exit_code is None else result.exit_code,
        started_ms=result.started_ms,
        ended_ms=result.ended_ms,
    )


def written(output: StepOutput, stream: str, text: str) -> StepOutput:
    """The head with what came; the very same once it is full."""
    before = output.stdout if stream == "stdout" else output.stderr
    most = STDOUT_CHARS_MAX if stream == "stdout" else STDERR_CHARS_MAX
    after = _head(before, text, most)
    if after == before:
        return output
    return successor(output, stdout=after) if stream == "stdout" else successor(output, stderr=after)


def _head(before: str, text: str, most: int) -> str:
    if before.endswith(TRUNCATED) and len(before) == most:
        return before
    whole = before + text
    return whole if len(whole) <= most else whole[: most - len(TRUNCATED)] + TRUNCATED


def said(output: StepOutput, result: StepResult) -> StepOutput:
    """What the agent says of a step goes where people look: a step that was passed over says so on stdout (as AWS), why
    one did not end well stands on stderr."""
    if not result.detail:
        return output
    if result.outcome == "skipped":
        return written(output, "stdout", result.detail)
    return successor(output, stderr=reasoned(output.stderr, result.detail))


def reasoned(stderr: str, reason: str) -> str:
    """The text with our reason at its end, which is kept, whatever else has to go for it."""
    gap = "" if not stderr or stderr.endswith("\n") else "\n"
    end = f"{gap}[Tocsin] {reason}\n"[-STDERR_CHARS_MAX:]
    return stderr[: STDERR_CHARS_MAX - len(end)] + end


def log_lines(pieces: Sequence[tuple[int, str]]) -> tuple[LogLine, ...]:
    """CloudWatch Logs takes no empty message: a blank line is a space."""
    return tuple(LogLine(at_ms, text.rstrip("\r\n") or " ") for at_ms, text in pieces)


def stream_of(command_id: str, instance_id: str, step: str, stream: str) -> str:
    """The log stream of a step's output, named as AWS names it: no colon may be in a stream's name."""
    return f"{command_id}/{instance_id}/{step.replace(':', '-')}/{stream}"


def object_key(command: Command, instance_id: str, step: CommandStep, stream: str) -> str:
    """Where a step's output lies in its bucket, as AWS's agent names it: no colons, and a document's only step, which
    has no name there, as the zeroth of its plugin."""
    plugin, name = step.plugin.replace(":", ""), step.name.replace(":", "")
    prefix = str(command.request.get("OutputS3KeyPrefix") or "").strip("/")
    place = f"{command.id}/{instance_id}/{plugin}/{f'0.{plugin}' if name == plugin else name}/{stream}"
    return f"{prefix}/{place}" if prefix else place


def object_url(command: Command, instance_id: str, step: CommandStep, stream: str) -> str:
    """In the form AWS tells it; empty where nothing is written."""
    if not command.bucket:
        return ""
    key = object_key(command, instance_id, step, stream)
    return f"https://s3.{command.scope.region}.amazonaws.com/{command.bucket}/{key}"


def empty_output(invocation: Invocation, step: str) -> StepOutput:
    return StepOutput(
        scope=invocation.scope,
        revision=0,
        command_id=invocation.command_id,
        instance_id=invocation.instance_id,
        step=step,
    )
