"""Errors of applications on several nodes at once: the job's, and no node's. Cases, and the plan on them."""

import pytest
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec, later
from tests.faults.table import BY_PROFILE, CATALOGUE, NOW_MS, finding, known_of
from tocsin.core.faults import in_context, together
from tocsin.core.plan import Plan, plan
from tocsin.core.plan.steps import Observed
from tocsin.model.cluster import Health, Node
from tocsin.model.health import Known, Remedy, Severity
from tocsin.model.scheduling import Job, Ran
from tocsin.model.times import epoch_ms

HYPERPOD = BY_PROFILE["hyperpod"]  # here an Xid 13 is a reboot


def struck(code: int = 13, at_s: float = 0.0, base_ms: int = NOW_MS) -> tuple[Known, ...]:
    at_ms = base_ms + int(at_s * 1000)
    return known_of(finding("xid", code, subject="0000:3b:00", at_ms=at_ms), catalogue=HYPERPOD)


@pytest.mark.parametrize(
    ("nodes", "shared"),
    [
        ({"a": struck()}, {}),
        ({"a": struck(), "b": struck(at_s=60)}, {("a", 13): 2, ("b", 13): 2}),
        ({"a": struck(), "b": struck(at_s=61)}, {}),
        ({"a": struck(), "b": struck(31)}, {}),  # two errors, each alone
        ({"a": struck(79), "b": struck(79)}, {}),  # no application's
        (
            {"a": struck(), "b": struck(at_s=50), "c": struck(at_s=100), "d": struck(at_s=300)},
            {("a", 13): 3, ("b", 13): 3, ("c", 13): 3},
        ),
        ({"a": struck(31), "b": struck(31), "c": struck(45), "d": struck(43, at_s=900)}, {("a", 31): 2, ("b", 31): 2}),
    ],
)
def test_errors_that_several_nodes_have_at_once_belong_together(
    nodes: dict[str, tuple[Known, ...]], shared: dict[tuple[str, int], int]
) -> None:
    # Under the profile `hyperpod` an Xid 31 is only a line in the log: it is no fault that a node has.
    told = {key: (count, "") for key, count in shared.items() if nodes[key[0]]}
    assert together(nodes, HYPERPOD) == told


def ran(*jobs: Job, at_s: float = 1.0) -> Ran:
    return Ran(at_ms=NOW_MS + int(at_s * 1000), jobs=jobs)


def job(name: str, since_s: float = -3600, until_s: float | None = None) -> Job:
    until_ms = 0 if until_s is None else NOW_MS + int(until_s * 1000)
    return Job(id=name, nodes=frozenset({"a", "b", "c"}), since_ms=NOW_MS + int(since_s * 1000), until_ms=until_ms)


@pytest.mark.parametrize(
    ("jobs", "shared"),
    [
        # One job on both: its error. Two jobs: each node's own, though it was the same moment.
        ({"a": ran(job("1")), "b": ran(job("1"))}, {"a": (2, "1"), "b": (2, "1")}),
        ({"a": ran(job("1")), "b": ran(job("2"))}, {}),
        ({"a": ran(), "b": ran()}, {}),
        # Nodes that share jobs: the one that the most nodes have in common.
        (
            {"a": ran(job("1"), job("2")), "b": ran(job("2"), job("3")), "c": ran(job("3"))},
            {"a": (2, "2"), "b": (2, "3"), "c": (2, "3")},
        ),
        # A job that ended, or began, at about that time counts; one that was over, or came after, does not.
        ({"a": ran(job("1", until_s=0)), "b": ran(job("1", until_s=0))}, {"a": (2, "1"), "b": (2, "1")}),
        ({"a": ran(job("1", until_s=-11)), "b": ran(job("1"))}, {}),
        ({"a": ran(job("1", since_s=11)), "b": ran(job("1"))}, {}),
        # Nor does one that had ended where the next had begun: it begins once the one before is cleaned up.
        (
            {name: ran(job("1", until_s=-3), job(own, since_s=-2)) for name, own in (("a", "2"), ("b", "3"))},
            {},
        ),
        (
            {name: ran(job("1", until_s=-3), job("2", since_s=-2)) for name in "ab"},
            {"a": (2, "2"), "b": (2, "2")},
        ),
        # Nodes that the workload manager does not know count as one job. Nothing is known of who was asked before.
        ({"a": Ran(at_ms=NOW_MS + 1), "b": Ran(at_ms=NOW_MS + 1)}, {"a": (2, ""), "b": (2, "")}),
        ({"a": Ran(at_ms=NOW_MS + 1), "b": ran(job("1"))}, {}),
        ({"a": ran(job("1"), at_s=-1), "b": ran(job("1"))}, {}),
        ({"b": ran(job("1"))}, {}),
        (None, {"a": (3, ""), "b": (3, ""), "c": (3, "")}),
    ],
)
def test_errors_at_once_belong_together_only_on_nodes_of_one_job(
    jobs: dict[str, Ran] | None, shared: dict[str, tuple[int, str]]
) -> None:
    nodes = dict.fromkeys("abc", struck()) if jobs is None else dict.fromkeys(jobs | {"a": None}, struck())
    assert together(nodes, HYPERPOD, jobs) == {(name, 13): told for name, told in shared.items()}


