"""Codes of the driver: every one of the table, in every form of line and under every profile."""

import pytest

from tests.faults.table import (
    BY_PROFILE,
    CATALOGUE,
    NOW_MS,
    POLICY,
    PROFILES,
    finding,
    kernel,
    known_of,
    verdict,
)
from tocsin.core.faults import Profile, diagnose, gpus_to_reset, judge, weigh
from tocsin.core.faults.codes import UVM_IN_USE, nvlink_action, recovery_action, register_action
from tocsin.model.health import Clearing, Remedy, Severity

FORMS = (
    "NVRM: Xid (PCI:0000:3b:00): {code}, pid=4711, name=python3, something happened",
    "NVRM: Xid (0000:3b:00): {code}, Channel 00000001",
    "NVRM: Xid (PCI:0000:3B:00.0): {code}, pid='<unknown>', name=<unknown>, something",
)
# What each profile is known for (facts/health.md §2.1, facts/hyperpod.md §4.3).
KNOWN = [
    ("nvidia", 79, Remedy.REBOOT),
    ("nvidia", 64, Remedy.REPLACE),
    ("nvidia", 54, Remedy.REPLACE),
    ("nvidia", 74, Remedy.GPU_RESET),
    ("nvidia", 48, Remedy.GPU_RESET),
    ("nvidia", 94, Remedy.APP),
    ("nvidia", 13, Remedy.APP),
    ("nvidia", 31, Remedy.APP),
    ("nvidia", 63, Remedy.GPU_RESET),  # at the next idle moment
    ("nvidia", 92, Remedy.NONE),
    ("nvidia", 43, Remedy.NONE),
    ("hyperpod", 64, Remedy.REPLACE),
    ("hyperpod", 74, Remedy.REPLACE),
    ("hyperpod", 79, Remedy.REPLACE),
    ("hyperpod", 94, Remedy.APP),
    ("hyperpod", 31, Remedy.NONE),
    ("hyperpod", 73, Remedy.REBOOT),
    ("hyperpod", 71, Remedy.REBOOT),
    ("strict", 63, Remedy.GPU_RESET),
    ("strict", 92, Remedy.GPU_RESET),
    ("strict", 165, Remedy.REPLACE),
    ("strict", 64, Remedy.REPLACE),
]
# The codes that the EKS agent calls fatal: under our default none of them leaves a node healthy, but for 63: it waits
# for an idle moment on purpose.
FATAL = (46, 48, 54, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", sorted(CATALOGUE.xids))
def test_an_xid_is_read_in_every_form(code: int, form: str) -> None:
    found = diagnose(kernel(form.format(code=code)), CATALOGUE)
    assert found is not None
    assert (found.fault, found.code, found.subject) == ("xid", code, "0000:3b:00")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("code", sorted(CATALOGUE.xids))
def test_every_xid_has_a_judgement_that_holds_together(code: int, profile: Profile) -> None:
    judged = judge(finding("xid", code, subject="0000:3b:00"), BY_PROFILE[profile])
    acts = judged.remedy in (Remedy.GPU_RESET, Remedy.REBOOT, Remedy.REPLACE) and not judged.at_idle
    assert acts is (judged.severity in (Severity.ERROR, Severity.FATAL) and judged.remedy is not Remedy.NONE)
    assert not acts or judged.fault_type.startswith("Nvidia")
    assert judged.clears is not Clearing.QUIET or judged.severity is Severity.INFO or judged.quiet_s > 0


@pytest.mark.parametrize("code", sorted(CATALOGUE.sxids))
def test_an_sxid_is_read_and_judged(code: int) -> None:
    line = f"nvidia-nvswitch0: SXid (PCI:0000:a9:00.0): {code}, Data {{0x1}}"
    found = diagnose(kernel(line), CATALOGUE)
    assert found is not None
    assert (found.fault, found.code) == ("sxid", code)
    for catalogue in BY_PROFILE.values():
        assert judge(found, catalogue).severity in Severity


@pytest.mark.parametrize(("profile", "code", "remedy"), KNOWN)
def test_a_profile_does_what_it_is_known_for(profile: Profile, code: int, remedy: Remedy) -> None:
    assert judge(finding("xid", code), BY_PROFILE[profile]).remedy is remedy


@pytest.mark.parametrize("code", FATAL)
def test_what_the_field_calls_fatal_makes_a_node_unhealthy(code: int) -> None:
    assert not verdict(finding("xid", code)).healthy


@pytest.mark.parametrize(("number", "rule"), list(enumerate(CATALOGUE.nvlink5)))
def test_every_nvlink_rule_is_found_by_its_own_line(number: int, rule: object) -> None:
    rule = CATALOGUE.nvlink5[number]
    for mask, value in rule.intr:
        for unit in rule.units:
            words = f"(0x{value:08x} 0x{rule.status:08x} 0x0 0x0 0x0 0x0)"
            line = f"NVRM: Xid (PCI:0000:01:00): {rule.code}, pid=1, name=x, {unit} Fatal XC0 i0 Link 00 {words}"
            found = diagnose(kernel(line), CATALOGUE)
            assert found is not None
            assert value & mask == value
            twins = {
                other.action
                for other in CATALOGUE.nvlink5
                if other.code == rule.code
                and unit in other.units
                and other.status == rule.status
                and any(value & m == v for m, v in other.intr)
            }
            assert nvlink_action(found, CATALOGUE.nvlink5) in twins


def test_an_nvlink_code_without_a_rule_is_watched() -> None:
    line = "NVRM: Xid (PCI:0000:01:00): 145, RLW_NEW Fatal XC0 i0 Link 00 (0x00000001 0x00000001 0x0)"
    found = diagnose(kernel(line), CATALOGUE)
    assert found is not None
    assert judge(found, CATALOGUE).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", "gpu-reset"),
        ("GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)", "reboot"),
        ("GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)", "none"),
        ("GPU recovery action changed from 0x0 (None) to 0x3 (Drain P2P)", "monitor"),
        ("GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)", "gpu-reset"),
        ("something else", "monitor"),
    ],
)
def test_what_the_driver_asks_for_is_read_from_its_words(text: str, action: str) -> None:
    assert recovery_action(text) == action


