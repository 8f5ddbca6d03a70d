"""Lemons: machines that are taken out again and again are told, and not rebooted for the n-th time.

`--rewrite-transcripts` writes lemon.txt anew; a difference is for people to judge.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.test_heal import LEFT, REBOOT, REPLACE, SickWorld
from tests.core.world import BEGIN
from tests.faults.table import CATALOGUE
from tocsin.core.announce import announce
from tocsin.core.faults import HealthPolicy, score
from tocsin.core.faults.history import HISTORY_S
from tocsin.core.faults.lemons import POINTS
from tocsin.core.faults.outlook import troubled
from tocsin.core.reports import found
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.health import Finding, Mark, MarkKind
from tocsin.model.times import epoch_ms

TRANSCRIPT = Path(__file__).with_name("lemon.txt")
# Days beyond the window in which a second reboot would be a replacement: so the machine stays.
APART = timedelta(days=2)
NOW_MS = epoch_ms(BEGIN)
DAY_MS = 86_400_000


def marks(*told: tuple[MarkKind, float]) -> tuple[Mark, ...]:
    """Each with its age in days."""
    return tuple(Mark(kind=kind, fault="xid-79", at_ms=NOW_MS - int(age * DAY_MS)) for kind, age in told)


@pytest.mark.parametrize(
    ("history", "points"),
    [
        ((), 0),
        (marks((MarkKind.SEEN, 1), (MarkKind.SEEN, 2)), 0),
        (marks((MarkKind.XID, 1), (MarkKind.OUT, 1)), 2),
        (marks((MarkKind.LOST, 1), (MarkKind.AGAIN, 1)), 4),
        (marks((MarkKind.LOST, 27.9), (MarkKind.LOST, 28)), 2),
        (marks((MarkKind.OUT, 40)), 0),
    ],
)
def test_a_score_counts_what_befell_the_machine_within_four_weeks(history: tuple[Mark, ...], points: int) -> None:
    assert score(history, HealthPolicy(), NOW_MS).points == points


def test_a_machine_is_a_lemon_from_the_limit_on_and_none_where_there_is_no_limit() -> None:
    history = marks(*[(MarkKind.LOST, day) for day in range(4)], (MarkKind.XID, 1))
    for limit, lemon in ((9, True), (10, False), (0, False)):
        assert score(history, HealthPolicy(lemon_points=limit), NOW_MS).lemon is lemon
    told = score(history, HealthPolicy(lemon_points=9), NOW_MS)
    assert told.why == "this machine is a lemon: 9 points within 4 weeks (driver errors: 1, lost: 4)"
    assert told.since_ms == NOW_MS - 3 * DAY_MS
    assert not score(history, HealthPolicy(lemon_points=9), NOW_MS + int(HISTORY_S * 1000)).lemon


def struck(world: SickWorld, instance_id: str, what: tuple[str, int]) -> None:
    """As the door has it: what the agent tells is noted, too."""
    told = Finding(fault=what[0], code=what[1], at_ms=epoch_ms(world.now), text="struck", source="kmsg")
    world.nodes[instance_id] = found(world.nodes[instance_id], told, CATALOGUE)


def in_days(world: SickWorld, what: tuple[str, int], times: int) -> Node:
    """One machine is struck again and again, each time when it is well and a reboot is allowed anew."""
    node = world.members[1]
    for _ in range(times):
        struck(world, node.instance_id, what)
        world.settle()
        world.skip_to(world.now + APART)
    return next(one for one in world.members if one.name == node.name)


def told_of(world: SickWorld, node: Node) -> str:
    outlook = world.outlook_of(node)
    known = world.nodes[node.instance_id]
    well = replace(known, health=Health.HEALTHY)
    [event] = announce(world.living, world.living, {"i": well}, {"i": known}, world.now) if well != known else [None]
    lines = [
        f"{node.name} {known.instance_id[:6]} {known.status} {known.health}",
        f"  points: {outlook['lemon']['points']} of {outlook['lemon']['limit']} {outlook['lemon']['counts']}",
        f"  next: {outlook['next']}",
        f"  advice: {known.advice}",
        f"  rebooted: {len(world.reboots)}",
    ]
    summary = json.dumps(json.loads(event.body)["detail"]["HealthSummary"]) if event else ""
    return "\n".join([*lines, f"  event: {summary}"] if summary else lines)


def test_a_lemon_is_put_aside_as_it_is_written(rewrite_transcripts: bool) -> None:
    """A GPU falls off the bus every other day. The third time its machine is a lemon; a person clears it; four weeks
    later nothing is held against it."""
    world = SickWorld(1, 2)
    story: list[str] = []
    for day in (1, 3, 5):
        node = world.members[1]
        struck(world, node.instance_id, REBOOT)
        world.turn()
        story += [f"day {day}: xid-79", told_of(world, node)]
        world.settle()
        world.skip_to(world.now + APART)
    lemon = world.members[1]
    story += ["two days later", told_of(world, lemon)]
    world.nodes[lemon.instance_id] = replace(lemon, faults=(), mended=())
    world.settle()
    story += ["its fault is called over, and nothing else", told_of(world, lemon)]
    world.skip_to(world.now + timedelta(seconds=HISTORY_S))
    story += ["four weeks later", told_of(world, lemon)]
    struck(world, lemon.instance_id, REBOOT)
    world.settle()
    story += ["xid-79", told_of(world, lemon)]
    told = "\n".join(story) + "\n"
    if rewrite_transcripts:
        TRANSCRIPT.write_text(told)
    assert told == TRANSCRIPT.read_text()


def test_another_machine_takes_a_lemons_place_where_that_is_wanted() -> None:
    world = SickWorld(1, 1, health=HealthPolicy(lemon_repair="replace"))
    first = world.members[1].instance_id
    after = in_days(world, REBOOT, 3)
    assert after.replaces == first
    assert (after.health, after.history) == (Health.HEALTHY, ()), "another machine: nothing speaks against it"
    assert len(world.reboots) == 2


def test_a_lemon_that_is_well_is_shown_and_works() -> None:
    world = SickWorld(1, 1, health=HealthPolicy(lemon_points=8))
    node = in_days(world, ("disk-full", 0), 1)
    assert not troubled(replace(node, faults=(), health=Health.HEALTHY), world.health, epoch_ms(world.now))
    lemon = replace(node, faults=(), health=Health.HEALTHY, history=marks(*[(MarkKind.LOST, 0)] * 4))
    assert troubled(lemon, world.health, epoch_ms(world.now))
    world.nodes[node.instance_id] = lemon
    world.settle()
    assert (world.nodes[node.instance_id].status, world.nodes[node.instance_id].health) == ("Running", "Healthy")


def test_a_fault_that_asks_for_another_machine_gets_one_for_a_lemon_too() -> None:
    world = SickWorld(1, 1)
    node = world.members[1]
    world.nodes[node.instance_id] = replace(node, history=marks(*[(MarkKind.LOST, 0)] * 5))
    struck(world, node.instance_id, REPLACE)
    world.settle()
    assert node.instance_id not in world.nodes


@settings(max_examples=60, deadline=None)
@given(
    struck_so=st.lists(
        st.tuples(st.sampled_from([REBOOT, LEFT, ("xid", 46), ("xid", 92)]), st.integers(0, 60), st.booleans()),
        max_size=14,
    ),
    limit=st.integers(1, 14),
)
def test_a_machine_below_the_limit_is_mended_and_one_beyond_it_never_goes_down_again(
    struck_so: list[tuple[tuple[str, int], int, bool]], limit: int
) -> None:
    policy = HealthPolicy(lemon_points=limit, reboots_max=100, gpu_resets_max=100)
    world = SickWorld(1, 1, health=policy)
    node = world.members[1]
    for what, hours, clears in struck_so:
        before = score(world.nodes[node.instance_id].history, policy, epoch_ms(world.now)).lemon
        reboots = len(world.reboots)
        struck(world, node.instance_id, what)
        world.settle()
        after = world.nodes[node.instance_id]
        assert after.status is NodeStatus.RUNNING
        lemon = score(after.history, policy, epoch_ms(world.now)).lemon
        assert not (before and len(world.reboots) > reboots), "what was a lemon is not rebooted"
        asking = [one for one in after.faults if one.fault == "xid"]
        assert lemon or not asking, "what is none is mended"
        if clears:
            world.nodes[node.instance_id] = replace(after, faults=(), mended=())
            world.settle()
        world.skip_to(world.now + timedelta(hours=hours))
    points = sum(POINTS[mark.kind] for mark in world.nodes[node.instance_id].history)
    assert score(world.nodes[node.instance_id].history, policy, epoch_ms(world.now)).points <= points
