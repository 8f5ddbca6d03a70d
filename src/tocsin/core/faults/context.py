"""Errors of applications in the light of other nodes: what several nodes have at once is their job's, and no node's.

heal.py asks before it weighs a node's faults. Pure: all nodes' faults in, the same with their judgement out. Which
nodes are a job's the workload manager says; where nobody does, the cluster counts as one job.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tocsin.core.faults.catalogue import Catalogue
from tocsin.core.faults.codes import as_application
from tocsin.model.health import Judgement, Known, Remedy
from tocsin.model.scheduling import Job, Ran

SUSPECT = "This GPU had it {count} times, and none else did: check it in depth (StartClusterHealthCheck)."
AT_ONCE = "{nodes} nodes{job} had it at once: look at the job, not at the hardware."
# Between the clocks of nodes and of the workload manager, and what a job's processes do before and after its time.
# It is of no matter where another job was there: that begins once the one before is cleaned up.
SLACK_MS = 10_000
SEVERAL = "{gpus} GPUs of this node had it: look at the job, not at the hardware."
# (instance, code) -> how many nodes had the code at about that time, and the id of their job ("": nobody says).
Together = Mapping[tuple[str, int], tuple[int, str]]


def together(
    nodes: Mapping[str, Sequence[Known]], catalogue: Catalogue, jobs: Mapping[str, Ran] | None = None
) -> Together:
    """The errors of applications that other nodes of the same job, or cluster, had at about the same time. By the last
    time of each: an error that comes back to one node alone is looked at alone. `jobs` is what the workload manager
    said of the nodes; None: none is asked."""
    seen: dict[tuple[str, int], dict[str, int]] = {}  # by job and code
    for instance_id, known in nodes.items():
        for code, last_ms in _last(known, catalogue).items():
            for job in _jobs_at(instance_id, last_ms, jobs):
                seen.setdefault((job, code), {})[instance_id] = last_ms
    shared: dict[tuple[str, int], tuple[int, str]] = {}
    for (job, code), last in seen.items():
        for instance_id, count in _counts(last, catalogue.xids[code].together_s * 1000).items():
            if count > 1:
                key = (instance_id, code)
                shared[key] = max((count, job), shared.get(key, (0, "")))
    return shared


def told_ms(known: Sequence[Known], catalogue: Catalogue) -> int:
    """When the node had its last error of an application; 0: it has none."""
    return max(_last(known, catalogue).values(), default=0)


def _last(known: Sequence[Known], catalogue: Catalogue) -> dict[int, int]:
    last: dict[int, int] = {}
    for one in known:
        row = catalogue.xids.get(one.code) if one.fault == "xid" else None
        if row is not None and row.together_s:
            last[one.code] = max(one.last_ms, last.get(one.code, 0))
    return last


def _jobs_at(instance_id: str, at_ms: int, jobs: Mapping[str, Ran] | None) -> list[str]:
    """The jobs that the node was in at that time. Of an error that came after it was asked nothing is known yet: it is
    asked again before the error counts."""
    if jobs is None:
        return [""]
    ran = jobs.get(instance_id)
    if ran is None or ran.at_ms < at_ms:
        return []
    if ran.jobs is None:
        return [""]
    there = [job.id for job in ran.jobs if _in_time(job, at_ms, 0)]
    return there or [job.id for job in ran.jobs if _in_time(job, at_ms, SLACK_MS)]


def _in_time(job: Job, at_ms: int, slack_ms: int) -> bool:
    return job.since_ms - slack_ms <= at_ms and not 0 < job.until_ms < at_ms - slack_ms


def _at_once(nodes: int, job: str) -> str:
    return AT_ONCE.format(nodes=nodes, job=f" of job {job}" if job else "")


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
            return as_application(one.judged, catalogue.profile, _at_once(*shared[instance_id, one.code]))
        gpus = sum(other.fault == "xid" and other.code == one.code for other in known)
        if one.judged.remedy is Remedy.CHECK and gpus > 1:  # so it is no GPU's
            return as_application(one.judged, catalogue.profile, SEVERAL.format(gpus=gpus))
        if gpus == 1 and 0 < row.suspect_count <= one.count:
            return replace(one.judged, advice=SUSPECT.format(count=one.count))
        return one.judged

    return tuple(replace(one, judged=judged(one)) for one in known)
