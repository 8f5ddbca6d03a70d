"""Deep health checks in the plan: when a node's check begins, whom it reaches for, what it comes to.

A node that fails has a fault like any other from then on: heal.py and mend.py do the rest. How results are judged is
core/deep's.
"""

from typing import Any

from msgspec.structs import replace

from tocsin.core.deep import FAULTS, Judged, failing, finished, grown, judge, peers_of, ring_of
from tocsin.core.plan.draft import Draft
from tocsin.core.plan.steps import Answer, RunDeep
from tocsin.model.cluster import Health, InstanceGroup, Node, NodeStatus
from tocsin.model.deep import DeepCheck, DeepState
from tocsin.model.times import epoch_ms

LATE = "the check did not end within {seconds:g} seconds"
BUSY = "its jobs did not end within {seconds:g} seconds"
DETAIL_CHARS_MAX = 1000


def up(draft: Draft, node: Node) -> dict[str, Any]:
    """What becomes of a node that is up: it runs, or is checked first."""
    if not node.deep_due or node.deep is None:
        return {"status": NodeStatus.RUNNING}
    deep = replace(node.deep, state=DeepState.RUNNING, since=draft.now)
    return {"status": NodeStatus.DEEP_HEALTH_CHECK, "deep": deep}


def be_well(draft: Draft, node: Node) -> None:
    """Up again: well, unless that is for a check to say."""
    if node.deep_due:
        draft.set(node, rebooted_at=None, due=None, **up(draft, node))
        return
    draft.set(
        node,
        status=NodeStatus.RUNNING,
        health=Health.HEALTHY,
        fault="",
        message="",
        advice="",
        due=None,
        why="",
        repair_at=None,
        rebooted_at=None,
    )


def due(draft: Draft, node: Node) -> None:
    """Begin the check of a node that runs, once its jobs have ended."""
    assert node.deep is not None, "only a check that is due begins"
    free, limit_s = draft.seen.free, draft.health.deep_jobs_wait_s
    if node.deep.on_start or free is None or node.instance_id in free or node.deep.since is None:
        draft.set(node, **up(draft, node))
    elif draft.expired(node.deep.since, limit_s):
        draft.set(node, deep=replace(node.deep, state=DeepState.SKIPPED, detail=BUSY.format(seconds=limit_s)))
    else:
        draft.wait(f"{node.instance_id} waits for its deep health check: its jobs have not ended")


def interrupted(deep: DeepCheck | None) -> DeepCheck | None:
    """The check of a node that is lost: it begins anew when the node is back."""
    return _again(deep) if deep is not None and deep.state is DeepState.RUNNING else deep


def afresh(deep: DeepCheck | None) -> DeepCheck | None:
    """The check of a node that is rebooted: what failed is checked again."""
    return _again(deep) if deep is not None and deep.state in (DeepState.FAILED, DeepState.RUNNING) else deep


def _again(deep: DeepCheck) -> DeepCheck:
    return replace(deep, n=deep.n + 1, state=DeepState.DUE, results=(), ended=False, detail="")


def judge_checks(draft: Draft) -> None:
    """Judge the nodes whose checks have ended, those of a group that reach for each other together."""
    checking = _checking(draft)
    for group in draft.cluster.groups:
        members = [node for node in checking if node.group == group.name]
        ended = [node for node in members if _ended(draft, node)]
        open_ = len(ended) < len(members)
        ready = [node for node in ended if not (open_ and node.deep and node.deep.connects)]
        if ready:
            _judge(draft, group, ready)
    operations = finished(draft.cluster.operations, draft.nodes.stirred()) if draft.cluster.operations else ()
    if operations != draft.cluster.operations:
        draft.cluster = replace(draft.cluster, operations=operations)


def _checking(draft: Draft) -> list[Node]:
    return [node for node in draft.nodes.stirred() if node.status is NodeStatus.DEEP_HEALTH_CHECK]


def _ended(draft: Draft, node: Node) -> bool:
    assert node.deep is not None, "a node in its check has one"
    assert node.deep.since is not None, "it began at some time"
    return node.deep.ended or draft.expired(node.deep.since, draft.health.deep_time_limit_s)


