"""Cluster extensions as decisions: configuration, status, health, what a script's end says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.extensions import requests
from tocsin.core.extensions.health import asked, extension_of, heard
from tocsin.core.extensions.roll import Roll
from tocsin.core.extensions.scripts import MESSAGE_CHARS_MAX, ended, request
from tocsin.core.extensions.settings import changed, check, whole
from tocsin.core.extensions.standing import ISSUES_MAX, Fate, Stands, counted, fate, issues, stands, status
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.command import Details, Invocation, Status, StepRun
from tocsin.model.errors import Conflict, Validation
from tocsin.model.extension import Extension, ExtensionNode, ExtensionStatus, NodeState, Package, Work
from tocsin.model.link import ExtensionChecked
from tocsin.model.names import Scope

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPE = Scope("111122223333", "us-west-2")
PACKAGE = Package(name="exporter", version="1.2.0", defaults={"level": "BASIC", "deep": {"a": 1}}, install="#!/bin/sh")

EXTENSION = Extension(
    scope=SCOPE,
    id="abcdefghijkl",
    name="exporter",
    cluster_id="mnopqrstuvwx",
    cluster_arn="arn",
    package=PACKAGE,
    created_at=NOW,
    modified_at=NOW,
)


def record(state: NodeState, instance_id: str = "i-1", **more: Any) -> ExtensionNode:
    fields: dict[str, Any] = {"n": 1, "runs": 0, "command": "c"} | more
    return ExtensionNode(scope=SCOPE, extension=EXTENSION.id, instance_id=instance_id, state=state, **fields)


@pytest.fixture
def node() -> Node:
    world = SmallWorld(group_spec("w", 1))
    world.settle()
    return next(iter(world.nodes.values()))


# Configuration.

VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_change_made_twice_is_made_once(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    once = changed(settings, changes)
    assert changed(once, changes) == once
    assert {name: once[name] for name in settings if name not in changes} == {
        name: value for name, value in settings.items() if name not in changes
    }


@given(OBJECTS)
def test_null_for_everything_returns_to_the_defaults(settings: dict[str, Any]) -> None:
    assert changed(settings, dict.fromkeys(settings)) == {}
    assert whole({"a": 1}, {}) == {"a": 1}


def test_what_is_given_stands_over_the_defaults_at_any_depth() -> None:
    assert whole({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 9}}) == {"a": {"b": 1, "c": 9}, "d": 3}


def test_a_default_of_null_takes_all_and_an_empty_object_every_member() -> None:
    check({"any": [1], "map": {"x": {"y": 1}}}, {"any": None, "map": {}})
    for wrong in ({"flag": 1}, {"flag": "true"}, {"number": True}, {"other": 1}):
        with pytest.raises(Validation):
            check(wrong, {"flag": True, "number": 1})


# Requests.


def test_an_update_counts_only_where_nodes_shall_run_something_else() -> None:
    settled = replace(EXTENSION, settled=True)
    same = requests.updated(settled, PACKAGE, {}, NOW)
    assert (same.n, same.settled, same.work) == (1, False, Work.UPDATE)
    other = requests.updated(settled, PACKAGE, {"ConfigurationValues": '{"level":"X"}'}, NOW)
    assert other.n == 2
    assert requests.updated(settled, replace(PACKAGE, version="1.10.0"), {}, NOW).n == 2
    with pytest.raises(Validation, match="earlier"):
        requests.updated(settled, replace(PACKAGE, version="1.1.9"), {}, NOW)


def test_what_is_being_deleted_takes_no_update_and_no_second_deletion() -> None:
    going = requests.deleted(EXTENSION, NOW)
    with pytest.raises(Conflict):
        requests.updated(going, PACKAGE, {}, NOW)
    with pytest.raises(Conflict):
        requests.deleted(going, NOW)
    assert requests.deleted(replace(going, settled=True), NOW).n == going.n + 1


# Where it stands.


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (None, Stands.DUE),
        (record(NodeState.ORDERED), Stands.OPEN),
        (record(NodeState.ORDERED, n=0), Stands.OPEN),  # let end, then ordered again
        (record(NodeState.ACTIVE), Stands.DONE),
        (record(NodeState.ACTIVE, n=0), Stands.DUE),
        (record(NodeState.ACTIVE, runs=5), Stands.DUE),  # its root volume is another
        (record(NodeState.FAILED), Stands.FAILED),
    ],
)
def test_a_node_is_due_what_it_does_not_run(node: Node, one: ExtensionNode | None, expected: Stands) -> None:
    assert stands(EXTENSION, one, node) is expected


CREATED, UPDATED, DELETED = Work.CREATE, Work.UPDATE, Work.DELETE


@pytest.mark.parametrize(
    ("work", "settled", "due", "done", "failed", "expected"),
    [
        (CREATED, False, 0, 0, 0, "Active"),
        (CREATED, False, 1, 1, 1, "Creating"),
        (CREATED, True, 0, 2, 0, "Active"),
        (CREATED, True, 0, 0, 2, "CreateFailed"),
        (CREATED, True, 0, 1, 1, "Degraded"),
        (CREATED, True, 1, 2, 0, "Degraded"),  # a node was added
        (UPDATED, False, 1, 0, 0, "Updating"),
        (UPDATED, True, 0, 0, 1, "UpdateFailed"),
        (UPDATED, True, 0, 1, 0, "Active"),
        (DELETED, False, 1, 0, 1, "Deleting"),
        (DELETED, False, 0, 1, 0, "Deleting"),
        (DELETED, True, 0, 1, 1, "DeleteFailed"),
    ],
)
def test_the_status_follows_from_the_nodes(
    work: Work, settled: bool, due: int, done: int, failed: int, expected: str
) -> None:
    counts = {Stands.DUE: due, Stands.DONE: done, Stands.FAILED: failed}
    assert status(replace(EXTENSION, work=work, settled=settled), counts) is ExtensionStatus(expected)


@pytest.mark.parametrize(("done", "due", "expected"), [(0, 0, "Degraded"), (1, 0, "Degraded"), (0, 1, "Degraded")])
def test_a_node_that_is_not_well_degrades_it_even_where_it_is_well_nowhere(done: int, due: int, expected: str) -> None:
    counts = {Stands.UNWELL: 1, Stands.DONE: done, Stands.DUE: due}
    assert status(replace(EXTENSION, settled=True), counts) is ExtensionStatus(expected)


@pytest.mark.parametrize(
    ("state", "runs", "node_status", "expected"),
    [
        (NodeState.ACTIVE, 0, NodeStatus.RUNNING, Fate.THERE),
        (NodeState.ACTIVE, 0, NodeStatus.PENDING, Fate.THERE),  # it reboots
        (NodeState.ACTIVE, 0, NodeStatus.FAILURE, Fate.LOST),
        (NodeState.ORDERED, 0, NodeStatus.FAILURE, Fate.LOST),
        (NodeState.ACTIVE, 0, NodeStatus.SHUTTING_DOWN, Fate.GONE),
        (NodeState.ACTIVE, 1, NodeStatus.RUNNING, Fate.GONE),  # its root volume is another
        (NodeState.ORDERED, 1, NodeStatus.RUNNING, Fate.THERE),
    ],
)
def test_a_removal_waits_for_no_node_that_has_failed_or_goes(
    node: Node, state: NodeState, runs: int, node_status: NodeStatus, expected: Fate
) -> None:
    assert fate(record(state), replace(node, status=node_status, runs=runs)) is expected
    assert fate(record(state), None) is Fate.GONE


def states(draw_n: int = 2) -> st.SearchStrategy[ExtensionNode | None]:
    kept = st.builds(record, st.sampled_from(NodeState), n=st.integers(0, draw_n), removing=st.booleans())
    return st.none() | kept


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, *NodeStatus]), states()), max_size=12))
def test_a_roll_that_is_kept_along_says_what_a_look_at_everybody_says(turns: list[Any]) -> None:
    world = SmallWorld(group_spec("w", 1))
    world.settle()
    some = next(iter(world.nodes.values()))
    nodes: dict[str, Node] = {}
    roll = Roll(EXTENSION, (), nodes)
    for place, node_status, one in turns:
        key = f"i-{place}"
        if node_status is None:
            nodes.pop(key, None)
        else:
            nodes[key] = replace(some, instance_id=key, status=node_status)
        roll.records.pop(key, None)
        if one is not None:
            roll.records[key] = replace(one, instance_id=key)
        roll.turn(key, nodes.get(key))
    running = [node for node in nodes.values() if node.status is NodeStatus.RUNNING]
    whole = counted(EXTENSION, roll.records, running)
    assert {one: count for one, count in roll.counts.items() if count} == dict(whole)
    assert roll.status is status(EXTENSION, whole)
    assert Roll(EXTENSION, roll.records.values(), nodes).counts == roll.counts


def test_problems_are_told_by_cause_the_widest_first_and_twenty_at_most() -> None:
    few = [record(NodeState.FAILED, f"i-{n}", code="A", message="m" if n else "other") for n in range(3)]
    assert [(one.message, one.nodes) for one in issues(few)] == [("m", 2), ("other", 1)]
    many = [record(NodeState.FAILED, f"i-{n}", code="A", message=f"m{n}") for n in range(25)]
    told = issues(many)
    assert len(told) == ISSUES_MAX
    assert (told[-1].code, told[-1].nodes) == ("Other", 6)


# What a script's end says.


def over(status: Status, details: Details, code: int | None = None, reason: str = "") -> Invocation:
    step = StepRun(step="s", status=status, details=details, code=code or 0, started_ms=0, ended_ms=0)
    return Invocation(
        scope=SCOPE,
        command_id="c",
        instance_id="i-1",
        named="i-1",
        instance_name="n",
        requested_ms=0,
        status=status,
        details=details,
        steps=() if code is None else (step,),
        reason=reason,
    )


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (78, "no level\n", ("InvalidConfiguration", "no level")),
        (77, "", ("AccessDenied", "The script ended with exit code 77.")),
        (1, "first\nlast\n\n", ("ExtensionUnhealthy", "last")),
        (1, "x" * 5000, ("ExtensionUnhealthy", "x" * MESSAGE_CHARS_MAX)),
    ],
)
def test_an_exit_code_says_what_to_look_at(code: int, said: str, expected: tuple[str, str]) -> None:
    after = ended(record(NodeState.ORDERED), over(Status.FAILED, Details.FAILED, code), said)
    assert after is not None
    assert (after.state, after.code, after.message) == (NodeState.FAILED, *expected)


def test_a_node_that_was_not_reached_says_nothing_of_the_extension() -> None:
    assert ended(record(NodeState.ORDERED), over(Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT), "") is None


def test_what_could_not_be_started_is_told_as_it_was_said() -> None:
    after = ended(record(NodeState.ORDERED), over(Status.FAILED, Details.FAILED, None, "not run here"), "")
    assert after is not None
    assert (after.code, after.message) == ("InternalFailure", "not run here")


def test_a_success_forgets_the_failure_before() -> None:
    before = record(NodeState.ORDERED, code="Other", message="m")
    after = ended(before, over(Status.SUCCESS, Details.SUCCESS, 0), "")
    assert after is not None
    assert (after.state, after.code, after.message) == (NodeState.ACTIVE, "", "")


def checked(one: ExtensionNode, exit_code: int, text: str = "") -> ExtensionNode | None:
    return heard(one, ExtensionChecked(n=1, work=one.watch_work, at_ms=0, exit_code=exit_code, text=text))


def test_what_a_node_says_of_its_health_is_its_state_until_it_says_another() -> None:
    well = record(NodeState.ACTIVE)
    assert checked(well, 0) is well
    sick = checked(well, 69, "no route to the registry\n")
    assert sick is not None
    told = (NodeState.UNWELL, "DependencyUnreachable", "no route to the registry")
    assert (sick.state, sick.code, sick.message) == told
    assert sick.revision == well.revision + 1
    again = checked(sick, 0)
    assert again is not None
    assert (again.state, again.code, again.message) == (NodeState.ACTIVE, "", "")


@pytest.mark.parametrize("state", [NodeState.ORDERED, NodeState.FAILED])
def test_health_is_heard_only_of_what_is_there_and_asked_for(state: NodeState) -> None:
    assert checked(record(state), 1) is None
    old = record(NodeState.ACTIVE, n=1).watch_work
    report = ExtensionChecked(n=1, work=old, at_ms=0, exit_code=1)
    assert heard(record(NodeState.ACTIVE, n=2), report) is None
    assert heard(None, report) is None


def test_nodes_are_asked_only_where_there_is_a_script_and_say_what_is_not_known() -> None:
    assert asked(EXTENSION, record(NodeState.ACTIVE), 60) is None
    watched = replace(EXTENSION, package=replace(PACKAGE, health="#!/bin/sh"))
    order = asked(watched, record(NodeState.UNWELL), 60)
    assert order is not None
    assert (order.well, extension_of(order.work)) == (False, EXTENSION.id)
    assert asked(watched, record(NodeState.ORDERED), 60) is None


def test_one_failure_keeps_no_other_node_from_its_turn() -> None:
    asked = request(EXTENSION, ["i-1", "i-2"], "/g")
    assert (asked["MaxErrors"], asked["InstanceIds"]) == ("100%", ["i-1", "i-2"])
