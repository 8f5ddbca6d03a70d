"""A node's check that is through -> lines of the cluster's log, in HyperPod's words (facts/hyperpod.md §5)."""

import json

from tocsin.model.cluster import Node
from tocsin.model.deep import CheckResult, DeepState
from tocsin.model.health import Remedy

FAULTY = "Encountered FaultyInstance. {action} the Instance. Region: {region}, InstanceType: {type}. ERROR:{why}"
ACTIONS = {Remedy.REBOOT: "Reboot", Remedy.REPLACE: "Replace"}


def verdict_lines(before: Node, after: Node) -> list[str]:
    """Nothing for a node whose check did not come to its end."""
    was, now = before.deep, after.deep
    if was is None or now is None or was.state is now.state or now.state not in (DeepState.PASSED, DeepState.FAILED):
        return []
    told = [_result(one) for one in now.results]
    if now.state is DeepState.FAILED:
        return [*told, _faulty(after)]
    return [*told, f"Deep health check passed for instance {after.instance_id}: {', '.join(now.kinds)}"]


def _faulty(node: Node) -> str:
    remedy = next((one.judged.remedy for one in node.faults if one.source == "deep"), Remedy.REPLACE)
    why = node.deep.detail if node.deep else ""
    return FAULTY.format(
        action=ACTIONS.get(remedy, "Replace"), region=node.scope.region, type=node.instance_type[3:], why=why
    )


def _result(one: CheckResult) -> str:
    told = {"level": "error" if one.outcome == "failed" else "info", "check": one.kind, "test": one.test}
    told["result"] = one.outcome
    rest = {"value": round(one.value, 3), "unit": one.unit, "metric": one.metric} if one.metric else {}
    where = {name: text for name, text in (("peer", one.peer), ("gpu", one.model), ("detail", one.detail)) if text}
    return json.dumps({**told, **rest, **where}, ensure_ascii=False)
