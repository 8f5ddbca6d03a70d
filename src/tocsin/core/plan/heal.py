"""Healing: from what is known of a node's faults to its health, and to what shall be done about it, within a budget.

Called for every node after it was followed. How a node is rebooted or replaced is mend.py's.
"""

from collections.abc import Iterable

from tocsin.core.faults import Verdict, lapse, weigh
from tocsin.core.plan.draft import Draft
from tocsin.model.cluster import Health, Node, NodeRecovery, NodeStatus, Repair
from tocsin.model.health import Mended, Remedy
from tocsin.model.times import epoch_ms

ADVICE = {
    Remedy.REBOOT: "Please Reboot the Faulty Node.",
    Remedy.GPU_RESET: "Please Reboot the Faulty Node.",
    Remedy.REPLACE: "Please Replace the Faulty Node.",
}
LOOK = "Please Look at the Faulty Node."
REPAIRS = {Remedy.REBOOT: Repair.REBOOT, Remedy.REPLACE: Repair.REPLACE}
MENDED_MAX = 16  # repairs remembered of one place: more within a week is a place that is left to a person


def heal(draft: Draft, node: Node) -> None:
    """Give a running node the health that its faults amount to, and say what is to be done with it."""
    if not node.faults and not node.advice:
        return
    now_ms = epoch_ms(draft.now)
    faults = lapse(node.faults, now_ms)
    verdict = weigh(faults, node.mended, draft.health, now_ms)
    draft.wake_ms(verdict.wake_ms)
    draft.set(node, faults=faults)
    if node.status is NodeStatus.RUNNING:
        _settle(draft, draft.nodes[node.instance_id], verdict)


def _settle(draft: Draft, node: Node, verdict: Verdict) -> None:
    worst = verdict.worst
    if worst is None:
        draft.set(node, health=Health.HEALTHY, fault="", message="", advice="")
        return
    draft.set(
        node,
        health=Health.UNHEALTHY,
        fault=worst.judged.fault_type or worst.name,
        message=f"{worst.name}: {worst.text}",
        advice=worst.judged.advice or ADVICE.get(verdict.wanted, LOOK),
    )
    if draft.cluster.node_recovery is not NodeRecovery.NONE and node.repair is None:
        _mend(draft, draft.nodes[node.instance_id], verdict)


def _mend(draft: Draft, node: Node, verdict: Verdict) -> None:
    assert verdict.worst is not None, "only what is wrong is mended"
    repair = REPAIRS.get(verdict.remedy)
    if repair is None:
        if verdict.why:
            draft.wait(f"{node.instance_id} is left as it is: {verdict.why}")
        return
    held = _held(draft, node)
    if held:
        draft.wait(f"{node.instance_id} waits for its {repair.lower()}: {held}")
        return
    why = verdict.worst.name + (f", {verdict.why}" if verdict.why else "")
    done = Mended(fault=verdict.worst.name, remedy=verdict.remedy, at_ms=epoch_ms(draft.now))
    draft.set(node, repair=repair, why=why, repair_at=draft.now, mended=(*node.mended, done)[-MENDED_MAX:])


def _held(draft: Draft, node: Node) -> str:
    """Why a repair has to wait: too many of the cluster, or of the group, are under repair. "" when it need not."""
    everybody = list(draft.nodes.values())
    group = [other for other in everybody if other.group == node.group]
    budgets = (
        ("the cluster", everybody, draft.health.cluster_percent_max),
        (f"group {node.group}", group, draft.health.group_percent_max),
    )
    for name, members, percent in budgets:
        size = sum(1 for other in members if other.status is not NodeStatus.SHUTTING_DOWN)
        under_way = _under_repair(members)
        if under_way >= max(draft.health.repairs_floor, int(size * percent / 100)):
            return f"{under_way} of {size} nodes of {name} are under repair, and {percent:g} % may be"
    return ""


def _under_repair(nodes: Iterable[Node]) -> int:
    pending = NodeStatus.PENDING
    return sum(
        1
        for one in nodes
        if (one.repair and one.status is not NodeStatus.SHUTTING_DOWN)
        or (one.status is pending and (one.replaces or one.rebooting))
    )
