"""Findings -> what a node is known to have. A fold: the same findings in the same order give the same knowledge.

The nodes door folds in what agents report, the planner lets lapse what is over; verdict.py says what it amounts to.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tocsin.core.faults.catalogue import Catalogue, Code
from tocsin.core.faults.codes import RECOVERY_CHANGED, judge_code
from tocsin.model.health import REMEDIES, SEVERITIES, Clearing, Finding, Judgement, Known, Mark, Remedy, Severity

# Faults remembered of one node. More at once is a node that is past help; the mildest and oldest are forgotten first.
KNOWN_MAX = 32
# Times of one fault that are remembered: no table asks for more within a window.
MOMENTS_MAX = 8
# Of the line or reading that is kept with a fault: nodes are records, and are read whole.
KEPT_CHARS_MAX = 300
SAME_MOMENT_MS = 1000  # codes of one GPU within a second have one cause


def judge(finding: Finding, catalogue: Catalogue, history: Sequence[Mark] = ()) -> Judgement:
    """What the catalogue, and the site's changes of it, make of a finding. `history` is what befell the machine, this
    finding noted in it."""
    return _judged(finding, catalogue, history)[0]


def _judged(finding: Finding, catalogue: Catalogue, history: Sequence[Mark]) -> tuple[Judgement, Code | None]:
    fault = catalogue.faults.get(finding.fault)
    row = None
    if fault is None:
        judged = _UNKNOWN
    elif fault.table:
        judged, row = judge_code(finding, catalogue, history)
    else:
        judged = fault.judgement()
    for name in (finding.fault, finding.name):
        if name in catalogue.changes:
            judged = replace(judged, **catalogue.changes[name].judgement())
    return replace(judged, observe=bool({finding.fault, finding.name} & catalogue.observed)), row


# A newer agent may find what this server does not know: it is shown, and nothing is done.
_UNKNOWN = Judgement(severity=Severity.WARNING, remedy=Remedy.NONE, clears=Clearing.HUMAN)


def assess(
    known: Iterable[Known], finding: Finding, catalogue: Catalogue, history: Sequence[Mark] = ()
) -> tuple[Known, ...]:
    """What is known once the finding is taken in, oldest first."""
    faults = {one.part: one for one in known}
    judged, row = _judged(finding, catalogue, history)
    part = (finding.fault, finding.subject, finding.code)
    for other in [one for one in faults if _takes_back(finding, one, catalogue)]:
        del faults[other]
    if finding.over or (finding.code == RECOVERY_CHANGED and judged.severity is Severity.INFO):
        faults.pop(part, None)
    elif judged.severity is not Severity.INFO and not _follows(finding, row, faults.values()):
        faults[part] = _again(faults.get(part), finding, judged)
    return _bounded(faults.values())


def _takes_back(finding: Finding, part: tuple[str, str, int], catalogue: Catalogue) -> bool:
    """Whether the finding says that another code of the same GPU counts no more (Xid 162 after 163)."""
    fault, subject, code = part
    row = catalogue.xids.get(code) if fault == "xid" else None
    return finding.fault == "xid" and row is not None and row.unless == finding.code > 0 and subject == finding.subject


def _follows(finding: Finding, row: Code | None, known: Iterable[Known]) -> bool:
    """Whether the code only cleans up after another one of the same GPU (Xid 45)."""
    return bool(row and row.alone) and any(
        one.fault == finding.fault
        and one.subject == finding.subject
        and one.code != finding.code
        and abs(one.last_ms - finding.at_ms) <= SAME_MOMENT_MS
        for one in known
    )


def _again(known: Known | None, finding: Finding, judged: Judgement) -> Known:
    moments = (*(known.moments if known else ()), *[finding.at_ms] * min(finding.count, MOMENTS_MAX))
    return Known(
        fault=finding.fault,
        subject=finding.subject,
        code=finding.code,
        text=finding.text[:KEPT_CHARS_MAX],
        source=finding.source,
        since_ms=known.since_ms if known else finding.at_ms,
        last_ms=max(finding.at_ms, known.last_ms if known else 0),
        count=finding.count + (known.count if known else 0),
        moments=moments[-min(max(judged.needed, 1), MOMENTS_MAX) :],
        judged=judged,
    )


def _bounded(known: Iterable[Known]) -> tuple[Known, ...]:
    kept = sorted(known, key=lambda one: (SEVERITIES.index(one.judged.severity), one.since_ms), reverse=True)
    return tuple(sorted(kept[:KNOWN_MAX], key=lambda one: (one.since_ms, one.part)))


def lapse(known: Iterable[Known], now_ms: int) -> tuple[Known, ...]:
    """Without the faults that have been quiet for long enough."""
    return tuple(one for one in known if not lapses_ms(one) or lapses_ms(one) > now_ms)


def lapses_ms(known: Known) -> int:
    """When the fault is over if it does not come again; 0: not by itself.

    One that was not seen often enough to count is forgotten with its window.
    """
    judged = known.judged
    if judged.clears is Clearing.QUIET:
        return known.last_ms + int(judged.quiet_s * 1000)
    return 0 if often(known) or not judged.window_s else known.last_ms + int(judged.window_s * 1000)


def often(known: Known) -> bool:
    """Whether it was seen as often as it takes to count."""
    judged = known.judged
    within = [at for at in known.moments if at >= known.last_ms - judged.window_s * 1000] if judged.window_s else None
    return (len(within) if within is not None else known.count) >= judged.needed


_ENDED_BY_BOOT = (Clearing.REBOOT, Clearing.QUIET, Clearing.SIGN)


def after_reboot(known: Iterable[Known]) -> tuple[Known, ...]:
    """What a reboot leaves. What readings show is read again: it comes back within a check, if it is still there."""
    return tuple(one for one in known if one.judged.clears not in _ENDED_BY_BOOT)


def after_gpu_reset(known: Iterable[Known], gpus: Sequence[str]) -> tuple[Known, ...]:
    """What a reset of these GPUs leaves: the faults of other parts, and those of theirs that ask for more."""
    return tuple(one for one in known if one.subject not in gpus or not _ends_with_reset(one))


def _ends_with_reset(one: Known) -> bool:
    """Readings are read anew after a reset as after a reboot."""
    mild = REMEDIES.index(one.judged.remedy) <= REMEDIES.index(Remedy.GPU_RESET)
    return mild and one.judged.clears in _ENDED_BY_BOOT


def cleared(known: Iterable[Known], fault: str = "", subject: str = "") -> tuple[Known, ...]:
    """Without what a person calls over: all, or those of a type (xid-79, xid), or of a type and a part."""
    return tuple(
        one for one in known if (fault and fault not in (one.name, one.fault)) or (subject and subject != one.subject)
    )
