"""Make src/tocsin/core/faults/codes.json: what to do about each code of the NVIDIA driver, by profile.

    python tools/codes.py EVIDENCE.json

EVIDENCE holds one record a code with what each public source says of it. Only code, name and our verdicts are kept.
"""

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent.parent / "src" / "tocsin" / "core" / "faults" / "codes.json"
# The words of the evidence -> ours (core/faults/codes.py says what each means).
NVIDIA = {
    "unknown_reserved": "report",
    "restart_app": "app",
    "restart_app_if_solo": "app",
    "none": "none",
    "qualifier_of_48": "none",
    "reset_gpu_or_reboot_then_replace": "gpu-reset",
    "reset_gpu_unless_162_follows": "gpu-reset",
    "decode_intrinfo": "decode",
    "read_action_from_message": "decode",
    "reboot_then_replace": "reboot",
    "reboot": "reboot",
    "replace": "replace",
    "inspect_replace": "replace",
    "replace_after_confirm": "replace",
    "monitor": "monitor",
    "monitor(reset_at_next_idle)": "idle-reset",
    "monitor(strict: replace)": "monitor",
    "reset_gpu_if_uvm_in_use_else_monitor": "decode",
    "fix_software": "software",
    "contact_support": "software",
}
# What HyperPod's agent was seen to do; every other Xid led to a reboot.
HYPERPOD = {64: "replace", 74: "replace", 79: "replace", 94: "app", 31: "none"}
# Confirmed by a second occurrence within this many seconds before anything is done.
CONFIRMED = {157: 86_400, 161: 86_400}
# A code that is taken back by another one on the same GPU, and how long that one is waited for, in seconds.
TAKEN_BACK = {163: (162, 60)}
# An error in NVLink whose line has register words that say more than the code.
REGISTERED = 74
# Errors of the application: on several nodes within so many seconds they are the job's, and whoever is the first to
# have one waits so long for the others to have it too.
TOGETHER, TOGETHER_S, OTHERS_S = (13, 31, 43, 45), 60, 5
# Of these, one GPU that has them so often, and alone, is told to be suspected.
SUSPECTS, SUSPECT_COUNT = (43, 45), 3
# History: what is done when the same GPU has it for so many a time within a day, at the same place of it if the line
# tells one. HyperPod's agent was never seen to look at history. What is only soft of Xid 74 has its rules in REGISTERS.
DAY_S, TWICE, LOOKING_BACK = 86_400, 2, ("nvidia", "strict")
AGAIN = {13: "idle-check", 31: "idle-check", 74: "replace", 94: "idle-reset"}
WHERE = {13: r"\bGPC \d+", 74: r"\blink \d+"}
# Nothing is done about it, but it speaks against the machine.
SPEAKS = (92, 94)
# What the bits of Xid 74's words mean (NVIDIA's Xid catalogue, workflow for NVLink errors): word, bits, action. What is
# suspected of the hardware, and what asks for a reset of the fabric: a reset. What comes of other errors: watched. What
# counts only when it repeats: watched, and a reset when the link has it again. What may be ignored, or was corrected:
# nothing.
REGISTERS = (
    (0, (0, 23, 30), "none"),
    (0, (1, 20), "monitor"),
    (0, (27, 29), "monitor", "gpu-reset"),
    (0, (4, 5, 8, 9, 12, 16, 17, 21, 22, 24, 28), "gpu-reset"),
    (2, (0, 1, 2, 6, 13), "gpu-reset"),
    (2, (16, 17, 18, 19), "monitor", "gpu-reset"),
    (3, (16, 17), "monitor"),
    (3, (18,), "gpu-reset"),
    (4, (18, 19, 21, 22, 24, 25, 27, 28), "gpu-reset"),
    (4, (20, 23, 26, 29), "none"),
)
MILD = ("none", "report", "monitor", "app", "idle-reset")
RESOLUTIONS = {"IGNORE": "none", "RESET_GPU": "gpu-reset", "XID_154_EVAL": "monitor"}


