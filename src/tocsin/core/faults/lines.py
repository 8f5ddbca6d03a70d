"""A record of a log -> a finding. Called by the agent for every line.

Only what the kernel itself wrote is believed: whoever may write to /dev/kmsg has facility 1 there, the kernel has 0
(facts/health.md §0, §6.1).
"""

from tocsin.core.faults.catalogue import Catalogue, Sign
from tocsin.model.health import Finding, Line

KERNEL_FACILITY = 0
# Of a line that is kept with a finding. Kernel records end at about a thousand characters.
TEXT_CHARS_MAX = 1024


def diagnose(line: Line, catalogue: Catalogue) -> Finding | None:
    """The fault that the line tells of, or whose end it tells; None when it tells of none or is not the kernel's."""
    if line.facility != KERNEL_FACILITY:
        return None
    for sign in catalogue.signs:
        found = sign.pattern.search(line.text)
        if found:
            return _finding(line, sign, found.groupdict())
    return None


def _finding(line: Line, sign: Sign, groups: dict[str, str | None]) -> Finding:
    fault, _, code = sign.fault.same_as.rpartition("-")
    return Finding(
        fault=fault or sign.fault.name,
        subject=part(groups.get("subject") or groups.get("subject2") or ""),
        code=int(code or groups.get("code") or 0),
        at_ms=line.at_ms,
        text=line.text[:TEXT_CHARS_MAX],
        source=line.source,
        over=sign.over,
    )


def part(subject: str) -> str:
    """One name for one device: drivers write a PCI address with and without the function, in either case."""
    name = subject.strip()
    if ":" not in name:
        return name
    return name.lower().removesuffix(".0").rjust(10, "0") if name.count(":") == 1 else name.lower().removesuffix(".0")
