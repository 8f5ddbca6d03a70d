"""Make docs/faults.md from the table of faults:  python -m tools.faults_page"""

from collections.abc import Iterable
from pathlib import Path

from tocsin.core import faults
from tocsin.core.faults import Catalogue, Fault, read_catalogue
from tocsin.core.faults.catalogue import Again, Code
from tocsin.core.faults.codes import WORDS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "faults.md"
SHIPPED = Path(faults.__file__).parent

HEAD = """# Faults

This page is made from the table that the code works with, by `python -m tools.faults_page`; a test holds the two in
step. What becomes of a fault is told in [Node health](health.md).

- **Severity**: from `error` upwards a node is `Unhealthy`. `warning` is shown, `info` only written to the log.
- **Repair**: what the fault asks for. `app`: the job's owner restarts it. `gpu-reset`: a reboot where there is none.
- **Ends**: `quiet` when it does not come again for so long; `sign` when a line or reading says that it is over;
  `reboot`, `replace` when that was done; `human` only by [`tocsin health clear`](health.md#clear-and-quarantine).
  A person may end each.
- **Counts**: how often it has to be seen, within which time, and how long it has to last.
"""


def catalogue() -> Catalogue:
    return read_catalogue((SHIPPED / "catalogue.toml").read_bytes(), (SHIPPED / "codes.json").read_bytes())


def page() -> str:
    table = catalogue()
    parts = [HEAD, *_types(table), *_codes(table), *_gpus(table)]
    return "\n".join(parts).rstrip() + "\n"


def _types(table: Catalogue) -> Iterable[str]:
    yield "## Fault types\n"
    yield "| Type | What | Severity | Repair | Ends | Counts | HyperPod's name, reason |\n|---|---|---|---|---|---|---|"
    yield from (_row(table, fault) for fault in table.faults.values())
    yield "\n## What shows them\n"
    yield (
        "Patterns are regular expressions on records that the kernel itself wrote. Readings are held against a"
        " threshold; so many in a row begin and end the fault. Of a counter, what it grew counts, and its first"
        " reading is where counting begins.\n"
    )
    yield "| Type | Shown by |\n|---|---|"
    yield from (f"| `{fault.name}` | {_shown(fault)} |" for fault in table.faults.values())
    yield ""


def _row(table: Catalogue, fault: Fault) -> str:
    if fault.table:
        rest = ["by code", "by code", "by code", "by code", "by code"]
    elif fault.same_as:
        rest = [f"as `{fault.same_as}`", "", "", "", ""]
    else:
        name = f"`{fault.fault_type}`, `{fault.reason}`" if fault.fault_type else ""
        mark = " (ours)" if fault.fault_type and fault.fault_type not in table.hyperpod_types else ""
        rest = [fault.severity, fault.remedy, _ends(fault), _counts(fault), name + mark]
    return f"| `{fault.name}` | {fault.title} | {' | '.join(rest)} |"


def _ends(fault: Fault) -> str:
    return f"quiet, {_time(fault.quiet_s)}" if fault.quiet_s else str(fault.clears)


def _counts(fault: Fault) -> str:
    often = f"{fault.needed} times in {_time(fault.window_s)}" if fault.needed > 1 else ""
    idle = "when no job runs" if fault.at_idle else ""
    lasting = f"after {_time(fault.settle_s + fault.lasts_s)}" if fault.settle_s + fault.lasts_s else ""
    return ", ".join(filter(None, (often, lasting, idle))) or "at once"


def _shown(fault: Fault) -> str:
    if fault.pattern:
        over = f"; over: {_code(fault.over)}" if fault.over else ""
        return _code(fault.pattern) + over
    if not fault.check:
        return "a person"
    way = "above" if fault.above is not None else "below"
    limit = fault.above if fault.above is not None else fault.below
    back = f", back at {fault.leave:g}" if fault.leave is not None else ""
    rate = " a second" if fault.per_s else ""
    kind = f" grows by more than {limit:g}{rate}" if fault.counter else f" is {way} {limit:g}{back}"
    if fault.drains_per_s:
        kind = f" grows by more than {limit:.10g} at once, or for long by more than {_rate(fault.drains_per_s)}"
    times = f", {fault.times} times in a row" if fault.times > 1 else ""
    lasts = f", for {_time(fault.lasts_s)}" if fault.lasts_s else ""
    stays = f"; over when it stayed away for {_time(fault.stays_s)}" if fault.stays_s else ""
    return f"`{fault.check}`{kind}{times}{lasts}{stays}"


