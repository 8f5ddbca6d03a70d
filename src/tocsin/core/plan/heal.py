"""Healing: from what is known of nodes' faults to their health, and to what shall be done about it, within a budget.

Called once a plan, after all nodes were followed. How a node is rebooted or replaced is mend.py's.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from tocsin.core.faults import Together, Verdict, gpus_to_reset, in_context, lapse, noted, score, together, weigh
from tocsin.core.plan.budget import Budget, of_sick
from tocsin.core.plan.draft import Draft
from tocsin.core.plan.resets import begin, follow_reset
from tocsin.core.plan.suspects import look_into
from tocsin.model.cluster import Health, Node, NodeRecovery, NodeStatus, Repair
from tocsin.model.health import Known, Mark, MarkKind, Mended, Remedy
from tocsin.model.times import epoch_ms

ADVICE = {
    Remedy.REBOOT: "Please Reboot the Faulty Node.",
    Remedy.GPU_RESET: "Please Reboot the Faulty Node.",
    Remedy.REPLACE: "Please Replace the Faulty Node.",
}
RESETTING = "The GPUs with the fault are reset as soon as they may be. Please wait."
LOOK = "Please Look at the Faulty Node."
REPAIRS = {Remedy.REBOOT: Repair.REBOOT, Remedy.REPLACE: Repair.REPLACE}
DONE_HERE = (Remedy.GPU_RESET, *REPAIRS)
MENDED_MAX = 16  # repairs remembered of one place: more within a week is a place that is left to a person


def heal(draft: Draft) -> None:
    """Give running nodes the health that their faults amount to, and say what is to be done with them."""
    sick = [node for node in draft.nodes.stirred() if node.faults or node.advice]
    if not sick:
        return
    budget = Budget(draft, of_sick(draft.health))
    shared = together({node.instance_id: node.faults for node in sick}, draft.catalogue, draft.seen.jobs)
    # Who waits longest comes first: their turn must not depend on the order of names.
    for node in sorted(sick, key=lambda one: min((fault.since_ms for fault in one.faults), default=0)):
        _heal(draft, node, budget, shared)


def _heal(draft: Draft, node: Node, budget: Budget, shared: Together) -> None:
    now_ms = epoch_ms(draft.now)
    faults = in_context(node.instance_id, lapse(node.faults, now_ms), shared, draft.catalogue)
    verdict = _weighed(draft, node, faults)
    out = verdict.worst if node.status is NodeStatus.RUNNING and node.health is not Health.UNHEALTHY else None
    if out is not None:  # before it is weighed what to do: this counts, too
        node = replace(node, history=noted(node.history, Mark(kind=MarkKind.OUT, fault=out.name, at_ms=now_ms)))
        verdict = _weighed(draft, node, faults)
    draft.wake_ms(verdict.wake_ms)
    if out is not None or faults != node.faults:
        draft.set(node, faults=faults)
    if node.status is NodeStatus.RUNNING:
        _settle(draft, draft.nodes[node.instance_id], verdict, budget)
        look_into(draft, draft.nodes[node.instance_id])


def _weighed(draft: Draft, node: Node, faults: Sequence[Known]) -> Verdict:
    now_ms = epoch_ms(draft.now)
    idle, lemon = node.instance_id in draft.seen.idle, score(node.history, draft.health, now_ms).why
    return weigh(faults, node.mended, draft.health, now_ms, resets=node.resets, idle=idle, lemon=lemon)


def _settle(draft: Draft, node: Node, verdict: Verdict, budget: Budget) -> None:
    worst = verdict.worst
    if worst is None and node.reset is not None:
        follow_reset(draft, node)  # its faults were called over meanwhile, but no job is to meet a GPU in its reset
        return
    if worst is None:
        draft.set(node, health=Health.HEALTHY, fault="", message="", advice="", due=None)
        return
    recovers = draft.cluster.node_recovery is not NodeRecovery.NONE
    resetting = node.reset is not None or (recovers and verdict.remedy is Remedy.GPU_RESET)
    turns = node.health is not Health.UNHEALTHY
    draft.set(
        node,
        health=Health.UNHEALTHY,
        fault=worst.judged.fault_type or worst.name,
        message=f"{worst.name}: {worst.text}",
        advice=_advice(verdict, resetting=resetting),
        due=REPAIRS.get(verdict.remedy) if recovers and not resetting else None,
    )
    if node.reset is not None:
        follow_reset(draft, draft.nodes[node.instance_id])
    elif recovers and node.repair is None:
        held = _looked_at(draft, node, turns=turns) or _delayed(draft, worst)
        _mend(draft, draft.nodes[node.instance_id], verdict, budget, held)


def _advice(verdict: Verdict, *, resetting: bool) -> str:
    assert verdict.worst is not None, "who is well needs none"
    if verdict.why and verdict.remedy is Remedy.QUARANTINE:
        return f"{LOOK} It is left as it is: {verdict.why}."
    return RESETTING if resetting else verdict.worst.judged.advice or ADVICE.get(verdict.wanted, LOOK)


def _looked_at(draft: Draft, node: Node, *, turns: bool) -> str:
    """Why a repair waits for rules' commands that look at the node first; "" when none do, or had their time.

    Nobody has heard yet of a node that turns unhealthy with this very plan.
    """
    limit_s = draft.health.commands_wait_max_s
    if draft.seen.looked_at is None or not limit_s:
        return ""
    since = draft.now if turns else draft.seen.looked_at.get(node.instance_id)
    if since is None or draft.expired(since, limit_s):
        return ""
    return f"the commands of rules look at it first, for {limit_s:g} s at most"


def _delayed(draft: Draft, fault: Known) -> str:
    """Why a repair waits for others who look at the node first; "" when they had their time."""
    delay_s = draft.health.repair_delay_s
    if not delay_s or draft.expired(datetime.fromtimestamp(fault.since_ms / 1000, UTC), delay_s):
        return ""
    return f"it may be looked at for {delay_s:g} s after its fault"


def _busy(draft: Draft, node: Node) -> str:
    """Why a repair waits for the jobs on its node; "" when none run, or it waited long enough."""
    if draft.seen.free is None or node.instance_id in draft.seen.free:
        return ""
    limit_s = draft.health.jobs_wait_max_s
    since = min(fault.since_ms for fault in node.faults) / 1000
    if limit_s and draft.expired(datetime.fromtimestamp(since, UTC), limit_s):
        return ""
    return "its jobs have not ended"


def _held(draft: Draft, node: Node, budget: Budget) -> str:
    """Why a repair waits for others to end; "" when there is room."""
    held = budget.held(node)
    if held is None:
        return ""
    draft.held[node.instance_id] = held.budget
    return held.why


def _mend(draft: Draft, node: Node, verdict: Verdict, budget: Budget, held: str) -> None:
    """`held`: why it has to wait already."""
    assert verdict.worst is not None, "only what is wrong is mended"
    if verdict.remedy not in DONE_HERE:
        if verdict.why:
            draft.wait(f"{node.instance_id} is left as it is: {verdict.why}")
        return
    held = held or _busy(draft, node) or _held(draft, node, budget)
    if held:
        draft.wait(f"{node.instance_id} waits for its {verdict.remedy}: {held}")
        return
    budget.begin(node)
    why = verdict.worst.name + (f", {verdict.why}" if verdict.why else "")
    done = Mended(fault=verdict.worst.name, remedy=verdict.remedy, at_ms=epoch_ms(draft.now))
    node = replace(node, why=why, mended=(*node.mended, done)[-MENDED_MAX:])
    if verdict.remedy is Remedy.GPU_RESET:
        begin(draft, node, gpus_to_reset(node.faults, epoch_ms(draft.now), idle=node.instance_id in draft.seen.idle))
    else:
        draft.set(node, repair=REPAIRS[verdict.remedy], repair_at=draft.now)