def test_what_belongs_to_the_job_is_the_applications_and_says_so() -> None:
    [own] = in_context("a", struck(), {("a", 13): (3, "")}, HYPERPOD)
    assert (own.judged.severity, own.judged.remedy) == (Severity.WARNING, Remedy.APP)
    assert own.judged.advice == "3 nodes had it at once: look at the job, not at the hardware."
    assert in_context("b", struck(), {("a", 13): (3, "")}, HYPERPOD) == struck()


def test_a_gpu_that_has_it_again_and_again_alone_is_suspected_and_nothing_is_done() -> None:
    again = known_of(*[finding("xid", 45, subject="0000:3b:00")] * 3)
    [one] = in_context("a", again, {}, CATALOGUE)
    assert one.judged.advice == (
        "This GPU had it 3 times, and none else did: check it in depth (StartClusterHealthCheck)."
    )
    assert (one.judged.severity, one.judged.remedy) == (Severity.WARNING, Remedy.APP)
    [twice] = in_context("a", known_of(*[finding("xid", 45, subject="0000:3b:00")] * 2), {}, CATALOGUE)
    assert "depth" not in twice.judged.advice
    both = known_of(*[finding("xid", 45, subject=gpu) for gpu in ("0000:3b:00", "0000:5d:00")] * 3)
    assert in_context("a", both, {}, CATALOGUE) == both  # several GPUs are no GPU's fault
    [shared] = in_context("a", again, {("a", 45): (2, "7")}, CATALOGUE)
    assert shared.judged.advice == "2 nodes of job 7 had it at once: look at the job, not at the hardware."


def planned(world: SmallWorld, struck_nodes: list[Node], seconds: float, jobs: dict[str, Ran] | None = None) -> Plan:
    """The plan so long after these nodes had an Xid 13 at the same moment."""
    at_ms = epoch_ms(world.now)
    sick = {one.instance_id: replace(one, faults=struck(base_ms=at_ms)) for one in struck_nodes}
    seen = Observed(machines=world.machines, links=world.links, since=world.since, jobs=jobs)
    now = world.now + later(seconds)
    return plan(world.living, {**world.nodes, **sick}, seen, world.policy, now, catalogue=HYPERPOD)


@pytest.fixture
def world() -> SmallWorld:
    one = SmallWorld(group_spec("workers", 3))
    one.settle()
    return one


def test_one_node_alone_is_rebooted_once_the_others_had_time_to_tell(world: SmallWorld) -> None:
    one, *_ = world.nodes.values()
    early = planned(world, [one], 4.0)
    assert early.nodes[one.instance_id].health is Health.HEALTHY
    assert early.wake_at == world.now + later(5)
    late = planned(world, [one], 5.0).nodes[one.instance_id]
    assert late.health is Health.UNHEALTHY
    assert late.rebooting


def test_of_several_at_once_none_is_touched(world: SmallWorld) -> None:
    one, two, _ = world.nodes.values()
    for seconds in (0.0, 5.0, 10.0):
        made = planned(world, [one, two], seconds)
        for node in (one, two):
            after = made.nodes[node.instance_id]
            assert (after.health, after.repair, after.rebooting) == (Health.HEALTHY, None, False)
            assert [fault.judged.remedy for fault in after.faults] == [Remedy.APP]


def test_of_several_at_once_each_is_its_own_nodes_when_they_are_of_different_jobs(world: SmallWorld) -> None:
    one, two, three = world.nodes.values()
    long_ago, now_ms = epoch_ms(world.now) - 3_600_000, epoch_ms(world.now) + 1000
    whose = {one.instance_id: "1", two.instance_id: "1", three.instance_id: "2"}
    jobs = {
        key: Ran(at_ms=now_ms, jobs=(Job(id=name, nodes=frozenset({key}), since_ms=long_ago),))
        for key, name in whose.items()
    }
    made = planned(world, [one, two, three], 5.0, jobs)
    assert [made.nodes[node.instance_id].health for node in (one, two, three)] == ["Healthy", "Healthy", "Unhealthy"]
    assert made.nodes[one.instance_id].faults[0].judged.advice.startswith("2 nodes of job 1 had it at once")
    unasked = planned(world, [one, two], 1.0, {})
    assert [unasked.nodes[node.instance_id].faults[0].judged.remedy for node in (one, two)] == [Remedy.REBOOT] * 2
    assert {unasked.nodes[node.instance_id].health for node in (one, two)} == {Health.HEALTHY}, "it is waited for"
