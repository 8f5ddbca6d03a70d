"""Drains: who takes no more jobs, who may take them again, and who is free of jobs. Pure; services/drains.py acts.

What others drained is left alone: ours is told by its reason. An administrator asks for a repair by HyperPod's exact
words (facts/hyperpod.md §4.4).
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from tocsin.model.cluster import Health, Node, NodeStatus, Repair
from tocsin.model.scheduling import Scheduled

OURS = "HMA:"
CHECK = "DeepHealthCheck"
ASKED = {"Action:Reboot": Repair.REBOOT, "Action:Replace": Repair.REPLACE}


class Drains(Struct, frozen=True, kw_only=True):
    """`drain` are names by reason. `free` are instances without jobs that take none, so that they may be repaired;
    `reached` says of those it knows whether the workload manager reaches them; `idle` have a fault that is mended when
    no job runs, and none does."""

    drain: dict[str, tuple[str, ...]]
    resume: tuple[str, ...]
    free: frozenset[str]
    asked: dict[str, Repair]
    reached: dict[str, bool]
    idle: frozenset[str]


def decide(members: Iterable[tuple[str, Node]], seen: Mapping[str, Scheduled]) -> Drains:
    """`members` are nodes with their names in the workload manager.

    A wish that is taken up is drained anew, for a reason of ours: so it is taken up once, whatever instance has that
    name by then, and the node that is mended may take jobs.
    """
    drain: dict[str, tuple[str, ...]] = {}
    resume: list[str] = []
    free: set[str] = set()
    asked: dict[str, Repair] = {}
    reached: dict[str, bool] = {}
    idle: set[str] = set()
    for name, node in members:
        there = seen.get(name)
        if there is None or (there.drained and not there.busy):
            free.add(node.instance_id)  # what the workload manager does not know has no jobs
        if there is None:
            continue
        reached[node.instance_id] = there.reached
        if not there.busy and any(one.judged.at_idle for one in node.faults):
            idle.add(node.instance_id)
        checked = node.status is NodeStatus.DEEP_HEALTH_CHECK or node.deep_due
        sick = node.health is Health.UNHEALTHY and bool(node.faults)
        well = (
            node.status is NodeStatus.RUNNING
            and not node.deep_due
            and node.health is Health.HEALTHY
            and node.repair is None
        )
        if (sick or checked) and not there.drained:
            reason = f"{OURS}{node.fault if sick else CHECK}"
            drain[reason] = (*drain.get(reason, ()), name)
        elif well and there.drained and there.reason.startswith(OURS):
            resume.append(name)
        elif well and there.drained and there.reason in ASKED:
            asked[node.instance_id] = ASKED[there.reason]
            reason = f"{OURS}{there.reason}"
            drain[reason] = (*drain.get(reason, ()), name)
    return Drains(
        drain=drain,
        resume=tuple(resume),
        free=frozenset(free),
        asked=asked,
        reached=reached,
        idle=frozenset(idle),
    )
