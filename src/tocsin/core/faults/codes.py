"""What a driver's code means: Xid and SXid by profile, decoded where the code alone says too little.

Order of authority (facts/health.md §2.1): what the driver asks for (Xid 154), then the line's detail, then the table.
"""

import re

from msgspec.structs import replace

from tocsin.core.faults.catalogue import Action, Catalogue, Code, NvlinkRule, Profile, Registers
from tocsin.model.health import Clearing, Finding, Judgement, Remedy, Severity

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
    "idle-reset": Judgement(severity=Severity.WARNING, remedy=Remedy.GPU_RESET, clears=Clearing.REBOOT, at_idle=True),
    "gpu-reset": Judgement(severity=Severity.ERROR, remedy=Remedy.GPU_RESET, clears=Clearing.REBOOT),
    "reboot": Judgement(severity=Severity.ERROR, remedy=Remedy.REBOOT, clears=Clearing.REBOOT),
    "replace": Judgement(severity=Severity.FATAL, remedy=Remedy.REPLACE, clears=Clearing.REPLACE),
}
_ADVICE: dict[Action, str] = {
    "monitor": "Nothing to do unless it repeats.",
    "app": "Restart the job, and look at what it did.",
    "idle-reset": "It is reset when no job runs on its node.",
    "software": "Update driver and firmware, or ask their vendor.",
}
# HyperPod's words: as documented, and as its agent wrote them in 2026 (facts/hyperpod.md §4.3).
_DOCUMENTED: dict[Action, tuple[str, str]] = {
    "none": ("", "XidUserAppError"),
    "app": ("", "XidUserAppError"),
    "software": ("SoftwareError", "XidContactSupport"),
    "idle-reset": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "gpu-reset": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "reboot": ("NvidiaErrorReboot", "XidHardwareFailure"),
    "replace": ("NvidiaErrorTerminate", "XidHardwareFailure"),
}
_SEEN: dict[Action, tuple[str, str]] = {
    "none": ("", "XidUserAppError"),
    "app": ("NvidiaGPUUnhealthy", "NvidiaGpuXidRestartApp"),
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
_HARSHNESS: list[Action] = [
    "none",
    "report",
    "monitor",
    "app",
    "software",
    "idle-reset",
    "gpu-reset",
    "reboot",
    "replace",
]
_LINK_WORDS = re.compile(r"link \d+\s*\((?P<words>0x[0-9a-fA-F]+(?:,\s*0x[0-9a-fA-F]+)*)\)")


def judge_code(finding: Finding, catalogue: Catalogue) -> tuple[Judgement, Code | None]:
    """What the table makes of a code, and its row. A code that the table does not know is watched."""
    table = catalogue.xids if finding.fault == "xid" else catalogue.sxids
    row = table.get(finding.code)
    change = catalogue.changes.get(finding.name)
    action = change.action if change and change.action else action_of(finding, row, catalogue)
    fault_type, reason = WORDS[catalogue.profile].get(action, ("", ""))
    if finding.fault == "sxid":
        reason = reason.replace("Xid", "SXid") if reason.startswith("Xid") else reason
    judged = replace(_ACTIONS[action], fault_type=fault_type, reason=reason, advice=_ADVICE.get(action, ""))
    if row:
        judged = replace(judged, needed=row.count, window_s=row.window_s, settle_s=row.settle_s)
    return judged, row


def action_of(finding: Finding, row: Code | None, catalogue: Catalogue) -> Action:
    if row is None:
        return "monitor"
    if finding.fault == "sxid":
        return _switch_action(finding, row, catalogue.profile)
    action = row.action(catalogue.profile)
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


def as_application(judged: Judgement, profile: Profile, nodes: int) -> Judgement:
    """The judgement on an error that so many nodes had at once: it is the job's."""
    fault_type, reason = WORDS[profile]["app"]
    advice = f"{nodes} nodes had it at once: look at the job, not at the hardware."
    return replace(_ACTIONS["app"], fault_type=fault_type, reason=reason, advice=advice, observe=judged.observe)


def register_action(text: str, rules: tuple[Registers, ...]) -> Action:
    """Xid 74: the harshest of what its bits mean. A reset where the line has none, or one that no rule knows."""
    found = _LINK_WORDS.search(text)
    words = [int(word, 16) for word in found["words"].split(",")] if found else []
    bits = [(number, bit) for number, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    known = {(rule.word, bit): rule.action for rule in rules for bit in rule.bits}
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
