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
    "monitor(reset_at_next_idle)": "monitor",
    "monitor(strict: replace)": "monitor",
    "reset_gpu_if_uvm_in_use_else_monitor": "monitor",
    "fix_software": "software",
    "contact_support": "software",
}
# What HyperPod's agent was seen to do; every other Xid led to a reboot.
HYPERPOD = {64: "replace", 74: "replace", 79: "replace", 94: "app", 31: "none"}
# Confirmed by a second occurrence within this many seconds before anything is done.
CONFIRMED = {157: 86_400, 161: 86_400}
# A code that is taken back by another one on the same GPU, and how long that one is waited for, in seconds.
TAKEN_BACK = {163: (162, 60)}
MILD = ("none", "report", "monitor", "app")
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
    code, nvidia = xid["code"], NVIDIA[xid["suggested_action"]]
    hyperpod = "decode" if code == 154 else HYPERPOD.get(code, "reboot")
    row = {"code": code, "name": xid["name"], "nvidia": nvidia, "hyperpod": hyperpod, "strict": strict(xid, nvidia)}
    if code in CONFIRMED:
        row |= {"count": 2, "window_s": CONFIRMED[code]}
    if code in TAKEN_BACK:
        row |= {"unless": TAKEN_BACK[code][0], "settle_s": TAKEN_BACK[code][1]}
    if xid["suggested_action"] == "restart_app_if_solo":
        row |= {"alone": True}
    return row


def sxid_row(sxid: dict[str, Any]) -> dict[str, Any]:
    act = sxid["suggested_action"].startswith("reboot_host")
    nvidia = "reboot" if act else "monitor" if sxid["potential_fatal"] else "none"
    sharp = "replace" if sxid["always_fatal"] else "gpu-reset" if sxid["potential_fatal"] else nvidia
    hyperpod = "replace" if sxid["always_fatal"] else "reboot" if act else nvidia
    return {"code": sxid["code"], "name": sxid["name"], "nvidia": nvidia, "hyperpod": hyperpod, "strict": sharp}


def bits(pattern: str) -> tuple[int, int]:
    """A pattern of 0, 1 and - (any), highest bit first -> mask and value."""
    return int(pattern.replace("0", "1").replace("-", "0"), 2), int(pattern.replace("-", "0"), 2)


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
        "nvlink5": [nvlink_row(one) for one in evidence["nvlink5_rules"]],
    }
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"
        for name, rows in tables.items()
    ]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
