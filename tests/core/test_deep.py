"""Deep health checks in the planner and before it: who passes, what happens to the others, one request at a time."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec, later
from tests.faults.table import CODES, TABLE
from tocsin.core.announce import announce
from tocsin.core.deep import (
    BASELINE_KEPT_MAX,
    BASELINE_MIN,
    FAULTS,
    FLOORS,
    PEERS_MAX,
    RING_MAX,
    Judged,
    failing,
    grown,
    judge,
    peers_of,
    ring_of,
    start,
)
from tocsin.core.faults import HealthPolicy, read_catalogue
from tocsin.core.operations import NAMED_MAX, OPERATIONS_KEPT_MAX, kept
from tocsin.core.plan import Answer, RunDeep
from tocsin.core.reports import checked
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.deep import CheckResult, DeepCheck, DeepKind, DeepState
from tocsin.model.errors import Conflict, Validation
from tocsin.model.health import Remedy, Severity
from tocsin.model.link import CheckEnded
from tocsin.model.machine import LinkSeen
from tocsin.model.operation import GroupCheck, Operation

STRESS, CONNECTIVITY = DeepKind.STRESS, DeepKind.CONNECTIVITY
BOTH = [STRESS.value, CONNECTIVITY.value]
POLICY = HealthPolicy()
CHECKING = NodeStatus.DEEP_HEALTH_CHECK


def result(outcome: str = "passed", value: float = 0.0, **more: Any) -> CheckResult:
    given = {"kind": STRESS, "test": "disk", "metric": "disk-mbs" if value else "", "value": value, **more}
    return CheckResult(outcome=outcome, **given)


def pair(peer: str, outcome: str = "passed") -> CheckResult:
    return CheckResult(kind=CONNECTIVITY, test=f"tcp to {peer}", outcome=outcome, peer=peer)


def check(*results: CheckResult) -> DeepCheck:
    return DeepCheck(kinds=tuple(BOTH), state=DeepState.RUNNING, ended=True, results=results)


# What results amount to.


def verdict(*results: CheckResult, **baselines: tuple[float, ...]) -> Any:
    named = {name.replace("_", "-"): values for name, values in baselines.items()}
    return judge({"a": check(*results)}, named, POLICY)["a"]


def test_what_is_skipped_fails_nobody() -> None:
    assert verdict(result("skipped"), pair("b", "skipped")).passed


def test_a_wrong_result_fails() -> None:
    found = verdict(result("failed", detail="other bytes"))
    assert (found.wrong, found.slow) == (("disk: other bytes",), ())


@pytest.mark.parametrize(
    ("value", "earlier", "passed"),
    [
        (10.0, (100.0,) * BASELINE_MIN, True),
        (9.9, (100.0,) * BASELINE_MIN, False),
        (9.9, (100.0,) * (BASELINE_MIN - 1), True),  # too few to say anything
        (9.9, (50.0, 50.0, 1e9), True),  # one that was far off does not move the median
    ],
)
def test_a_host_is_held_against_the_median_of_its_group(value: float, earlier: tuple[float, ...], passed: bool) -> None:
    found = verdict(result(value=value), disk_mbs=earlier)
    assert (found.passed, found.wrong) == (passed, ())


def test_a_gpu_is_held_against_nine_tenths_and_never_below_its_data_sheet() -> None:
    gpu = {"test": "matmul of GPU 0", "metric": "gpu-bf16-tflops", "model": "NVIDIA H100 80GB HBM3", "unit": "TFLOP/s"}
    assert verdict(result(value=650, **gpu)).passed
    [why] = verdict(result(value=599, **gpu)).slow
    assert "Expected minimum threshold :600,output: 599 TFLOP/s" in why
    assert not verdict(result(value=650, **gpu), gpu_bf16_tflops=(740.0,) * 3).passed


def test_every_floor_lies_between_two_fifths_and_the_whole_of_the_data_sheet() -> None:
    shares = [one.floor / one.peak for metrics in FLOORS.values() for one in metrics.values()]
    assert min(shares) >= 0.4
    assert max(shares) < 1.0


def test_the_node_fails_that_none_of_its_peers_reaches_and_a_pair_is_only_named() -> None:
    lost = {
        "a": check(pair("b"), pair("c", "failed")),
        "b": check(pair("a"), pair("c", "failed")),
        "c": check(pair("a", "failed"), pair("b", "failed")),
    }
    assert {key: one.passed for key, one in judge(lost, {}, POLICY).items()} == {"a": True, "b": True, "c": False}
    one_pair = {**lost, "b": check(pair("a"), pair("c")), "c": check(pair("a"), pair("b"))}
    judged = judge(one_pair, {}, POLICY)
    assert all(one.passed for one in judged.values())
    assert judged["a"].pairs == ("c",)


def test_a_node_that_is_checked_alone_fails_when_it_reaches_no_peer() -> None:
    assert not verdict(pair("b", "failed"), pair("c", "failed")).passed
    assert verdict(pair("b", "failed"), pair("c")).passed


def test_who_is_proven_to_sum_wrongly_fails_and_its_witness_does_not() -> None:
    told = CheckResult(
        kind=CONNECTIVITY, test="all-reduce", outcome="failed", detail="b: its sum is wrong", culprit="b"
    )
    judged = judge({"a": check(pair("b")), "b": check(pair("a")), "c": check(pair("a"), told)}, {}, POLICY)
    assert judged["b"].wrong == ("all-reduce: b: its sum is wrong, says c",)
    assert judged["a"].passed
    assert judged["c"].passed


def test_baselines_keep_the_last_results_that_passed() -> None:
    old = {"disk-mbs": tuple(float(one) for one in range(BASELINE_KEPT_MAX))}
    after = grown(old, [check(result(value=7.0), result("failed", 1.0))])["disk-mbs"]
    assert (len(after), after[0], after[-1]) == (BASELINE_KEPT_MAX, 1.0, 7.0)


# In the plan.


class Ward(SmallWorld):
    """A cluster whose agents take checks and end them when they are told to."""

    def __init__(self, count: int, checks: list[str], **more: Any) -> None:
        given = {"LifeCycleConfig": None, **({"OnStartDeepHealthChecks": checks} if checks else {})}
        spec = {key: value for key, value in group_spec("workers", count, **given).items() if value is not None}
        super().__init__(spec, **more)
        self.turns()

    def turns(self, count: int = 6) -> None:
        for _ in range(count):
            self.turn()

    def end(self, node: Node, *results: CheckResult) -> None:
        report = CheckEnded(n=1, work=node.deep_work, at_ms=0, results=results)
        self.nodes[node.instance_id] = checked(node, report)

    def checking(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.status is CHECKING]

    def ask(self, *ids: str) -> None:
        config: dict[str, Any] = {"InstanceGroupName": "workers", "DeepHealthChecks": [STRESS]}
        config |= {"InstanceIds": list(ids)} if ids else {}
        asked = {"ClusterName": "small", "DeepHealthCheckConfigurations": [config]}
        self.cluster, nodes = start(self.living, self.nodes, asked, self.now)
        self.nodes = dict(nodes)


def test_a_node_is_checked_before_it_runs_while_its_cluster_is_in_service() -> None:
    ward = Ward(1, [STRESS])
    [node] = ward.checking()
    assert ward.statuses == ["Creating", "InService"]
    assert [step.node for step in ward.made().steps] == [node]
    ward.end(node, result(value=5.0))
    ward.turns()
    [node] = ward.running("workers")
    assert node.deep is not None
    assert node.deep.state is DeepState.PASSED
    assert ward.living.groups[0].baselines == {"disk-mbs": (5.0,)}


def test_checks_of_connectivity_reach_for_each_other_and_are_judged_together() -> None:
    ward = Ward(2, BOTH)
    one, other = ward.checking()
    peers = {step.node: step.peers for step in ward.made().steps if isinstance(step, RunDeep)}
    assert peers == {one: (other,), other: (one,)}
    assert {step.ring for step in ward.made().steps if isinstance(step, RunDeep)} == {(one, other)}, "one order for all"
    ward.end(one, pair(other.instance_id))
    ward.turns()
    assert ward.running("workers") == []
    ward.end(other, pair(one.instance_id))
    ward.turns()
    assert len(ward.running("workers")) == 2


def test_a_check_that_was_ordered_on_this_link_is_not_ordered_again_and_on_the_next_it_is() -> None:
    ward = Ward(1, [STRESS])
    [node] = ward.checking()
    link = ward.links[node.instance_id]
    ward.links[node.instance_id] = replace(link, ordered=frozenset({node.deep_work}))
    assert ward.made().steps == ()
    ward.links[node.instance_id] = LinkSeen(connected=True, since=ward.now, heard=ward.now)
    assert [type(step) for step in ward.made().steps] == [RunDeep]


def test_nodes_that_run_answer_one_that_is_new() -> None:
    ward = Ward(1, BOTH)
    [first] = ward.checking()
    ward.end(first, result())
    ward.turns()
    ward.request_update(InstanceGroups=[{**ward.living.groups[0].spec, "InstanceCount": 2}])
    ward.turns()
    [new] = ward.checking()
    order, answer = ward.made().steps
    assert isinstance(order, RunDeep)
    assert isinstance(answer, Answer)
    assert answer.node.instance_id == first.instance_id
    assert [peer.instance_id for peer in order.peers] == [first.instance_id]
    assert order.ring == (new,), "who only answers has jobs, and reduces nothing"
    assert order.node is new


def test_a_peer_that_is_checked_for_something_else_answers_too() -> None:
    """Its agent listens only when it is told to; who reached nobody for that would be replaced."""
    ward = Ward(2, [])
    one, other = ward.running("workers")
    configs = [
        {"InstanceGroupName": "workers", "InstanceIds": [one.instance_id], "DeepHealthChecks": BOTH},
        {"InstanceGroupName": "workers", "InstanceIds": [other.instance_id], "DeepHealthChecks": [STRESS]},
    ]
    ward.cluster, nodes = start(ward.living, ward.nodes, {"DeepHealthCheckConfigurations": configs}, ward.now)
    ward.nodes = dict(nodes)
    ward.turn()
    steps = ward.made().steps
    peers = {step.node.instance_id: len(step.peers) for step in steps if isinstance(step, RunDeep)}
    assert peers == {one.instance_id: 1, other.instance_id: 0}
    assert [step.node.instance_id for step in steps if isinstance(step, Answer)] == [other.instance_id]


@given(st.integers(1, 400))
def test_in_a_large_group_each_reaches_for_some_and_as_many_reach_for_it(size: int) -> None:
    nodes = range(size)
    reached = Counter(peer for place in nodes for peer in peers_of(place, nodes))
    assert set(reached.values()) <= {min(size - 1, PEERS_MAX)}
    assert len(reached) == (size if size > 1 else 0)
    assert all(place not in peers_of(place, nodes) for place in nodes)
    assert all(len(set(peers_of(place, nodes))) == min(size - 1, PEERS_MAX) for place in nodes)


@given(st.integers(1, 1000))
def test_everybody_sums_up_in_one_ring_of_a_limited_size(size: int) -> None:
    nodes = range(size)
    rings = {ring_of(place, nodes) for place in nodes}
    assert all(place in ring_of(place, nodes) for place in nodes)
    assert sorted(node for ring in rings for node in ring) == list(nodes)
    assert max(map(len, rings)) <= RING_MAX
    assert max(map(len, rings)) - min(map(len, rings)) <= 1


def test_a_wrong_result_replaces_the_node_and_its_replacement_is_checked() -> None:
    ward = Ward(2, [STRESS])
    sick, well = ward.checking()
    ward.end(sick, result("failed", detail="other bytes"))
    ward.end(well, result())
    ward.turns()
    [new] = ward.checking()
    assert new.replaces == sick.instance_id
    assert [node.instance_id for node in ward.running("workers")] == [well.instance_id]


def test_a_site_says_in_its_table_what_a_failed_check_leads_to() -> None:
    changes = b'[change.deep-check-slow]\nseverity = "warning"\nrepair = "none"\n'
    catalogue = read_catalogue(TABLE, CODES, changes)
    [slow] = failing((), Judged(slow=("disk: too slow",)), 0, catalogue)
    [wrong] = failing((), Judged(wrong=("disk: other bytes",)), 0, catalogue)
    assert (slow.judged.severity, slow.judged.remedy) == (Severity.WARNING, Remedy.NONE)
    assert (wrong.judged.severity, wrong.judged.remedy) == (Severity.ERROR, Remedy.REPLACE)
    assert {fault.name for fault in catalogue.faults.values() if fault.name in FAULTS} == set(FAULTS)


def test_what_is_only_too_slow_reboots_and_is_checked_again_and_is_healthy_only_then() -> None:
    ward = Ward(1, [STRESS])
    [node] = ward.checking()
    slow = {"metric": "gpu-hbm-gbs", "model": "NVIDIA H200", "test": "memory of GPU 0"}
    ward.end(node, result(value=1000.0, **slow))
    ward.turns()
    assert ward.reboots == [node.instance_id]
    [again] = ward.checking()
    assert again.health is Health.UNHEALTHY
    assert again.deep_work != node.deep_work
    ward.end(again, result(value=4000.0, **slow))
    ward.turns()
    [node] = ward.running("workers")
    assert (node.health, node.faults) == (Health.HEALTHY, ())


def test_with_recovery_none_a_failure_is_only_told() -> None:
    ward = Ward(1, [STRESS], NodeRecovery="None")
    [node] = ward.checking()
    ward.end(node, result("failed"))
    ward.turns()
    [node] = ward.running("workers")
    assert (node.health, node.fault, node.repair) == (Health.UNHEALTHY, "DeepHealthCheckFailed", None)


def test_a_check_that_does_not_end_in_time_has_failed() -> None:
    ward = Ward(1, [STRESS], NodeRecovery="None")
    ward.skip_to(ward.now + later(POLICY.deep_time_limit_s + 1))
    [node] = ward.running("workers")
    assert "did not end within 7200 seconds" in node.message


def test_a_node_that_is_lost_in_its_check_is_checked_anew_when_it_is_back() -> None:
    ward = Ward(1, [STRESS], NodeRecovery="None")
    [node] = ward.checking()
    ward.kill(node.instance_id)
    ward.turns()
    assert ward.nodes[node.instance_id].status is NodeStatus.FAILURE
    ward._come_up(ward.nodes[node.instance_id])
    ward.turns()
    [again] = ward.checking()
    assert again.deep_work != node.deep_work


def test_the_results_of_an_earlier_check_change_nothing() -> None:
    ward = Ward(1, [STRESS])
    [node] = ward.checking()
    report = CheckEnded(n=1, work=f"deep/{node.instance_id}/7", at_ms=0, results=(result(),))
    assert checked(node, report) is node


# On request.


def test_a_second_request_waits_until_the_first_is_through() -> None:
    ward = Ward(1, [])
    ward.ask()
    with pytest.raises(Conflict, match="already in progress"):
        ward.ask()
    ward.turns()
    [node] = ward.checking()
    ward.end(node, result())
    ward.turns()
    [operation] = ward.living.operations
    assert (operation.type, operation.checked) == ("DeepHealthCheck", True)
    ward.ask(node.instance_id)


def test_a_node_that_is_lost_for_good_holds_no_request_up() -> None:
    ward = Ward(1, [], NodeRecovery="None")
    ward.ask()
    ward.turns()
    [node] = ward.checking()
    ward.kill(node.instance_id)
    ward.turns()
    assert ward.living.operations[0].checked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"InstanceGroupName": "others"}, "has no instance group others"),
        ({"InstanceIds": ["i-0123456789abcdef0"]}, "is not in instance group workers"),
    ],
)
def test_a_request_for_what_is_not_there_is_refused(changes: dict[str, Any], words: str) -> None:
    ward = Ward(1, [])
    config = {"InstanceGroupName": "workers", "DeepHealthChecks": [STRESS], **changes}
    with pytest.raises(Validation, match=words):
        start(ward.living, ward.nodes, {"DeepHealthCheckConfigurations": [config]}, ward.now)


def test_what_is_over_names_so_many_instances_at_most_and_what_is_under_way_stays() -> None:
    """Operations are in the cluster's record, which each change of it writes."""
    ward = Ward(1, [])
    everybody = tuple(f"i-{n:017x}" for n in range(NAMED_MAX // 2 + 1))
    checks = (GroupCheck(group="workers", instances=everybody, kinds=(STRESS,)),)
    early, later_, last = (
        Operation(id=key, created_at=ward.now, scalings=(), checks=checks, checked=key != "last")
        for key in ("early", "later", "last")
    )
    assert kept((early, later_, last)) == (last,)
    assert kept((last, early, later_)) == (last, later_)
    assert kept((last, early, later_, replace(early, id="new", checks=()))) == (
        last,
        later_,
        replace(early, id="new", checks=()),
    )


def test_a_check_takes_nothing_that_is_under_way_out_of_the_list() -> None:
    ward = Ward(1, [], NodeProvisioningMode="Continuous")
    [scaling] = ward.living.operations
    under_way = replace(scaling, scalings=tuple(replace(one, status="InProgress") for one in scaling.scalings))
    done = tuple(replace(scaling, id=f"{n}") for n in range(OPERATIONS_KEPT_MAX))
    ward.cluster = replace(ward.living, operations=(under_way, *done))
    ward.ask()
    assert ward.living.operations[0] == under_way
    assert len(ward.living.operations) == OPERATIONS_KEPT_MAX + 1


def test_configurations_that_overlap_are_merged() -> None:
    ward = Ward(1, [])
    configs = [{"InstanceGroupName": "workers", "DeepHealthChecks": [kind]} for kind in BOTH]
    cluster, nodes = start(ward.living, ward.nodes, {"DeepHealthCheckConfigurations": configs}, ward.now)
    [node] = nodes.values()
    assert node.deep is not None
    assert node.deep.kinds == tuple(BOTH)
    assert len(cluster.operations[0].checks) == 1


# What is told.


def test_a_replacement_is_told_to_be_healthy_once_it_has_passed() -> None:
    ward = Ward(1, [STRESS])
    [node] = ward.checking()
    came = replace(node, replaces="i-0", status=NodeStatus.PENDING, joined=False)
    checking = replace(came, status=CHECKING, joined=True)
    passed = replace(checking, status=NodeStatus.RUNNING, deep=replace(check(), state=DeepState.PASSED))

    def told(old: Node, new: Node) -> int:
        events = announce(ward.living, ward.living, {"i": old}, {"i": new}, ward.now)
        return len(events)

    assert (told(came, checking), told(checking, passed)) == (0, 1)
