"""Findings folded into what is known, and the verdict on it: thresholds, the ladder, observe, clearing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.table import BY_PROFILE, CATALOGUE, CODES, NOW_MS, POLICY, TABLE, finding, known_of, verdict
from tocsin.core.faults import (
    HealthPolicy,
    after_gpu_reset,
    after_reboot,
    assess,
    cleared,
    gpus_to_reset,
    lapse,
    read_catalogue,
    weigh,
)
from tocsin.core.faults.assess import KNOWN_MAX, MOMENTS_MAX, often
from tocsin.model.health import Clearing, Finding, Known, Mended, Remedy

HOUR_MS = 3_600_000
GPU, OTHER_GPU = "0000:b9:00", "0000:ba:00"
NAMES = ("disk-full", "soft-lockup", "oom-kill", "nfs-silent", "gpu-lost", "hung-task")


@st.composite
def stories(draw: st.DrawFn) -> list[Finding]:
    """Findings of a node in the order of time, ends among them."""
    steps = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from("ab"), st.integers(0, 900), st.booleans())))
    told, at_ms = [], NOW_MS
    for name, subject, pause_s, over in steps:
        at_ms += pause_s * 1000
        told.append(Finding(fault=name, subject=subject, at_ms=at_ms, text=name, source="kmsg", over=over))
    return told


@given(stories())
def test_a_fault_that_is_over_is_not_known_and_one_that_is_not_is(story: list[Finding]) -> None:
    last = {(one.fault, one.subject): one for one in story}
    known = {(one.fault, one.subject) for one in known_of(*story)}
    assert known == {part for part, one in last.items() if not one.over}


@given(stories())
def test_counts_and_moments_are_those_of_the_story(story: list[Finding]) -> None:
    for one in known_of(*story):
        assert one.since_ms <= one.last_ms
        assert 1 <= len(one.moments) <= min(one.count, MOMENTS_MAX)
        assert list(one.moments) == sorted(one.moments)


@given(stories(), st.integers(0, 48))
def test_what_lapses_is_what_was_quiet(story: list[Finding], hours: int) -> None:
    known = known_of(*story)
    now_ms = (story[-1].at_ms if story else NOW_MS) + hours * HOUR_MS
    left = set(lapse(known, now_ms))
    for one in known:
        quiet = one.judged.clears is Clearing.QUIET and one.last_ms + one.judged.quiet_s * 1000 <= now_ms
        rare = one.judged.clears is not Clearing.QUIET and not often(one)
        assert (one in left) is not (quiet or (rare and one.last_ms + one.judged.window_s * 1000 <= now_ms))


def test_what_was_not_seen_often_enough_is_forgotten_with_its_window() -> None:
    once = known_of(finding("soft-lockup", subject="CPU#1"))
    assert lapse(once, NOW_MS + 599_000) == once
    assert lapse(once, NOW_MS + 600_000) == ()
    counting = known_of(*[finding("soft-lockup", subject="CPU#1")] * 3)
    assert lapse(counting, NOW_MS + 30 * 24 * HOUR_MS) == counting


@given(stories())
def test_time_changes_a_verdict_only_when_it_said_so(story: list[Finding]) -> None:
    known = known_of(*story)
    now_ms = story[-1].at_ms if story else NOW_MS
    for _ in range(20):
        verdict_now = weigh(known, (), POLICY, now_ms)
        if not verdict_now.wake_ms:
            assert weigh(known, (), POLICY, now_ms + 30 * 24 * HOUR_MS) == verdict_now
            return
        before = weigh(known, (), POLICY, verdict_now.wake_ms - 1)
        assert (before.worst, before.remedy) == (verdict_now.worst, verdict_now.remedy)
        assert verdict_now.wake_ms > now_ms
        now_ms = verdict_now.wake_ms
        known = lapse(known, now_ms)
    raise AssertionError("a verdict that never comes to rest")


def test_a_finding_seen_twice_is_one_fault_with_its_count() -> None:
    [one] = known_of(finding("disk-full", subject="/"), finding("disk-full", subject="/", at_ms=NOW_MS + 5, count=3))
    assert (one.count, one.since_ms, one.last_ms) == (4, NOW_MS, NOW_MS + 5)


def test_a_node_with_very_many_faults_keeps_the_worst() -> None:
    mild = [finding("oom-kill", subject=f"job-{number}") for number in range(2 * KNOWN_MAX)]
    known = known_of(finding("gpu-lost", subject="0"), *mild)
    assert len(known) == KNOWN_MAX
    assert "gpu-lost" in {one.fault for one in known}


def test_times_outside_the_window_do_not_add_up() -> None:
    far = [finding("soft-lockup", subject="CPU#1", at_ms=NOW_MS + number * HOUR_MS) for number in range(5)]
    assert verdict(*far, at_ms=far[-1].at_ms).healthy
    near = [finding("soft-lockup", subject="CPU#1", at_ms=NOW_MS + number * 60_000) for number in range(3)]
    assert not verdict(*near, at_ms=near[-1].at_ms).healthy


def test_a_fault_that_must_last_counts_only_then() -> None:
    silent = finding("nfs-silent", subject="fs")
    first = verdict(silent)
    assert first.healthy
    assert first.wake_ms == NOW_MS + 60_000
    assert not verdict(silent, at_ms=first.wake_ms).healthy


def test_the_ladder_climbs_when_a_rung_did_not_last() -> None:
    known = known_of(finding("xid", 79, subject="a"))
    climbed: list[Remedy] = []
    mended: tuple[Mended, ...] = ()
    for _ in range(5):
        step = weigh(known, mended, POLICY, NOW_MS)
        climbed.append(step.remedy)
        mended = (*mended, Mended(fault="xid-79", remedy=step.remedy, at_ms=NOW_MS))
    assert climbed == [Remedy.REBOOT, Remedy.REPLACE, Remedy.REPLACE, Remedy.QUARANTINE, Remedy.QUARANTINE]


def test_where_gpus_can_be_reset_that_is_the_first_rung() -> None:
    known = known_of(finding("xid", 46, subject=GPU))
    climbed: list[Remedy] = []
    mended: tuple[Mended, ...] = ()
    for _ in range(5):
        step = weigh(known, mended, POLICY, NOW_MS, resets=True)
        climbed.append(step.remedy)
        mended = (*mended, Mended(fault="xid-46", remedy=step.remedy, at_ms=NOW_MS))
    assert climbed == [Remedy.GPU_RESET, Remedy.REBOOT, Remedy.REPLACE, Remedy.REPLACE, Remedy.QUARANTINE]
    assert weigh(known, (), POLICY, NOW_MS).remedy is Remedy.REBOOT


def test_a_reset_that_failed_is_not_tried_again_and_the_reboot_says_why() -> None:
    known = known_of(finding("xid", 46, subject=GPU))
    failed = Mended(fault="xid-46", remedy=Remedy.GPU_RESET, at_ms=NOW_MS, failed="it is in use")
    policy = HealthPolicy(gpu_resets_max=3)
    step = weigh(known, (failed,), policy, NOW_MS, resets=True)
    assert (step.remedy, step.why) == (Remedy.REBOOT, "its GPU could not be reset: it is in use")


@pytest.mark.parametrize("other", [finding("xid", 79, subject=OTHER_GPU), finding("xid", 64, subject=OTHER_GPU)])
def test_a_restart_that_another_fault_asks_for_absorbs_a_reset(other: Finding) -> None:
    step = weigh(known_of(finding("xid", 46, subject=GPU), other), (), POLICY, NOW_MS, resets=True)
    assert step.worst is not None
    assert step.worst.code == other.code
    assert step.remedy in (Remedy.REBOOT, Remedy.REPLACE)


def test_a_fault_whose_reset_is_used_up_absorbs_the_reset_of_another() -> None:
    known = known_of(finding("xid", 46, subject=GPU), finding("xid", 119, subject=OTHER_GPU, at_ms=NOW_MS + 1))
    used = Mended(fault="xid-119", remedy=Remedy.GPU_RESET, at_ms=NOW_MS)
    step = weigh(known, (used,), POLICY, NOW_MS + 1, resets=True)
    assert step.worst is not None
    assert (step.worst.name, step.remedy) == ("xid-119", Remedy.REBOOT)


def test_all_gpus_that_ask_for_it_are_reset_together_and_an_nvswitch_is_none() -> None:
    found = [
        finding("xid", 46, subject=GPU),
        finding("xid", 119, subject=OTHER_GPU),
        finding("xid", 31, subject="0000:bb:00"),
    ]
    assert gpus_to_reset(known_of(*found), NOW_MS) == (GPU, OTHER_GPU)
    strict = known_of(finding("sxid", 11001, subject="0000:05:00.0"), catalogue=BY_PROFILE["strict"])
    assert strict[0].judged.remedy is Remedy.GPU_RESET
    assert gpus_to_reset(strict, NOW_MS) == ()
    assert weigh(strict, (), POLICY, NOW_MS, resets=True).remedy is Remedy.REBOOT


def test_a_reset_ends_what_it_mends_on_the_gpus_that_were_reset() -> None:
    known = known_of(
        finding("xid", 46, subject=GPU),
        finding("gpu-recovery-reset", subject=GPU),
        finding("xid", 79, subject=GPU),
        finding("xid", 46, subject=OTHER_GPU),
        finding("disk-full", subject="/"),
    )
    left = {(one.name, one.subject) for one in after_gpu_reset(known, (GPU,))}
    assert left == {("xid-79", GPU), ("xid-46", OTHER_GPU), ("disk-full", "/")}


def test_what_was_mended_long_ago_or_for_another_fault_does_not_count() -> None:
    known = known_of(finding("xid", 79))
    week_ms = 7 * 24 * HOUR_MS
    for past in (
        Mended(fault="xid-79", remedy=Remedy.REBOOT, at_ms=NOW_MS - week_ms),
        Mended(fault="xid-48", remedy=Remedy.REBOOT, at_ms=NOW_MS),
    ):
        assert weigh(known, (past,), POLICY, NOW_MS).remedy is Remedy.REBOOT


def test_the_worst_fault_decides() -> None:
    both = verdict(finding("disk-full", subject="/"), finding("xid", 64, subject="a"), finding("xid", 79, subject="b"))
    assert both.worst is not None
    assert (both.worst.name, both.remedy) == ("xid-64", Remedy.REPLACE)


def test_what_is_only_observed_makes_a_node_unhealthy_and_does_nothing() -> None:
    observing = read_catalogue(TABLE, CODES, observed=frozenset({"xid-79"}))
    alone = verdict(finding("xid", 79), catalogue=observing)
    assert not alone.healthy
    assert (alone.remedy, alone.wanted) == (Remedy.NONE, Remedy.REBOOT)
    beside = verdict(finding("xid", 79), finding("xid", 64), catalogue=observing)
    assert beside.remedy is Remedy.REPLACE


def test_a_whole_family_may_be_observed() -> None:
    observing = read_catalogue(TABLE, CODES, observed=frozenset({"xid"}))
    assert verdict(finding("xid", 64), catalogue=observing).remedy is Remedy.NONE


def test_a_reboot_ends_what_a_reboot_mends_and_what_is_read_anew() -> None:
    known = known_of(finding("xid", 79), finding("xid", 64), finding("disk-full"), finding("quarantine"))
    assert {one.name for one in after_reboot(known)} == {"xid-64", "quarantine"}


def test_a_person_may_clear_all_or_a_family_or_a_type_or_a_part() -> None:
    known = known_of(
        finding("xid", 79, subject="a"), finding("xid", 64, subject="b"), finding("disk-full", subject="/")
    )

    def left(*what: str) -> list[str]:
        return sorted(one.name for one in cleared(known, *what))

    assert left() == []
    assert left("xid") == ["disk-full"]
    assert left("xid-64") == ["disk-full", "xid-79"]
    assert left("xid", "a") == ["disk-full", "xid-64"]
    assert left("", "/") == ["xid-64", "xid-79"]


def test_every_fault_type_can_end_and_every_sick_one_says_what_to_do() -> None:
    for fault in CATALOGUE.faults.values():
        if fault.table or fault.same_as:
            continue
        [one] = assess((), Finding(fault=fault.name, at_ms=0, text="", source="kmsg"), CATALOGUE) or [None]
        if one is None:
            continue
        _assert_complete(one)


def _assert_complete(one: Known) -> None:
    judged = one.judged
    assert judged.clears is not Clearing.QUIET or judged.quiet_s > 0, one.name
    assert judged.clears is not Clearing.REPLACE or judged.remedy is Remedy.REPLACE, one.name
    sick = judged.severity in ("error", "fatal")
    assert not sick or (judged.fault_type and judged.reason), one.name
    assert judged.remedy in (Remedy.REBOOT, Remedy.REPLACE, Remedy.GPU_RESET) or judged.advice, one.name
