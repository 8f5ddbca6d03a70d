"""What a driver's code means: Xid and SXid by profile, decoded where the code alone says too little.

Order of authority (facts/health.md §2.1): what the driver asks for (Xid 154), then the line's detail, then the table,
then what the same GPU had before (history.py).
"""

import re
from collections.abc import Sequence
from typing import get_args

from msgspec.structs import replace

from tocsin.core.faults.catalogue import Action, Catalogue, Code, NvlinkRule, Profile, Registers
from tocsin.core.faults.history import times
from tocsin.model.health import Clearing, Finding, Judgement, Mark, MarkKind, Remedy, Severity

RECOVERY_CHANGED = 154
NVLINK_ERROR = 74
CHI_ERROR = 159
# What an agent adds to a line of Xid 159 where it is so: only then a reset helps (NVIDIA's Xid catalogue).
UVM_IN_USE = "[nvidia_uvm is in use]"
HOUR_S, DAY_S = 3600.0, 86_400.0

_ACTIONS: dict[Action, Judgement] = {
    "none": Judgement(severity=Severity.INFO, remedy=Remedy.NONE, clears=Clearing.QUIET),
    "report": Judgement(severity=Severity.INFO, remedy=Remedy.NONE, clears=Clearing.QUIET),
    "monitor": Judgement(severity=Severity.WARNING, remedy=Remedy.NONE, clears=Clearing.QUIET, quiet_s=DAY_S),
    "app": Judgement(severity=Severity.WARNING, remedy=Remedy.APP, clears=Clearing.QUIET, quiet_s=HOUR_S),
    "software": Judgement(severity=Severity.ERROR, remedy=Remedy.NONE, clears=Clearing.HUMAN),
    "idle-check": Judgement(
        severity=Severity.WARNING, remedy=Remedy.CHECK, clears=Clearing.QUIET, quiet_s=DAY_S, at_idle=True
    ),
    "idle-reset": Judgement(severity=Severity.WARNING, remedy=Remedy.GPU_RESET, clears=Clearing.REBOOT, at_idle=True),
    "gpu-reset": Judgement(severity=Severity.ERROR, remedy=Remedy.GPU_RESET, clears=Clearing.REBOOT),
    "reboot": Judgement(severity=Severity.ERROR, remedy=Remedy.REBOOT, clears=Clearing.REBOOT),
    "replace": Judgement(severity=Severity.FATAL, remedy=Remedy.REPLACE, clears=Clearing.REPLACE),
}
_ADVICE: dict[Action, str] = {
    "monitor": "Nothing to do unless it repeats.",
    "app": "Restart the job, and look at what it did.",
    "idle-check": "This GPU had it again, and none else did: its node is checked in depth when the workload manager"
    " sees no job there. Where none is asked, start the check yourself (StartClusterHealthCheck).",
    "idle-reset": "It is reset when no job runs on its node.",
    "software": "Update driver and firmware, or ask their vendor.",
}
# HyperPod's words: as documented, and as its agent wrote them in 2026 (facts/hyperpod.md §4.3).
_DOCUMENTED: dict[Action, tuple[str, str]] = {
    "none": ("", "XidUserAppError"),
    "app": ("", "XidUserAppError"),
    "idle-check": ("", "XidUserAppError"),
    "software": ("SoftwareError", "XidContactSupport"),
    "idle-reset": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "gpu-reset": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "reboot": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "replace": ("NvidiaErrorTerminate", "XidHardwareFailure"),
}
_SEEN: dict[Action, tuple[str, str]] = {
    "none": ("", "XidUserAppError"),
    "app": ("NvidiaGPUUnhealthy", "NvidiaGpuXidRestartApp"),
    "idle-check": ("NvidiaGPUUnhealthy", "NvidiaGpuXidRestartApp"),
    "software": ("SoftwareError", "XidContactSupport"),
    "idle-reset": ("NvidiaGPUUnhealthy", "NvidiaGpuXidErrorPendingReboot"),
    "gpu-reset": ("NvidiaGPUUnhealthy", "NvidiaGpuXidErrorPendingReboot"),
    "reboot": ("NvidiaGPUUnhealthy", "NvidiaGpuXidErrorPendingReboot"),
    "replace": ("NvidiaGPUUnhealthy", "NvidiaGpuXidErrorPendingReplacement"),
}
WORDS: dict[Profile, dict[Action, tuple[str, str]]] = {
    "nvidia": _DOCUMENTED,
    "strict": _DOCUMENTED,
    "hyperpod": _SEEN,
}

