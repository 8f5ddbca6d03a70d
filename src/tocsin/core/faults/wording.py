"""Findings -> the lines HyperPod's health agent writes, in its four shapes, odd keys and all (facts/hyperpod.md §4.5).

Whoever filters them asks for `{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }`.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tocsin.core.faults.assess import judge
from tocsin.core.faults.catalogue import Catalogue
from tocsin.model.health import BOOT, Finding, Judgement, Mark, Remedy, Severity
from tocsin.model.times import iso_second

# The sources of what is a line of a log, and of what the GPU's library tells.
LOGS = ("kmsg", "journal", "file")
GPU = "gpu"
ACTIONS = {Remedy.GPU_RESET: "reboot", Remedy.REBOOT: "reboot", Remedy.REPLACE: "replace"}


def health_lines(finding: Finding, catalogue: Catalogue, history: Sequence[Mark] = ()) -> list[tuple[int, str]]:
    """(epoch ms, text) of the lines a finding is worth: what was seen, and what is to be done about it, for all that
    befell its machine before."""
    if finding.fault == BOOT:
        return []
    judged = judge(finding, catalogue, history)
    at = iso_second(datetime.fromtimestamp(finding.at_ms / 1000, UTC))
    told = [_seen(finding, judged, at)]
    if judged.remedy in ACTIONS and not (judged.observe or judged.at_idle or finding.over):
        told.append(_action(finding, judged, at))
    return [(finding.at_ms, json.dumps(one, ensure_ascii=False)) for one in told]


def _seen(finding: Finding, judged: Judgement, at: str) -> dict[str, Any]:
    source = finding.source.partition(":")[0]
    if source in LOGS:
        return _line(finding, judged, at)
    return _violation(finding, at) if source == GPU else _condition(finding, judged, at)


def _line(finding: Finding, judged: Judgement, at: str) -> dict[str, Any]:
    """A line of a log. The key with a colon and a blank is the agent's own."""
    level = "info" if judged.severity is Severity.INFO else "warn"
    state = f"Node condition {_type(finding, judged)} is now: {_status(finding)}, reason: {_reason(finding, judged)}"
    details = {
        "severity": level,
        "timestamp": at,
        "reason": _reason(finding, judged),
        "message": f'{state}, message: "{finding.text}"',
    }
    return _event(at, "NPD caught event: %v", {"details: ": details})


def _violation(finding: Finding, at: str) -> dict[str, Any]:
    """What the GPU's library tells. Only an Xid has a number; the others are told in words."""
    condition = "XID Error" if finding.fault == "xid" else finding.text
    number = {"ErrNum": finding.code} if finding.code else {"GPU": finding.subject}
    return _event(at, "DCGM Policy Violation found ", {"condition: ": condition, "data: ": number})


def _condition(finding: Finding, judged: Judgement, at: str) -> dict[str, Any]:
    details = {
        "type": _type(finding, judged),
        "status": _status(finding),
        "transition": at,
        "reason": _reason(finding, judged),
        "message": finding.text,
    }
    return _event(at, "NPD caught positive condition", {"condition details": details})


def _action(finding: Finding, judged: Judgement, at: str) -> dict[str, Any]:
    detail = {
        "Action": ACTIONS[judged.remedy],
        "Type": _type(finding, judged),
        "Reason": _reason(finding, judged),
        "Message": finding.text,
    }
    return _event(at, "Health event detected", {"Event detail": detail})


def _event(at: str, words: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"level": "info", "ts": at, "msg": words, **body, "HealthMonitoringAgentDetectionEvent": "HealthEvent"}


def _type(finding: Finding, judged: Judgement) -> str:
    return judged.fault_type or finding.name


def _reason(finding: Finding, judged: Judgement) -> str:
    return judged.reason or finding.name


def _status(finding: Finding) -> str:
    return "False" if finding.over else "True"
