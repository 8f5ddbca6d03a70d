"""What a node has, in words: since when, whether it counts, what ends it, what happens next and why it waits.

The twin of verdict.py for people. Our own API tells it, `tocsin health` prints it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.core.faults.assess import lapses_ms
from tocsin.core.faults.lemons import score
from tocsin.core.faults.policy import HealthPolicy
from tocsin.core.faults.verdict import Verdict, counts, unhealthy, weigh
from tocsin.model.cluster import Cluster, Health, Node, NodeRecovery, NodeStatus
from tocsin.model.deep import DeepCheck
from tocsin.model.health import Clearing, Known, Remedy
from tocsin.model.times import epoch_ms, iso_ms

ENDS = {
    Clearing.SIGN: "when a line or reading says that it is over",
    Clearing.REBOOT: "when the node was rebooted",
    Clearing.REPLACE: "when the node was replaced",
    Clearing.HUMAN: "when a person clears it",
}
_NO_RECOVERY = "nothing: NodeRecovery is None (else: {else_})"


def outlook(cluster: Cluster, node: Node, waiting: Sequence[str], policy: HealthPolicy, now_ms: int) -> dict[str, Any]:
    """Everything about one node's health. `waiting` is what the cluster's plan waits for."""
    lemon = score(node.history, policy, now_ms)
    verdict = weigh(node.faults, node.mended, policy, now_ms, resets=node.resets, lemon=lemon.why)
    return {
        "cluster": cluster.name,
        "group": node.group,
        "name": node.name,
        "instance_id": node.instance_id,
        "status": node.status,
        "health": node.health,
        "fault_type": node.fault,
        "message": node.message,
        "advice": node.advice,
        "since_ms": min((one.since_ms for one in node.faults), default=None),
        "next": _next(cluster, node, verdict, waiting),
        "faults": [_fault(one, now_ms) for one in node.faults],
        "deep": _deep(node.deep) if node.deep else None,
        "lemon": {
            "points": lemon.points,
            "limit": lemon.limit,
            "lemon": lemon.lemon,
            "since_ms": lemon.since_ms or None,
            "counts": {str(kind): count for kind, count in lemon.counts.items()},
        },
        "history": [msgspec.to_builtins(one) for one in node.history],
        "mended": [
            {"fault": one.fault, "repair": one.remedy, "at_ms": one.at_ms, "failed": one.failed} for one in node.mended
        ],
    }


def troubled(node: Node, policy: HealthPolicy, now_ms: int) -> bool:
    """Whether there is anything to be told of the node's health. Lemons are told also while they are well."""
    checked = node.deep is not None and node.deep.open and node.joined
    busy = bool(node.faults or checked or node.rebooting) or node.repair is not None
    return busy or node.health is Health.UNHEALTHY or score(node.history, policy, now_ms).lemon


def _deep(check: DeepCheck) -> dict[str, Any]:
    return {
        "kinds": list(check.kinds),
        "state": check.state,
        "since_ms": epoch_ms(check.since) if check.since else None,
        "detail": check.detail,
        "results": [msgspec.to_builtins(one) for one in check.results],
    }


def _fault(known: Known, now_ms: int) -> dict[str, Any]:
    judged = known.judged
    return {
        "fault": known.name,
        "part": known.subject,
        "severity": judged.severity,
        "repair": judged.remedy,
        "fault_type": judged.fault_type,
        "reason": judged.reason,
        "since_ms": known.since_ms,
        "last_ms": known.last_ms,
        "count": known.count,
        "source": known.source,
        "text": known.text,
        "counts": counts(known, now_ms) and unhealthy(known),
        "why": _weight(known, now_ms),
        "ends": _ends(known),
        "advice": judged.advice,
        "observed": judged.observe,
    }


def _weight(known: Known, now_ms: int) -> str:
    """Why it makes the node unhealthy, or does not."""
    judged = known.judged
    if judged.remedy is Remedy.CHECK:
        return "its node is checked in depth when the workload manager sees no job there, and is healthy until then"
    if judged.at_idle and not unhealthy(known):
        return "it is mended when the workload manager sees no job on the node, which is healthy until then"
    if not unhealthy(known):
        return f"a {judged.severity} leaves the node healthy"
    if counts(known, now_ms):
        return "it makes the node unhealthy"
    if now_ms < known.since_ms + judged.settle_s * 1000:
        return f"it counts only once it lasted {judged.settle_s:g} s"
    return f"it counts only once it was seen {judged.needed} times within {judged.window_s:g} s"


def _ends(known: Known) -> str:
    lapses = lapses_ms(known)
    if lapses:
        return f"at {_at(lapses)}, if it does not come again"
    if (known.judged.clears, known.judged.remedy) == (Clearing.REBOOT, Remedy.GPU_RESET):
        return "when the GPU was reset, or the node rebooted"
    return ENDS.get(known.judged.clears, "")


def _next(cluster: Cluster, node: Node, verdict: Verdict, waiting: Sequence[str]) -> str:
    if node.rebooting:
        return f"it reboots ({node.why or node.fault})"
    if node.reset is not None:
        return f"{', '.join(node.reset.gpus)} is reset ({node.why})"
    if node.status is NodeStatus.DEEP_HEALTH_CHECK and node.deep:
        return f"it is checked in depth ({', '.join(node.deep.kinds)})"
    if node.status is NodeStatus.SHUTTING_DOWN:
        return f"it is being replaced ({node.why or node.fault})" if node.repair else "it leaves"
    held = [reason for reason in waiting if node.instance_id in reason]
    if held:
        return held[0]
    if node.repair is not None:
        return f"{node.repair.lower()} ({node.why})"
    if verdict.healthy:
        return _quiet(cluster, node, verdict)
    return _left(cluster, verdict)


def _left(cluster: Cluster, verdict: Verdict) -> str:
    """Why nothing is done about a node that is unhealthy."""
    if verdict.why and verdict.remedy in (Remedy.NONE, Remedy.QUARANTINE):
        return f"nothing: {verdict.why}"
    if verdict.remedy is Remedy.QUARANTINE:
        return "nothing: it was put aside by hand"
    if verdict.remedy is Remedy.NONE:
        return "nothing: no repair from here mends this; a person should look"
    if cluster.node_recovery is NodeRecovery.NONE:
        return _NO_RECOVERY.format(else_=verdict.remedy)
    return str(verdict.remedy)


def _quiet(cluster: Cluster, node: Node, verdict: Verdict) -> str:
    if node.status is NodeStatus.FAILURE and node.joined and cluster.node_recovery is NodeRecovery.NONE:
        return _NO_RECOVERY.format(else_=Remedy.REPLACE)
    if node.health is Health.UNHEALTHY:
        return "replace" if node.status is NodeStatus.FAILURE else "it is looked at again"
    if verdict.wake_ms:
        return f"nothing; it is looked at again at {_at(verdict.wake_ms)}"
    return "nothing"


def _at(epoch: int) -> str:
    return iso_ms(datetime.fromtimestamp(epoch / 1000, UTC))
