"""What a node's report makes of its record. The nodes door commits it together with the report's number."""

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec.structs import replace

from tocsin.core.faults import Catalogue, after_reboot, assess, mark_of, noted
from tocsin.core.plan import SCRIPT_FAILED, SCRIPT_TIMED_OUT, resets
from tocsin.model.cluster import Node, NodeStatus, ScriptState
from tocsin.model.health import BOOT, Finding, Known, Mark, MarkKind
from tocsin.model.link import CheckEnded, Found, GpuResetEnded, NodeReport, ScriptEnded, ScriptOutput, ScriptStarted
from tocsin.model.times import epoch_ms

DRIVER = ("xid", "sxid")  # the errors that have numbers, and a history
# Of one check: 8 GPUs and the peers of a large group come to no more. Nodes are records, and are read whole.
RESULTS_KEPT_MAX = 256
SKEW_MAX_S = 7_200  # around our clock, as AWS allows for log lines


def effect(report: NodeReport, catalogue: Catalogue) -> Callable[[Node], Node]:
    """The change of the node's record. A report on a work that is not (or no longer) the node's changes nothing."""

    def change(node: Node) -> Node:
        if isinstance(report, Found):
            return found(node, report.finding, catalogue)
        if isinstance(report, CheckEnded):
            return checked(node, report)
        if isinstance(report, GpuResetEnded):
            return resets.ended(node, report)
        if report.work != node.script_work or node.status not in (NodeStatus.PENDING, NodeStatus.SYSTEM_UPDATING):
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


def found(node: Node, finding: Finding, catalogue: Catalogue) -> Node:
    """The node with the finding taken in. What it amounts to is the planner's to say."""
    if finding.fault == BOOT:
        return replace(node, faults=after_reboot(node.faults))
    history = history_with(node, finding, catalogue)
    faults = assess(node.faults, finding, catalogue, history)
    if _came_back(node, faults, finding):
        again = Mark(kind=MarkKind.AGAIN, fault=finding.name, subject=finding.subject, at_ms=finding.at_ms)
        history = noted(history, again)
    return replace(node, faults=faults, history=history)


def history_with(node: Node, finding: Finding, catalogue: Catalogue) -> tuple[Mark, ...]:
    """What befell the node's machine, the finding among it if it is remembered."""
    mark = None if finding.over or finding.fault not in DRIVER else mark_of(finding, catalogue)
    return noted(node.history, mark) if mark else node.history


def _came_back(node: Node, faults: Iterable[Known], finding: Finding) -> bool:
    """Whether it is a new fault that this very machine was mended of before."""
    part = (finding.fault, finding.subject, finding.code)
    new = part in {one.part for one in faults} - {one.part for one in node.faults}
    since_ms = epoch_ms(node.launched_at)
    return new and any(one.fault == finding.name and one.at_ms >= since_ms for one in node.mended)


def checked(node: Node, report: CheckEnded) -> Node:
    """The node with the results of its check. A check that is no longer the node's changes nothing."""
    deep = node.deep
    if deep is None or report.work != node.deep_work or node.status is not NodeStatus.DEEP_HEALTH_CHECK:
        return node
    return replace(node, deep=replace(deep, ended=True, results=report.results[:RESULTS_KEPT_MAX]))


def failure(report: ScriptEnded) -> str:
    """AWS's text for the failure, and behind it what is known here, so that nobody needs to look for a log."""
    if report.outcome == "timed-out":
        return SCRIPT_TIMED_OUT
    known = report.detail or (f"exit code {report.exit_code}" if report.exit_code is not None else report.outcome)
    return f"{SCRIPT_FAILED} ({known})"


def lines(report: ScriptOutput) -> list[tuple[int, str]]:
    """Log lines of the output: (epoch ms, text). CloudWatch Logs takes no empty message: a blank line is a space."""
    return [(at_ms, text or " ") for at_ms, text in report.lines]


def acceptable_time(at_ms: int, now: datetime) -> int:
    """A node's clock may be wrong; what it tells of a time too far from ours is told as of now."""
    here = epoch_ms(now)
    return at_ms if abs(at_ms - here) <= SKEW_MAX_S * 1000 else here


def seen_at(at_ms: int, now: datetime) -> int:
    """A finding's time. Never one to come: of a node whose clock is ahead it would count late, and last too long."""
    return min(acceptable_time(at_ms, now), epoch_ms(now))
