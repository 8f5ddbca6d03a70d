"""Rules of history: what the same GPU had before decides what is done about a code. A golden case per rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.test_heal import SickWorld
from tests.core.world import later
from tests.faults.table import BY_PROFILE, CATALOGUE, CODES, NOW_MS, PROFILES, TABLE, finding, kernel
from tocsin.core.faults import Catalogue, Profile, assess, diagnose, in_context, judge, mark_of, noted, read_catalogue
from tocsin.core.faults.history import HISTORY_MAX, HISTORY_S, INCIDENT_S, OF_ONE_MAX
from tocsin.core.plan import plan
from tocsin.core.plan.steps import Observed
from tocsin.core.reports import found
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.deep import DeepState
from tocsin.model.health import Finding, Judgement, Known, Mark, MarkKind, Remedy, Severity
from tocsin.model.times import epoch_ms

GPU, OTHER = "0000:3b:00", "0000:5d:00"
HOUR_S, DAY_S = 3600, 86_400
SHADER = "NVRM: Xid (PCI:{gpu}): 13, pid=7, name=python3, Graphics SM Warp Exception on (GPC {gpc}, TPC 1, SM 0): x"
LINK = "NVRM: Xid (PCI:{gpu}): 74, pid='<unknown>', NVLink: fatal error detected on link {link}({words})"
HARD, SOFT, SOFT_IN_THIRD, SYMPATHETIC = "0x10", "0x8000000", "0x0, 0x0, 0x10000", "0x2"


def xid(code: int, gpu: str = GPU, at_s: float = 0.0) -> Finding:
    return finding("xid", code, subject=gpu, at_ms=NOW_MS + int(at_s * 1000))


def sxid(code: int, switch: str = "0000:a9:00", at_s: float = 0.0) -> Finding:
    return finding("sxid", code, subject=switch, at_ms=NOW_MS + int(at_s * 1000))


def line(text: str, at_s: float = 0.0, **words: object) -> Finding:
    told = diagnose(kernel(text.format(**{"gpu": GPU, **words}), at_ms=NOW_MS + int(at_s * 1000)), CATALOGUE)
    assert told is not None
    return told


def judged(*told: Finding, catalogue: Catalogue = CATALOGUE) -> Judgement:
    """What is made of the last of them, on a machine that had them all."""
    history: tuple[Mark, ...] = ()
    for one in told:
        mark = mark_of(one, catalogue)
        history = noted(history, mark) if mark else history
    return judge(told[-1], catalogue, history)


@pytest.mark.parametrize(
    ("told", "remedy", "at_idle"),
    [
        # Xid 94, a contained memory error: the application's; of the same GPU again, the GPU's.
        ([xid(94)], Remedy.APP, False),
        ([xid(94), xid(94, at_s=2 * HOUR_S)], Remedy.GPU_RESET, True),
        ([xid(94), xid(94, at_s=DAY_S)], Remedy.GPU_RESET, True),
        ([xid(94), xid(94, at_s=DAY_S + 1)], Remedy.APP, False),
        ([xid(94), xid(94, OTHER, at_s=HOUR_S)], Remedy.APP, False),
        ([xid(94), xid(94, at_s=INCIDENT_S - 1)], Remedy.APP, False),  # the same incident
        # Xid 74, an NVLink error: a reset, and another machine when the link has it again within a day.
        ([line(LINK, link=3, words=HARD)], Remedy.GPU_RESET, False),
        ([line(LINK, link=3, words=HARD), line(LINK, HOUR_S, link=3, words=HARD)], Remedy.REPLACE, False),
        ([line(LINK, link=3, words=HARD), line(LINK, HOUR_S, link=4, words=HARD)], Remedy.GPU_RESET, False),
        ([line(LINK, link=3, words=HARD), line(LINK, DAY_S + 1, link=3, words=HARD)], Remedy.GPU_RESET, False),
        # Its soft bits count only when they come again, on the same link; what comes of other errors never does.
        ([line(LINK, link=3, words=SOFT)], Remedy.NONE, False),
        ([line(LINK, link=3, words=SOFT), line(LINK, HOUR_S, link=3, words=SOFT)], Remedy.GPU_RESET, False),
        ([line(LINK, link=3, words=SOFT), line(LINK, HOUR_S, link=4, words=SOFT)], Remedy.NONE, False),
        (
            [line(LINK, link=3, words=SOFT_IN_THIRD), line(LINK, HOUR_S, link=3, words=SOFT_IN_THIRD)],
            Remedy.GPU_RESET,
            False,
        ),
        ([line(LINK, link=3, words=SYMPATHETIC), line(LINK, HOUR_S, link=3, words=SYMPATHETIC)], Remedy.NONE, False),
        ([line(LINK, link=3, words=SOFT), line(LINK, HOUR_S, link=3, words=HARD)], Remedy.GPU_RESET, False),
        # Xid 13 and 31, the application's: twice on the same GPU (and its same part, of 13) it is to be looked into.
        ([line(SHADER, gpc=3)], Remedy.APP, False),
        ([line(SHADER, gpc=3), line(SHADER, HOUR_S, gpc=3)], Remedy.CHECK, True),
        ([line(SHADER, gpc=3), line(SHADER, HOUR_S, gpc=4)], Remedy.APP, False),
        ([line(SHADER, gpc=3), line(SHADER, DAY_S + 1, gpc=3)], Remedy.APP, False),
        ([xid(31), xid(31, at_s=HOUR_S)], Remedy.CHECK, True),
        ([xid(31), xid(31, OTHER, at_s=HOUR_S)], Remedy.APP, False),
        # An NVSwitch's error that may be fatal or not: that it comes again says it.
        ([sxid(11001)], Remedy.NONE, False),
        ([sxid(11001), sxid(11001, at_s=HOUR_S)], Remedy.REBOOT, False),
        ([sxid(11001), sxid(11001, "0000:aa:00", at_s=HOUR_S)], Remedy.NONE, False),
        ([sxid(11012), sxid(11012, at_s=HOUR_S)], Remedy.NONE, False),  # corrected
        # No other code looks back.
        ([xid(43), xid(43, at_s=HOUR_S)], Remedy.NONE, False),
        ([xid(79), xid(79, at_s=HOUR_S)], Remedy.REBOOT, False),
    ],
)
def test_a_rule_of_history_decides_by_what_the_same_gpu_had(told: list[Finding], remedy: Remedy, at_idle: bool) -> None:
    made = judged(*told)
    assert (made.remedy, made.at_idle) == (remedy, at_idle)
    if told[-1].fault == "xid":  # of NVSwitches the strict profile waits for no second time
        assert judged(*told, catalogue=BY_PROFILE["strict"]).remedy is remedy


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("code", sorted(code for code, row in CATALOGUE.xids.items() if row.again))
def test_hyperpods_agent_looks_at_no_history(code: int, profile: Profile) -> None:
    catalogue = BY_PROFILE[profile]
    once, again = xid(code), xid(code, at_s=HOUR_S)
    changes = judged(once, again, catalogue=catalogue).remedy is not judged(once, catalogue=catalogue).remedy
    assert changes is (profile != "hyperpod")


def test_a_site_that_changes_what_is_done_about_a_code_has_no_rule_of_history_there() -> None:
    catalogue = read_catalogue(TABLE, CODES, b'[change.xid-94]\naction = "app"')
    assert judged(xid(94), xid(94, at_s=HOUR_S), catalogue=catalogue).remedy is Remedy.APP


def test_several_gpus_of_a_node_that_have_it_again_are_the_jobs() -> None:
    history: tuple[Mark, ...] = ()
    known: tuple[Known, ...] = ()
    for one in (xid(31), xid(31, OTHER), xid(31, at_s=HOUR_S), xid(31, OTHER, at_s=HOUR_S)):
        mark = mark_of(one, CATALOGUE)
        assert mark is not None
        history = noted(history, mark)
        known = assess(known, one, CATALOGUE, history)
    assert [told.judged.remedy for told in known] == [Remedy.CHECK, Remedy.CHECK]
    for told in in_context("a", known, {}, CATALOGUE):
        made = told.judged
        assert (made.severity, made.remedy, made.at_idle) == (Severity.WARNING, Remedy.APP, False)
        assert made.advice == "2 GPUs of this node had it: look at the job, not at the hardware."


# What is remembered.


@st.composite
def marks(draw: st.DrawFn) -> list[Mark]:
    steps = draw(st.lists(st.tuples(st.sampled_from(list(MarkKind)), st.sampled_from("abc"), st.integers(0, 400_000))))
    told, at_ms = [], NOW_MS
    for kind, subject, pause_s in steps:
        at_ms += pause_s * 1000
        told.append(Mark(kind=kind, fault="xid-94", subject=subject, at_ms=at_ms))
    return told


@given(marks())
def test_a_history_is_bounded_forgets_with_time_and_keeps_the_last(told: list[Mark]) -> None:
    history: tuple[Mark, ...] = ()
    for one in told:
        history = noted(history, one)
        same = [mark for mark in history if (mark.kind, mark.subject) == (one.kind, one.subject)]
        assert len(history) <= HISTORY_MAX
        assert 1 <= len(same) <= OF_ONE_MAX
        assert one.at_ms - same[-1].at_ms < INCIDENT_S * 1000
        assert all(one.at_ms - mark.at_ms < HISTORY_S * 1000 for mark in history)
        assert [mark.at_ms for mark in history] == sorted(mark.at_ms for mark in history)


def test_one_error_that_comes_all_the_time_does_not_crowd_out_the_others() -> None:
    other = Mark(kind=MarkKind.LOST, fault="InstanceTerminated", at_ms=NOW_MS)
    history: tuple[Mark, ...] = (other,)
    for number in range(10 * HISTORY_MAX):
        mark = mark_of(xid(94, at_s=number * 120), CATALOGUE)
        assert mark is not None
        history = noted(history, mark)
    assert len(history) == 1 + OF_ONE_MAX
    assert history[0] == other


# A suspect is checked.


def suspected(world: SickWorld, node: Node, *told: Finding) -> Node:
    after = world.nodes[node.instance_id]
    for one in told:
        after = found(after, replace(one, at_ms=epoch_ms(world.now) - 10_000 + one.at_ms - told[-1].at_ms), CATALOGUE)
    world.nodes[node.instance_id] = after
    return after


def planned(world: SickWorld, node: Node, *, idle: bool, free: bool = False) -> Node:
    one = frozenset({node.instance_id})
    seen = Observed(
        machines=world.machines,
        links=world.links,
        since=world.since,
        idle=one if idle else frozenset(),
        free=one if free else frozenset(),
    )
    made = plan(world.living, world.nodes, seen, world.policy, world.now, world.health, CATALOGUE)
    world.nodes = dict(made.nodes)
    return made.nodes[node.instance_id]


def test_a_suspect_is_checked_when_no_job_runs_on_it_and_once_for_what_it_had() -> None:
    world = SickWorld(1, 1)
    node = suspected(world, world.members[1], xid(31), xid(31, at_s=HOUR_S))
    assert "StartClusterHealthCheck" in world.outlook_of(node)["faults"][0]["advice"]
    assert "is healthy until then" in world.outlook_of(node)["faults"][0]["why"]
    busy = planned(world, node, idle=False)
    assert (busy.deep, busy.health) == (None, Health.HEALTHY)
    due = planned(world, node, idle=True)
    assert due.deep is not None
    assert (due.deep.state, due.deep.kinds, due.deep.suspect) == (DeepState.DUE, ("InstanceStress",), "xid-31")
    assert due.health is Health.HEALTHY, "nothing is proved yet"
    waiting = planned(world, node, idle=True)
    assert waiting.status is NodeStatus.RUNNING, "the workload manager has not drained it yet"
    checking = planned(world, node, idle=True, free=True)
    assert checking.status is NodeStatus.DEEP_HEALTH_CHECK
    assert checking.deep is not None
    world.nodes[node.instance_id] = replace(checking, deep=replace(checking.deep, ended=True))
    passed = planned(world, node, idle=True, free=True)
    for _ in range(3):
        assert passed.deep is not None
        assert (passed.status, passed.deep.state, passed.deep.n) == (NodeStatus.RUNNING, DeepState.PASSED, 1)
        passed = planned(world, node, idle=True, free=True)
    world.now += later(60)
    world.beat()
    suspected(world, node, xid(31))
    again = planned(world, node, idle=True)
    assert again.deep is not None
    assert (again.deep.state, again.deep.n) == (DeepState.DUE, 2)


def test_no_suspect_is_checked_where_nodes_are_only_reported_on_or_the_fault_is_only_observed() -> None:
    told = (xid(31), xid(31, at_s=HOUR_S))
    left = SickWorld(1, 1, NodeRecovery="None")
    node = suspected(left, left.members[1], *told)
    assert planned(left, node, idle=True).deep is None
    world = SickWorld(1, 1)
    node = suspected(world, world.members[1], *told)
    observed: tuple[Known, ...] = tuple(replace(one, judged=replace(one.judged, observe=True)) for one in node.faults)
    world.nodes[node.instance_id] = replace(node, faults=observed)
    assert planned(world, node, idle=True).deep is None
