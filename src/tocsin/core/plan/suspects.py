"""Suspects: nodes of which one GPU had an application's error again and again. They are checked when no job runs.

heal.py asks of each node that is well otherwise; the check is plan/deep's, as any.
"""

from tocsin.core.faults.verdict import counts
from tocsin.core.plan.draft import Draft
from tocsin.model.cluster import Health, Node, NodeRecovery, NodeStatus
from tocsin.model.deep import DeepCheck, DeepKind
from tocsin.model.health import Known, Remedy
from tocsin.model.times import epoch_ms


def look_into(draft: Draft, node: Node) -> None:
    """Have a suspect's check due. Where nobody knows of jobs, and where nodes are only reported on, none is."""
    if node.instance_id not in draft.seen.idle or draft.cluster.node_recovery is NodeRecovery.NONE or not _well(node):
        return
    suspected = [one for one in node.faults if _speaks(draft, node, one)]
    if suspected:
        n = node.deep.n + 1 if node.deep else 1
        check = DeepCheck(kinds=(DeepKind.STRESS,), n=n, suspect=suspected[0].name, since=draft.now)
        draft.set(node, deep=check)


def _well(node: Node) -> bool:
    idle = node.repair is None and node.reset is None and not node.deep_due
    return idle and node.status is NodeStatus.RUNNING and node.health is Health.HEALTHY


def _speaks(draft: Draft, node: Node, one: Known) -> bool:
    """Whether it is suspected of something that no check has looked into since."""
    checked_ms = epoch_ms(node.deep.since) if node.deep and node.deep.since else 0
    asked = one.judged.remedy is Remedy.CHECK and not one.judged.observe
    return asked and counts(one, epoch_ms(draft.now)) and one.last_ms > checked_ms
