"""Readings -> finding -> verdict -> event, and back: a case for every fault type that a reading shows."""

import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.faults.table import CATALOGUE, NOW_MS, POLICY, known_of
from tests.faults.test_lines import NODE, WORLD
from tocsin.core.announce import node_health_detail
from tocsin.core.faults import Gauge, measure, weigh
from tocsin.core.faults.readings import BUCKET_HOLDS
from tocsin.core.plan import plan
from tocsin.core.plan.steps import Observed
from tocsin.model.health import Clearing, Finding, Reading, Remedy


def spelt(values: list[float | list[float]]) -> list[float]:
    """Readings one by one."""
    pairs = [one if isinstance(one, list) else [one, 1] for one in values]
    return [value for value, times in pairs for _ in range(int(times))]


READ = tomllib.loads(Path(__file__).with_name("readings.toml").read_text())["cases"]
CASES = [(name, spelt(well), spelt(bad), *rest) for name, well, bad, *rest in READ]
Case = tuple[str, list[float], list[float], str, str, str]
EVERY_MS = 10_000
every_case = pytest.mark.parametrize("case", CASES, ids=[str(case[0]) for case in CASES])


def told(name: str, values: list[float]) -> list[tuple[int, Finding]]:
    """(number of the reading, what was found at it)."""
    fault, gauge, found = CATALOGUE.faults[name], Gauge(), []
    for number, value in enumerate(values):
        reading = Reading(check=fault.check, subject="part", value=value, at_ms=NOW_MS + number * EVERY_MS)
        gauge, finding = measure(gauge, reading, fault)
        if finding:
            found.append((number, finding))
    return found


def findings(case: Case) -> list[Finding]:
    return [finding for _, finding in told(case[0], [*case[1], *case[2]])]


def counting_ms(case: Case) -> int:
    """When it counts at the latest."""
    return findings(case)[-1].at_ms + int(CATALOGUE.faults[case[0]].settle_s * 1000)


@every_case
def test_readings_are_found_to_be_their_fault_at_the_last_one(case: Case) -> None:
    name, well, bad, *_ = case
    found = told(name, [*well, *bad])
    assert len(found) == CATALOGUE.faults[name].needed
    assert found[-1][0] == len(well) + len(bad) - 1
    assert not told(name, [*well, *bad[:-1]])[CATALOGUE.faults[name].needed - 1 :]
    assert not told(name, well)
    assert all((one.name, one.subject, one.over) == (name, "part", False) for _, one in found)


@every_case
def test_a_finding_makes_its_verdict(case: Case) -> None:
    _, _, _, health, fault_type, remedy = case
    verdict = weigh(known_of(*findings(case)), (), POLICY, counting_ms(case))
    assert verdict.healthy is (health == "Healthy")
    assert verdict.remedy == (Remedy(remedy) if remedy else Remedy.NONE)
    if verdict.worst:
        assert verdict.worst.judged.fault_type == fault_type


@every_case
def test_a_verdict_makes_its_event(case: Case) -> None:
    _, _, _, health, fault_type, remedy = case
    sick = replace(NODE, faults=known_of(*findings(case)))
    seen = Observed(machines=WORLD.machines, links=WORLD.links, since=WORLD.since)
    now = WORLD.now
    at_ms = int(now.timestamp() * 1000)
    shifted = tuple(replace(one, since_ms=at_ms - 600_000, last_ms=at_ms) for one in sick.faults)
    sick = replace(sick, faults=tuple(replace(one, moments=(at_ms,) * len(one.moments)) for one in shifted))
    made = plan(WORLD.living, {sick.instance_id: sick}, seen, WORLD.policy, now, catalogue=CATALOGUE)
    summary = node_health_detail(WORLD.living, made.nodes[sick.instance_id])["HealthSummary"]
    assert summary["HealthStatus"] == health
    if health == "Unhealthy":
        assert f"has detected fault type {fault_type} on this node" in summary["HealthStatusReason"]
        assert (summary["RepairAction"] != "None") is bool(remedy)
        assert summary["Recommendation"].endswith(".")


@every_case
def test_what_is_read_to_be_well_again_ends_a_fault_that_ends_so(case: Case) -> None:
    name, well, bad, *_ = case
    fault = CATALOGUE.faults[name]
    if fault.clears is not Clearing.SIGN:
        return
    back = bad[-1] if fault.counter else (fault.leave if fault.leave is not None else well[-1])
    drained = BUCKET_HOLDS * (fault.above or 0) / fault.drains_per_s if fault.drains_per_s else 0
    enough = fault.times + int(max(fault.stays_s, drained) * 1000 / EVERY_MS) + 1
    found = [one for _, one in told(name, [*well, *bad, *[back] * enough])]
    assert found[-1].over
    assert known_of(*found) == ()


def test_every_fault_type_with_a_reading_has_a_case() -> None:
    assert {case[0] for case in CASES} == {fault.name for fault in CATALOGUE.faults.values() if fault.check}
