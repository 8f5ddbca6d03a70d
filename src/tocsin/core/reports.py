"""What a node's report makes of its record. The nodes door commits it together with the report's number."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from tocsin.core.plan import SCRIPT_FAILED, SCRIPT_TIMED_OUT
from tocsin.model.cluster import Node, NodeStatus, ScriptState
from tocsin.model.link import Report, ScriptEnded, ScriptOutput, ScriptStarted
from tocsin.model.times import epoch_ms


def effect(report: Report) -> Callable[[Node], Node]:
    """The change of the node's record. A report on a work that is not (or no longer) the node's changes nothing."""

    def change(node: Node) -> Node:
        if report.work != node.script_work or node.status is not NodeStatus.PENDING:
            return node
        match report:
            case ScriptStarted():
                return replace(node, script=ScriptState.STARTED)
            case ScriptEnded(outcome="succeeded"):
                return replace(node, script=ScriptState.SUCCEEDED)
            case ScriptEnded():
                return replace(node, script=ScriptState.FAILED, message=failure(report))
            case ScriptOutput():
                return node

    return change


def failure(report: ScriptEnded) -> str:
    """AWS's text for the failure, and behind it what is known here, so that nobody needs to look for a log."""
    if report.outcome == "timed-out":
        return SCRIPT_TIMED_OUT
    known = report.detail or (f"exit code {report.exit_code}" if report.exit_code is not None else report.outcome)
    return f"{SCRIPT_FAILED} ({known})"


def lines(report: ScriptOutput) -> list[tuple[int, str]]:
    """Log lines of the output: (epoch ms, text). CloudWatch Logs takes no empty message: a blank line is a space."""
    return [(at_ms, text or " ") for at_ms, text in report.lines]


def acceptable_time(at_ms: int, now: datetime, skew_ms: int = 2 * 3600 * 1000) -> int:
    """A node's clock may be wrong; its log lines are kept within the two hours AWS allows around ours."""
    here = epoch_ms(now)
    return at_ms if abs(at_ms - here) <= skew_ms else here