_NVLINK = re.compile(
    r"Xid \([^)]*\): \d+,.*?(?P<unit>[A-Z][A-Z0-9_]+(?:/[A-Z0-9_]+)?)\s+(?:Non-?fatal|Fatal)\s+XC[01]\s+i\d+\s+"
    r"Link\s+-?\d+\s+\((?P<intr>0x[0-9a-fA-F]+)\s+(?P<status>0x[0-9a-fA-F]+)"
)
_RECOVERY = re.compile(r"recovery action changed from .* to (?:0x(?P<number>[0-9a-fA-F]+) )?\((?P<words>[^)]*)\)")
# The driver's numbers of recovery actions (nvml.h, nvmlDeviceGpuRecoveryAction_t).
_RECOVERIES: dict[int, Action] = {0: "none", 1: "gpu-reset", 2: "reboot", 3: "monitor", 4: "gpu-reset"}
_HARSHNESS: tuple[Action, ...] = get_args(Action)  # the mildest first
_LINK_WORDS = re.compile(r"link \d+\s*\((?P<words>0x[0-9a-fA-F]+(?:,\s*0x[0-9a-fA-F]+)*)\)")


def judge_code(finding: Finding, catalogue: Catalogue, history: Sequence[Mark] = ()) -> tuple[Judgement, Code | None]:
    """What the table makes of a code, and its row. A code that the table does not know is watched. `history` is that of
    the machine, this finding in it."""
    row = row_of(finding, catalogue)
    changed = _changed(finding, catalogue)
    action = changed or _again(finding, row, action_of(finding, row, catalogue, catalogue.profile), catalogue, history)
    fault_type, reason = WORDS[catalogue.profile].get(action, ("", ""))
    if finding.fault == "sxid":
        reason = reason.replace("Xid", "SXid") if reason.startswith("Xid") else reason
    judged = replace(_ACTIONS[action], fault_type=fault_type, reason=reason, advice=_ADVICE.get(action, ""))
    if row:
        judged = replace(judged, needed=row.count, window_s=row.window_s, settle_s=row.settle_s)
    return judged, row


def row_of(finding: Finding, catalogue: Catalogue) -> Code | None:
    table = catalogue.xids if finding.fault == "xid" else catalogue.sxids
    return table.get(finding.code)


def _changed(finding: Finding, catalogue: Catalogue) -> Action | None:
    """What a site wants done about the code, whatever else the table says."""
    change = catalogue.changes.get(finding.name)
    return change.action if change else None


_SPEAKING = ("idle-reset", "gpu-reset", "reboot", "replace")


def mark_of(finding: Finding, catalogue: Catalogue) -> Mark | None:
    """What is remembered of a code on its machine; None: nothing. What speaks against hardware is NVIDIA's to say,
    whatever the profile does about it."""
    row = row_of(finding, catalogue)
    action = _changed(finding, catalogue) or action_of(finding, row, catalogue, "nvidia")
    speaks = action in _SPEAKING or (row is not None and row.speaks)
    if not speaks and (row is None or row.again is None or action == "none"):
        return None
    found = re.search(row.where, finding.text) if row and row.where else None
    kind = MarkKind.XID if speaks else MarkKind.SEEN
    where = found[0] if found else ""
    return Mark(kind=kind, fault=finding.name, subject=finding.subject, where=where, at_ms=finding.at_ms)


