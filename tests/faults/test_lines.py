"""Lines of the kernel: what each is found to be, and what becomes of the node that wrote it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tests.faults.table import CATALOGUE, NOW_MS, POLICY, kernel, known_of
from tocsin.core.announce import node_health_detail
from tocsin.core.faults import diagnose, health_lines, weigh
from tocsin.core.plan import plan
from tocsin.core.plan.steps import Observed
from tocsin.model.cluster import Node
from tocsin.model.health import Remedy

DATA = tomllib.loads(Path(__file__).with_name("lines.toml").read_text())
CASES = [tuple(case) for case in DATA["cases"]]
IDS = [f"{case[1]}-{number}" for number, case in enumerate(CASES)]


def running_node() -> tuple[SmallWorld, Node]:
    world = SmallWorld(group_spec("workers", 1))
    world.settle()
    return world, next(iter(world.nodes.values()))


WORLD, NODE = running_node()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_line_is_found_to_be_its_fault(case: tuple[str, ...]) -> None:
    found = diagnose(kernel(case[0]), CATALOGUE)
    assert found is not None
    assert (found.name, found.subject, found.over) == (case[1], case[2], False)
    assert found.text == case[0]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_whoever_is_not_the_kernel_is_not_believed(case: tuple[str, ...]) -> None:
    for facility in (1, 3, -1):
        assert diagnose(kernel(case[0], facility=facility), CATALOGUE) is None


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_finding_makes_its_verdict_once_seen_often_enough(case: tuple[str, str, str, int, str, str, str]) -> None:
    line, _, _, needed, health, fault_type, remedy = case
    found = diagnose(kernel(line), CATALOGUE)
    assert found is not None
    for times in range(1, needed + 1):
        verdict = weigh(known_of(*[found] * times), (), POLICY, NOW_MS)
        unhealthy = health == "Unhealthy" and times == needed
        assert verdict.healthy is not unhealthy
        assert verdict.remedy == (Remedy(remedy) if unhealthy and remedy else Remedy.NONE)
        if verdict.worst:
            assert verdict.worst.judged.fault_type == fault_type


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_verdict_makes_its_event(case: tuple[str, str, str, int, str, str, str]) -> None:
    line, _, _, needed, health, fault_type, remedy = case
    found = diagnose(kernel(line), CATALOGUE)
    assert found is not None
    sick = replace(NODE, faults=known_of(*[found] * needed))
    seen = Observed(machines=WORLD.machines, links=WORLD.links, since=WORLD.since)
    made = plan(WORLD.living, {sick.instance_id: sick}, seen, WORLD.policy, WORLD.now)
    after = made.nodes[sick.instance_id]
    summary = node_health_detail(WORLD.living, after)["HealthSummary"]
    assert summary["HealthStatus"] == health
    if health == "Unhealthy":
        assert f"has detected fault type {fault_type} on this node" in summary["HealthStatusReason"]
        assert (summary["RepairAction"] != "None") is bool(remedy)
        assert summary["Recommendation"].endswith(".")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_finding_is_a_line_of_the_health_agent(case: tuple[str, ...]) -> None:
    found = diagnose(kernel(case[0]), CATALOGUE)
    assert found is not None
    told = health_lines(found, CATALOGUE)
    assert 1 <= len(told) <= 2
    assert all('"HealthMonitoringAgentDetectionEvent": "HealthEvent"' in text for _, text in told)
    assert '"details: "' in told[0][1]


@pytest.mark.parametrize("line", DATA["harmless"])
def test_what_a_healthy_machine_writes_is_no_fault(line: str) -> None:
    found = diagnose(kernel(line), CATALOGUE)
    assert found is None or found.over


def test_a_pair_of_lines_begins_and_ends_its_fault() -> None:
    lost = diagnose(kernel("nfs: server fs-1 not responding, still trying"), CATALOGUE)
    back = diagnose(kernel("nfs: server fs-1 OK"), CATALOGUE)
    assert lost is not None
    assert back is not None
    assert (lost.name, lost.subject) == (back.name, back.subject) == ("nfs-silent", "fs-1")
    assert known_of(lost)
    assert known_of(lost, back) == ()


def test_every_fault_type_with_a_pattern_has_a_case() -> None:
    shown = {case[1].rpartition("-")[0] if case[1].startswith(("xid-", "sxid-")) else case[1] for case in CASES}
    patterned = {fault.name for fault in CATALOGUE.faults.values() if fault.pattern and not fault.same_as}
    assert patterned - shown == {"nfs-silent"}  # it only counts after a minute; its pair is tested above


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading_of_lines(text: str) -> None:
    found = diagnose(kernel(text), CATALOGUE)
    assert found is None or found.fault in CATALOGUE.faults