def _judge(draft: Draft, group: InstanceGroup, ready: list[Node]) -> None:
    checks = {node.instance_id: node.deep for node in ready if node.deep is not None}
    judged = judge({key: one for key, one in checks.items() if one.ended}, group.baselines, draft.health)
    late = Judged(wrong=(LATE.format(seconds=draft.health.deep_time_limit_s),))
    passed = [check for key, check in checks.items() if key in judged and judged[key].passed]
    after = replace(group, baselines=grown(group.baselines, passed))
    groups = tuple(after if one.name == group.name else one for one in draft.cluster.groups)
    draft.cluster = replace(draft.cluster, groups=groups)
    for node in ready:
        _settle(draft, node, judged.get(node.instance_id, late))


def _settle(draft: Draft, node: Node, judged: Judged) -> None:
    assert node.deep is not None, "only a check is judged"
    lost = f"it does not reach {', '.join(judged.pairs)}" if judged.pairs else ""
    detail = "; ".join(filter(None, (*judged.wrong, *judged.slow, lost)))[:DETAIL_CHARS_MAX]
    state = DeepState.PASSED if judged.passed else DeepState.FAILED
    node = replace(
        node,
        deep=replace(node.deep, state=state, detail=detail),
        faults=tuple(one for one in node.faults if one.fault not in FAULTS),
    )
    be_well(draft, node)
    if not judged.passed:
        node = draft.nodes[node.instance_id]
        draft.set(node, faults=failing(node.faults, judged, epoch_ms(draft.now), draft.catalogue))


def list_checks(draft: Draft) -> None:
    """Order the checks that are to begin, and have their peers answer."""
    groups = {node.group for node in _checking(draft) if node.deep and not node.deep.ended}
    for group in draft.cluster.groups:
        if group.name in groups:
            _list_checks(draft, draft.of(group))


def _list_checks(draft: Draft, members: list[Node]) -> None:
    linked = [node for node in members if node.status in _ANSWERING and _linked(draft, node)]
    coming = sum(node.status is NodeStatus.PENDING for node in members)
    reaching = [node for node in linked if _reaches(node)]
    for node in linked:
        if node.status is not NodeStatus.DEEP_HEALTH_CHECK or node.deep is None or node.deep.ended:
            continue
        if not node.deep.connects:
            _order(draft, RunDeep(node, ()))
        elif coming:
            draft.wait(f"{node.instance_id} is checked once {coming} instances of {node.group} are there")
    if not coming:
        _list_reaching(draft, linked, reaching)


def _reaches(node: Node) -> bool:
    return node.status is NodeStatus.DEEP_HEALTH_CHECK and node.deep is not None and node.deep.connects


def _list_reaching(draft: Draft, linked: list[Node], reaching: list[Node]) -> None:
    """Those that reach for others. Of the others all listen but those that are not checked for it: they are told to."""
    places = {node.instance_id: place for place, node in enumerate(reaching)}
    silent: dict[str, Node] = {}
    for place, node in enumerate(linked):
        if node.instance_id in places and node.deep and not node.deep.ended:
            peers = peers_of(place, linked)
            silent |= {peer.instance_id: peer for peer in peers if peer.instance_id not in places}
            _order(draft, RunDeep(node, peers, ring_of(places[node.instance_id], reaching)))
    if silent:
        begun = max(epoch_ms(node.deep.since) for node in reaching if node.deep and node.deep.since)
        for node in silent.values():
            _have_answered(draft, node, f"answer/{node.instance_id}/{begun}")


def _order(draft: Draft, step: RunDeep) -> None:
    if step.node.deep_work not in draft.seen.links[step.node.instance_id].ordered:
        draft.step(step)


def _have_answered(draft: Draft, node: Node, work: str) -> None:
    if work not in draft.seen.links[node.instance_id].ordered:
        draft.step(Answer(node, work))


_ANSWERING = (NodeStatus.RUNNING, NodeStatus.DEEP_HEALTH_CHECK)


def _linked(draft: Draft, node: Node) -> bool:
    link = draft.seen.links.get(node.instance_id)
    return link is not None and link.connected