def _again(finding: Finding, row: Code | None, action: Action, catalogue: Catalogue, history: Sequence[Mark]) -> Action:
    """What is done about it for all that the same GPU had it before; what is soft by its detail has a rule of its own
    there, and does not count for what is not."""
    rule = row.again if row else None
    mark = mark_of(finding, catalogue) if rule else None
    if rule is None or mark is None or catalogue.profile not in rule.profiles:
        return action
    harder = rule.action
    if finding.code == NVLINK_ERROR and mark.kind is MarkKind.SEEN:
        harder = register_action(finding.text, catalogue.registers, again=True)
    return harder if times(history, mark, rule.within_s) >= rule.count else action


def action_of(finding: Finding, row: Code | None, catalogue: Catalogue, profile: Profile) -> Action:
    """By the finding alone."""
    if row is None:
        return "monitor"
    if finding.fault == "sxid":
        return _switch_action(finding, row, profile)
    action = row.action(profile)
    return _decoded(finding, catalogue) if action == "decode" else action


def _decoded(finding: Finding, catalogue: Catalogue) -> Action:
    """What the line says beside its code."""
    match finding.code:
        case code if code == RECOVERY_CHANGED:
            return recovery_action(finding.text)
        case code if code == NVLINK_ERROR:
            return register_action(finding.text, catalogue.registers)
        case code if code == CHI_ERROR:
            return "gpu-reset" if UVM_IN_USE in finding.text else "monitor"
        case _:
            return nvlink_action(finding, catalogue.nvlink5)


def as_application(judged: Judgement, profile: Profile, advice: str) -> Judgement:
    """The judgement on an error that turns out to be the job's."""
    fault_type, reason = WORDS[profile]["app"]
    return replace(_ACTIONS["app"], fault_type=fault_type, reason=reason, advice=advice, observe=judged.observe)


def register_action(text: str, rules: tuple[Registers, ...], *, again: bool = False) -> Action:
    """Xid 74: the harshest of what its bits mean. A reset where the line has none, or one that no rule knows."""
    found = _LINK_WORDS.search(text)
    words = [int(word, 16) for word in found["words"].split(",")] if found else []
    bits = [(number, bit) for number, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    known = {(rule.word, bit): (again and rule.again) or rule.action for rule in rules for bit in rule.bits}
    meant: list[Action] = [known.get(bit, "gpu-reset") for bit in bits]
    return max(meant or ["gpu-reset"], key=_HARSHNESS.index)


def _switch_action(finding: Finding, row: Code, profile: Profile) -> Action:
    """By the table; a line that says Fatal itself is at least a reboot, one that says Non-fatal at most watched."""
    action = row.action(profile)
    if re.search(r": \d+,\s*Fatal", finding.text) and _HARSHNESS.index(action) < _HARSHNESS.index("reboot"):
        return "replace" if profile == "hyperpod" else "reboot"
    return action


def recovery_action(text: str) -> Action:
    """What the driver asks for now: the second state of `recovery action changed from … to …`."""
    found = _RECOVERY.search(text)
    if not found:
        return "monitor"
    words = found["words"].lower()
    if "reboot" in words:
        return "reboot"
    if "reset" in words:
        return "gpu-reset"
    if words == "none":
        return "none"
    return _RECOVERIES.get(int(found["number"] or "3", 16), "monitor")


def nvlink_action(finding: Finding, rules: tuple[NvlinkRule, ...]) -> Action:
    """By unit, first word and error status; watched where no rule fits (facts/health.md §2.4)."""
    found = _NVLINK.search(finding.text)
    if not found:
        return "monitor"
    units, intr, status = found["unit"].split("/"), int(found["intr"], 16), int(found["status"], 16)
    fitting = [
        rule
        for rule in rules
        if rule.code == finding.code
        and not set(units).isdisjoint(rule.units)
        and any(intr & mask == value for mask, value in rule.intr)
    ]
    exact = [rule.action for rule in fitting if rule.status == status]
    within = [rule.action for rule in fitting if rule.status and rule.status & status == rule.status]
    return max(exact or within or ["monitor"], key=_HARSHNESS.index)
