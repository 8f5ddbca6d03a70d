"""Errors of applications in the light of other nodes: what several nodes have at once is their job's, and no node's.

heal.py asks before it weighs a node's faults. Pure: all nodes' faults in, the same with their judgement out.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tocsin.core.faults.catalogue import Catalogue
from tocsin.core.faults.codes import as_application
from tocsin.model.health import Judgement, Known, Remedy

SUSPECT = "This GPU had it {count} times, and none else did: check it in depth (StartClusterHealthCheck)."
AT_ONCE = "{nodes} nodes had it at once: look at the job, not at the hardware."
SEVERAL = "{gpus} GPUs of this node had it: look at the job, not at the hardware."
# (instance, code) -> how many nodes had the code at about that time.
Together = Mapping[tuple[str, int], int]


def together(nodes: Mapping[str, Sequence[Known]], catalogue: Catalogue) -> Together:
    """The errors of applications that other nodes of the cluster had at about the same time. By the last time of each:
    an error that comes back to one node alone is looked at alone."""
    seen: dict[int, dict[str, int]] = {}
    for instance_id, known in nodes.items():
        for one in known:
            row = catalogue.xids.get(one.code) if one.fault == "xid" else None
            if row is not None and row.together_s:
                last = seen.setdefault(one.code, {})
                last[instance_id] = max(one.last_ms, last.get(instance_id, 0))
    return {
        (instance_id, code): count
        for code, last in seen.items()
        for instance_id, count in _counts(last, catalogue.xids[code].together_s * 1000).items()
        if count > 1
    }


def _counts(last: Mapping[str, int], within_ms: float) -> dict[str, int]:
    """How many nodes had it, each at most so long from the next."""
    ordered = sorted(last.items(), key=lambda pair: pair[1])
    counts: dict[str, int] = {}
    run: list[str] = []
    before_ms = 0
    for instance_id, at_ms in ordered:
        if run and at_ms - before_ms > within_ms:
            counts |= dict.fromkeys(run, len(run))
            run = []
        run.append(instance_id)
        before_ms = at_ms
    return counts | dict.fromkeys(run, len(run))


def in_context(instance_id: str, known: Sequence[Known], shared: Together, catalogue: Catalogue) -> tuple[Known, ...]:
    """A node's faults, those of its job judged as such, and those that speak against a GPU told as such."""

    def judged(one: Known) -> Judgement:
        row = catalogue.xids.get(one.code) if one.fault == "xid" else None
        if row is None or not row.together_s:
            return one.judged
        if (instance_id, one.code) in shared:
            return as_application(one.judged, catalogue.profile, AT_ONCE.format(nodes=shared[instance_id, one.code]))
        gpus = sum(other.fault == "xid" and other.code == one.code for other in known)
        if one.judged.remedy is Remedy.CHECK and gpus > 1:  # so it is no GPU's
            return as_application(one.judged, catalogue.profile, SEVERAL.format(gpus=gpus))
        if gpus == 1 and 0 < row.suspect_count <= one.count:
            return replace(one.judged, advice=SUSPECT.format(count=one.count))
        return one.judged

    return tuple(replace(one, judged=judged(one)) for one in known)
