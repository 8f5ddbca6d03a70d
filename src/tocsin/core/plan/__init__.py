"""Wanted + seen + policy + now -> what to record, what to do, and why it waits. Called by the fleet, again and again.

Level-triggered: a plan follows from what is, never from what just happened, so planning twice does no harm and a
crash between commit and step is mended by the next pass. Statuses move only along core/lifecycle.
"""

from collections.abc import Mapping
from datetime import datetime

from tocsin.core.faults import Catalogue, HealthPolicy, read_catalogue
from tocsin.core.plan.deep import judge_checks, list_checks
from tocsin.core.plan.draft import Draft, controller_group, named_controller_group
from tocsin.core.plan.follow import follow
from tocsin.core.plan.heal import heal
from tocsin.core.plan.outcome import refused, taken
from tocsin.core.plan.pursue import pursue
from tocsin.core.plan.resets import list_resets
from tocsin.core.plan.steps import (
    Answer,
    Launch,
    Observed,
    Plan,
    Reboot,
    ResetGpus,
    RunDeep,
    RunLifecycle,
    Step,
    Terminate,
)
from tocsin.core.plan.texts import FAULT_ENDED, FAULT_SILENT, FAULT_UPDATE, NO_CAPACITY, SCRIPT_FAILED, SCRIPT_TIMED_OUT
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Cluster, Node

__all__ = [
    "FAULT_ENDED",
    "FAULT_SILENT",
    "FAULT_UPDATE",
    "NO_CAPACITY",
    "SCRIPT_FAILED",
    "SCRIPT_TIMED_OUT",
    "Answer",
    "Launch",
    "Observed",
    "Plan",
    "Reboot",
    "ResetGpus",
    "RunDeep",
    "RunLifecycle",
    "Step",
    "Terminate",
    "controller_group",
    "named_controller_group",
    "plan",
    "refused",
    "taken",
]


_HEALTH = HealthPolicy()
_NO_FAULTS = read_catalogue(b"")


def plan(
    cluster: Cluster,
    nodes: Mapping[str, Node],
    seen: Observed,
    policy: FleetPolicy,
    now: datetime,
    health: HealthPolicy = _HEALTH,
    catalogue: Catalogue = _NO_FAULTS,
) -> Plan:
    """One pass: follow each node and judge its health, pursue the operation under way, list the steps.

    `catalogue` says what comes of a deep health check that fails.
    """
    draft = Draft(cluster, nodes, seen, policy, health, catalogue, now)
    for node in draft.moved():
        follow(draft, node)
    judge_checks(draft)
    heal(draft)
    pursue(draft)
    draft.list_steps()
    list_checks(draft)
    list_resets(draft)
    return draft.result()