def test_what_the_driver_asks_for_decides_for_its_gpu_and_no_other() -> None:
    reset = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
    ours = verdict(finding("xid", 64, subject="a"), finding("xid", 154, subject="a", text=reset))
    assert ours.remedy is Remedy.REBOOT
    other = verdict(finding("xid", 64, subject="b"), finding("xid", 154, subject="a", text=reset))
    assert other.remedy is Remedy.REPLACE


def test_a_recovery_that_is_over_is_forgotten() -> None:
    wanted = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
    over = "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)"
    assert known_of(finding("xid", 154, text=wanted), finding("xid", 154, text=over)) == ()


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ((0x0,) * 7, "gpu-reset"),  # nothing that could be decoded
        ((1 << 4,), "gpu-reset"),
        ((1 << 28,), "gpu-reset"),
        ((1 << 0 | 1 << 23,), "none"),
        ((1 << 20,), "monitor"),
        ((1 << 20 | 1 << 9,), "gpu-reset"),  # the harsher of the two
        ((0, 1 << 3), "gpu-reset"),  # a bit that no rule knows
        ((0, 0, 1 << 16), "monitor"),
        ((0, 0, 1 << 6), "gpu-reset"),
        ((0, 0, 0, 1 << 18), "gpu-reset"),
        ((0, 0, 0, 1 << 17), "monitor"),
        ((0, 0, 0, 0, 1 << 26), "none"),
        ((0, 0, 0, 0, 1 << 28), "gpu-reset"),
    ],
)
@pytest.mark.parametrize("profile", ["nvidia", "strict", "hyperpod"])
def test_an_nvlink_error_is_judged_by_the_bits_of_its_words(
    words: tuple[int, ...], action: str, profile: Profile
) -> None:
    told = ", ".join(hex(word) for word in words)
    line = f"NVRM: Xid (PCI:0003:00:00): 74, pid='<unknown>', NVLink: fatal error detected on link 14({told})"
    found = diagnose(kernel(line), CATALOGUE)
    assert found is not None
    assert register_action(found.text, CATALOGUE.registers) == action
    judged = judge(found, BY_PROFILE[profile])
    wanted = {"gpu-reset": Remedy.GPU_RESET, "monitor": Remedy.NONE, "none": Remedy.NONE}[action]
    assert judged.remedy is (Remedy.REPLACE if profile == "hyperpod" else wanted)


def test_a_chi_error_is_a_reset_only_where_memory_is_shared_with_the_gpu() -> None:
    line = "NVRM: Xid (PCI:0000:01:00): 159, CHI Non-Data Error"
    assert judge(finding("xid", 159, text=line), CATALOGUE).severity is Severity.WARNING
    assert judge(finding("xid", 159, text=f"{line} {UVM_IN_USE}"), CATALOGUE).remedy is Remedy.GPU_RESET


def test_what_waits_for_an_idle_moment_leaves_a_node_healthy_until_there_is_one() -> None:
    known = known_of(finding("xid", 63, subject="0000:3b:00"))
    busy = weigh(known, (), POLICY, NOW_MS)
    assert (busy.healthy, gpus_to_reset(known, NOW_MS)) == (True, ())
    idle = weigh(known, (), POLICY, NOW_MS, resets=True, idle=True)
    assert (idle.healthy, idle.remedy) == (False, Remedy.GPU_RESET)
    assert gpus_to_reset(known, NOW_MS, idle=True) == ("0000:3b:00",)


def test_one_code_takes_another_back() -> None:
    lost, back = finding("xid", 163, subject="a"), finding("xid", 162, subject="a")
    assert known_of(lost)
    assert known_of(lost, back) == ()
    assert known_of(lost, finding("xid", 162, subject="b"))


def test_a_code_that_cleans_up_after_another_is_no_fault_of_its_own() -> None:
    cause, after = finding("xid", 79, subject="a"), finding("xid", 45, subject="a")
    assert [one.code for one in known_of(cause, after)] == [79]
    assert [one.code for one in known_of(after)] == [45]
    assert [one.code for one in known_of(finding("xid", 79, subject="b"), after)] == [45, 79]


def test_a_code_that_the_table_does_not_know_is_watched() -> None:
    judged = judge(finding("xid", 9999), CATALOGUE)
    assert (judged.severity, judged.remedy) == (Severity.WARNING, Remedy.NONE)
