"""Where the field is weak we promise to be better: twelve promises of node health, each with tests that hold us to it.

docs/testing.md has the table. Here it is held to be whole; and what no other file tests: that every fault has a way to
end, and that observing differs from acting in the deeds alone.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.test_heal import SickWorld
from tests.faults.table import BY_PROFILE, CATALOGUE, CODES, NOW_MS, PROFILES, TABLE, finding, known_of
from tocsin.core.commit import World, commit
from tocsin.core.faults import (
    Catalogue,
    after_reboot,
    assess,
    cleared,
    health_lines,
    judge,
    lapse,
    read_catalogue,
)
from tocsin.core.faults.outlook import ENDS
from tocsin.core.faults.wording import ACTIONS
from tocsin.core.members import Members
from tocsin.core.plan import plan
from tocsin.core.plan.steps import Observed, Plan
from tocsin.model.changes import Accept
from tocsin.model.health import Clearing, Finding, Known, Remedy, Severity
from tocsin.model.times import epoch_ms

ROOT = Path(__file__).parent.parent
TABLE_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PROMISES = 12


# The table.


def rows() -> list[tuple[int, str, list[str]]]:
    """Number, promise, and the tests that are named."""
    text = (ROOT / "docs" / "testing.md").read_text().partition("## Twelve promises")[2]
    return [(int(number), told, re.findall(r"`([^`]+)`", named)) for number, told, named in TABLE_ROW.findall(text)]


def test_there_are_twelve_promises_and_each_names_its_tests() -> None:
    assert [number for number, _, _ in rows()] == list(range(1, PROMISES + 1))
    assert all(named for _, _, named in rows())


@pytest.mark.parametrize("named", [one for _, _, tests in rows() for one in tests])
def test_every_test_that_a_promise_names_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    assert re.search(rf"^def {re.escape(test)}\(", (ROOT / file).read_text(), re.MULTILINE), named


# 5: every fault has a way to end.


def every_fault() -> Iterator[tuple[str, Catalogue, Finding]]:
    """All types, and all codes under all profiles, as long as they are kept with a node at all."""
    for name, fault in CATALOGUE.faults.items():
        if not fault.table and not fault.same_as:
            yield name, CATALOGUE, finding(name, subject="a")
    for profile in PROFILES:
        catalogue = BY_PROFILE[profile]
        for family, codes in (("xid", catalogue.xids), ("sxid", catalogue.sxids)):
            for code in codes:
                yield f"{profile}-{family}-{code}", catalogue, finding(family, code, subject="0000:3b:00")


@pytest.mark.parametrize(("name", "catalogue", "told"), [pytest.param(*one, id=one[0]) for one in every_fault()])
def test_each_fault_type_has_a_clearing_rule(name: str, catalogue: Catalogue, told: Finding) -> None:
    """And the rule ends it. What is only written to the log is no fault that could stay."""
    judged = judge(told, catalogue)
    known = known_of(*[told] * judged.needed, catalogue=catalogue)
    if judged.severity is Severity.INFO:
        assert known == ()
        return
    assert known, name
    assert cleared(known) == (), "a person may end each"
    match judged.clears:
        case Clearing.QUIET:
            assert judged.quiet_s > 0
            assert lapse(known, NOW_MS + int(judged.quiet_s * 1000)) == ()
        case Clearing.SIGN:
            fault = catalogue.faults[told.fault]
            assert fault.over or fault.check, "something says that it is over"
            assert assess(known, replace(told, over=True), catalogue) == ()
        case Clearing.REBOOT:
            assert after_reboot(known) == ()
        case Clearing.REPLACE:
            assert judged.remedy is Remedy.REPLACE, "another machine has no faults"
        case Clearing.HUMAN:
            assert judged.advice, "who is asked is told what to do"
    assert judged.clears is Clearing.QUIET or ENDS[judged.clears], "and people are told so"


# 10: observe.

STRUCK = ("xid-79", "xid-64", "xid-46", "xid-94", "disk-full", "gpu-lost", "nvme-gone", "readonly-mount", "xid-142")
OBSERVED = read_catalogue(TABLE, CODES, observed=frozenset(CATALOGUE.faults))
DEEDS = ("RepairAction", "Recommendation")


class Mode:
    """A world under a catalogue that acts, or only observes."""

    def __init__(self, catalogue: Catalogue, nodes: int) -> None:
        self.world = SickWorld(nodes)
        self.catalogue = catalogue
        self.lines: list[str] = []

    def strike(self, number: int, told: Finding) -> None:
        node = self.world.members[number]
        known = assess(node.faults, told, self.catalogue)
        self.world.nodes[node.instance_id] = replace(self.world.nodes[node.instance_id], faults=known)
        self.lines += [text for _, text in health_lines(told, self.catalogue)]

    def planned(self) -> Plan:
        world = self.world
        seen = Observed(machines=world.machines, links=world.links, since=world.since)
        return plan(world.living, world.nodes, seen, world.policy, world.now, world.health, self.catalogue)

    def told(self, made: Plan) -> list[dict[str, Any]]:
        """The details of the events that are committed with the plan."""
        assert made.cluster is not None
        before = World(cluster=self.world.living, nodes=Members(self.world.nodes))
        after = World(cluster=made.cluster, nodes=made.nodes)
        changes = commit(before, after, self.world.now).changes
        return [json.loads(one.event.body)["detail"] for one in changes if isinstance(one, Accept)]


def recorded(faults: tuple[Known, ...]) -> list[Known]:
    return [replace(one, judged=replace(one.judged, observe=False)) for one in faults]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STRUCK)), min_size=1, max_size=10))
def test_observe_mode_differs_from_execute_in_actions_only(struck: list[tuple[int, str]]) -> None:
    """The same faults in two modes: all is recorded, judged, told and logged alike, and only what is done differs."""
    acting, observing = Mode(CATALOGUE, 6), Mode(OBSERVED, 6)
    at_ms = epoch_ms(acting.world.now)
    for number, name in struck:
        told = finding(*split(name), subject="0000:3b:00", at_ms=at_ms)
        for mode in (acting, observing):
            mode.strike(number, told)
    done, left = acting.planned(), observing.planned()
    for key in observing.world.nodes:
        ours, theirs = done.nodes[key], left.nodes[key]
        assert (ours.health, ours.fault, ours.message) == (theirs.health, theirs.fault, theirs.message)
        assert recorded(ours.faults) == recorded(theirs.faults)
        assert theirs.status == "Running"
        assert (theirs.repair, theirs.due, theirs.reset, theirs.rebooting) == (None, None, None, False)
    assert left.steps == ()
    assert set(done.nodes) >= set(left.nodes) == set(observing.world.nodes)
    events, silent = acting.told(done), observing.told(left)
    assert [{**one["HealthSummary"], **dict.fromkeys(DEEDS)} for one in events] == [
        {**one["HealthSummary"], **dict.fromkeys(DEEDS)} for one in silent
    ]
    assert {one["HealthSummary"]["RepairAction"] for one in silent} <= {"None"}
    assert [line for line in acting.lines if '"Event detail"' not in line] == observing.lines
    asked = {judge(finding(*split(name)), CATALOGUE).remedy for _, name in struck}
    assert bool(done.steps or done.held) is bool(asked & set(ACTIONS)), "the other mode does what is asked for"
    observing.world.nodes = dict(left.nodes)
    assert observing.planned().nodes == left.nodes, "and it stays so"


def split(name: str) -> tuple[str, int]:
    family, _, code = name.rpartition("-")
    return (family, int(code)) if code.isdecimal() else (name, 0)