def _rate(per_s: float) -> str:
    unit, size = ("second", 1) if per_s >= 1 else ("minute", 60)
    return f"{round(per_s * size, 3):.10g} a {unit}"


def _code(pattern: str) -> str:
    return f"`{pattern.replace('|', chr(92) + '|')}`"


def _time(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _codes(table: Catalogue) -> Iterable[str]:
    yield "\n## Codes of the NVIDIA driver\n"
    yield (
        "What is done by profile (`health.profile`). `decode`: the line says more than the code: Xid 154 names the"
        f" repair that the driver wants, of 144 to 150 the unit, the first word and the error status decide by"
        f" {len(table.nvlink5)} rules, of 74 the bits of its register words, some of which are a reset only when the"
        " same link has them again within a day; 159 is a reset where nvidia_uvm is in use, else watched. When the"
        " workload manager sees no job on the node, `idle-check` has it [checked in"
        " depth](health.md#deep-health-checks) and `idle-reset` has the GPU reset; until then it stays"
        " healthy. `monitor`: watched for a day. `report`, `none`: written to the log. `software`:"
        " unhealthy, and nothing here mends it.\n"
    )
    yield "HyperPod's name and reason follow from what is done:\n"
    yield "| Done | Documented (`nvidia`, `strict`) | As seen in 2026 (`hyperpod`) |\n|---|---|---|"
    for action, words in WORDS["nvidia"].items():
        yield f"| `{action}` | {_words(words)} | {_words(WORDS['hyperpod'][action])} |"
    yield "\n### Xid\n"
    yield from _table(table.xids, "GPU")
    yield "\n### SXid (NVSwitch)\n"
    yield "A line that calls itself fatal is at least a reboot, whatever its code.\n"
    yield from _table(table.sxids, "NVSwitch")


def _words(words: tuple[str, str]) -> str:
    return ", ".join(f"`{word}`" for word in words if word)


def _table(codes: dict[int, Code], part: str) -> Iterable[str]:
    yield "| Code | Name | `nvidia` | `hyperpod` | `strict` | Condition |\n|---|---|---|---|---|---|"
    for code in codes.values():
        actions = f"{code.nvidia} | {code.hyperpod} | {code.strict}"
        yield f"| {code.code} | {code.name} | {actions} | {_condition(code, part)} |"


def _condition(code: Code, part: str) -> str:
    parts = [
        f"{code.count} times in {_time(code.window_s)}" if code.count > 1 else "",
        f"not if {code.unless} follows within {_time(code.settle_s)}" if code.unless else "",
        "not beside another code" if code.alone else "",
        f"the job's, when several nodes have it within {_time(code.together_s)}" if code.together_s else "",
        f"{code.again.action} when the same {_place(code, part)} has it {_often(code.again)}" if code.again else "",
    ]
    return ", ".join(filter(None, parts))


def _place(code: Code, part: str) -> str:
    """What has to have it again: as the pattern names it, of the part."""
    word = code.where.removeprefix(r"\b").partition(" ")[0]
    return f"{word} of the same {part}" if word else part


def _often(rule: Again) -> str:
    times = {2: "twice"}.get(rule.count, f"{rule.count} times")
    return f"{times} within {_time(rule.within_s)} (not under {_without(rule)})"


def _without(rule: Again) -> str:
    return ", ".join(f"`{profile}`" for profile in WORDS if profile not in rule.profiles)


def _gpus(table: Catalogue) -> Iterable[str]:
    yield "\n## GPUs that instance types promise\n"
    yield "| Type | GPUs |\n|---|---|"
    yield from (f"| `ml.{name}` | {count} |" for name, count in table.gpus.items())


if __name__ == "__main__":
    PAGE.write_text(page())