def strict(xid: dict[str, Any], nvidia: str) -> str:
    """The sharpest of what NVIDIA, AWS and Azure say."""
    sources = xid["sources"]
    aws = str(sources["awslabs_healthcheck"] or "")
    if nvidia not in MILD:
        return nvidia
    if "ISOLATE" in aws:
        return "replace"
    drains = sources["azure_nhc"] or sources["aws_eks_nma"].startswith("Fatal") or aws in ("RESET", "REBOOT")
    return "gpu-reset" if drains else nvidia


def xid_row(xid: dict[str, Any]) -> dict[str, Any]:
    code = xid["code"]
    nvidia = "decode" if code == REGISTERED else NVIDIA[xid["suggested_action"]]
    hyperpod = "decode" if code == 154 else HYPERPOD.get(code, "reboot")
    row = {"code": code, "name": xid["name"], "nvidia": nvidia, "hyperpod": hyperpod, "strict": strict(xid, nvidia)}
    if code in CONFIRMED:
        row |= {"count": 2, "window_s": CONFIRMED[code]}
    if code in TAKEN_BACK:
        row |= {"unless": TAKEN_BACK[code][0], "settle_s": TAKEN_BACK[code][1]}
    if code in TOGETHER:
        row |= {"together_s": TOGETHER_S, "settle_s": OTHERS_S}
    if code in SUSPECTS:
        row |= {"suspect_count": SUSPECT_COUNT}
    if code in AGAIN:
        row |= {"again": {"count": TWICE, "within_s": DAY_S, "action": AGAIN[code], "profiles": LOOKING_BACK}}
    if code in WHERE:
        row |= {"where": WHERE[code]}
    if code in SPEAKS:
        row |= {"speaks": True}
    if xid["suggested_action"] == "restart_app_if_solo":
        row |= {"alone": True}
    return row


def sxid_row(sxid: dict[str, Any]) -> dict[str, Any]:
    act = sxid["suggested_action"].startswith("reboot_host")
    nvidia = "reboot" if act else "monitor" if sxid["potential_fatal"] else "none"
    sharp = "replace" if sxid["always_fatal"] else "gpu-reset" if sxid["potential_fatal"] else nvidia
    hyperpod = "replace" if sxid["always_fatal"] else "reboot" if act else nvidia
    row = {"code": sxid["code"], "name": sxid["name"], "nvidia": nvidia, "hyperpod": hyperpod, "strict": sharp}
    if nvidia == "monitor":  # fatal or not: that it comes again says it (facts/health.md §2.5)
        row |= {"again": {"count": TWICE, "within_s": DAY_S, "action": "reboot", "profiles": ["nvidia"]}}
    return row


def bits(pattern: str) -> tuple[int, int]:
    """A pattern of 0, 1 and - (any), highest bit first -> mask and value."""
    return int(pattern.replace("0", "1").replace("-", "0"), 2), int(pattern.replace("-", "0"), 2)


def register_row(word: int, bits: tuple[int, ...], action: str, again: str = "") -> dict[str, Any]:
    return {"word": word, "bits": bits, "action": action} | ({"again": again} if again else {})


def nvlink_row(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": rule["xid"],
        "units": rule["unit"].split("/"),
        "intr": [bits(rule["intr_v1"]), bits(rule["intr_v2"])],
        "status": int(rule["error_status"], 16),
        "action": RESOLUTIONS[rule["resolution"]],
    }


def main() -> None:
    evidence = json.loads(Path(sys.argv[1]).read_text())
    tables = {
        "xid": [xid_row(one) for one in evidence["xids"]],
        "sxid": sorted((sxid_row(one) for one in evidence["sxids"]), key=lambda row: int(row["code"])),
        "registers": [register_row(*one) for one in REGISTERS],
        "nvlink5": [nvlink_row(one) for one in evidence["nvlink5_rules"]],
    }
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"
        for name, rows in tables.items()
    ]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
