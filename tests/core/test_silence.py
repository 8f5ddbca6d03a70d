"""Two witnesses of a silent node: our link and the workload manager. Cases of the decision, and of the plan on it."""

import pytest
from msgspec.structs import replace

from tests.core.world import BEGIN, SmallWorld, group_spec, later
from tests.faults.table import CATALOGUE
from tocsin.core.plan import plan
from tocsin.core.plan.silence import Witness, answered, newly_lost, silence_limit_s, unanswered
from tocsin.core.plan.steps import Observed
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.machine import LinkSeen

POLICY = FleetPolicy(heartbeat_timeout_s=20.0, witnessed_timeout_s=5.0, link_lost_grace_s=2.0)


def link(*, connected: bool) -> LinkSeen:
    return LinkSeen(connected=connected, since=BEGIN, heard=BEGIN)


@pytest.mark.parametrize(
    ("connected", "reached", "limit_s"),
    [
        (True, None, 20.0),  # nobody else to ask
        (True, True, 20.0),  # the node lives, its agent is busy
        (True, False, 5.0),  # both miss it
        (False, None, 2.0),
        (False, True, 20.0),  # the agent broke, the node did not
        (False, False, 2.0),
    ],
)
def test_two_that_agree_are_believed_sooner(connected: bool, reached: bool | None, limit_s: float) -> None:
    assert silence_limit_s(link(connected=connected), POLICY, reached) == limit_s


def test_a_second_witness_never_takes_longer_than_one() -> None:
    hasty = replace(POLICY, heartbeat_timeout_s=3.0)
    assert silence_limit_s(link(connected=True), hasty, reached=False) == 3.0


def test_who_was_reached_and_is_not_is_news_once() -> None:
    assert newly_lost({}, {"a": False, "b": True}) == {"a"}
    assert newly_lost({"a": True}, {"a": False}) == {"a"}
    assert newly_lost({"a": False}, {"a": False}) == set()
    assert newly_lost({"a": False}, {"a": True}) == set()


def heard(*answers: tuple[float, dict[str, bool] | None]) -> Witness:
    """What is believed after these answers, each at its second; None: it could not be asked."""
    witness = Witness()
    for second, told in answers:
        now = BEGIN + later(second)
        witness = unanswered(witness, POLICY, now) if told is None else answered(witness, told, POLICY, now)
    return witness


MISSED, THERE = {"a": False}, {"a": True}


@pytest.mark.parametrize(
    ("answers", "reached"),
    [
        ([(0, THERE)], THERE),
        ([(0, THERE), (1, MISSED)], THERE),  # a ping got lost: not yet
        ([(0, THERE), (1, MISSED), (5.9, MISSED)], THERE),
        ([(0, THERE), (1, MISSED), (6, MISSED)], MISSED),
        ([(0, THERE), (1, MISSED), (5.9, THERE), (6, MISSED)], THERE),  # and begins anew
        ([(0, MISSED)], {}),  # it was never there: nobody knows
        ([(0, MISSED), (5, MISSED)], MISSED),
        ([(0, MISSED), (5, MISSED), (6, THERE)], THERE),
        ([(0, THERE), (1, MISSED), (6, MISSED), (7, {})], {}),  # the workload manager does not know it any more
        ([(0, THERE), (1, None), (19.9, None)], THERE),  # a command that fails makes nobody lost
        ([(0, THERE), (20, None)], {}),
        ([(0, THERE), (1, MISSED), (2, None), (6, MISSED)], MISSED),  # two answers of different moments
    ],
)
def test_a_node_that_is_not_reached_is_believed_lost_when_that_lasts(
    answers: list[tuple[float, dict[str, bool] | None]], reached: dict[str, bool]
) -> None:
    assert heard(*answers).reached == reached


def silent_for(seconds: float, *, reached: bool | None) -> Node:
    """A running node that our link has not heard for so long, as the next plan has it."""
    world = SmallWorld(group_spec("workers", 1), policy=POLICY, NodeRecovery="None")
    world.settle()
    [key] = world.nodes
    world.links[key] = replace(world.links[key], heard=world.now)
    seen = Observed(
        machines=world.machines,
        links=world.links,
        since=world.since,
        reached={} if reached is None else {key: reached},
    )
    made = plan(world.living, world.nodes, seen, POLICY, world.now + later(seconds), catalogue=CATALOGUE)
    return made.nodes[key]


@pytest.mark.parametrize(
    ("seconds", "reached", "status"),
    [
        (4.9, False, NodeStatus.RUNNING),
        (5.0, False, NodeStatus.FAILURE),
        (19.9, True, NodeStatus.RUNNING),
        (20.0, True, NodeStatus.FAILURE),
        (19.9, None, NodeStatus.RUNNING),
        (20.0, None, NodeStatus.FAILURE),
    ],
)
def test_a_silent_node_is_given_up_when_its_witnesses_say_so(
    seconds: float, reached: bool | None, status: NodeStatus
) -> None:
    node = silent_for(seconds, reached=reached)
    assert node.status is status
    assert node.fault == ("" if status is NodeStatus.RUNNING else "InstanceUnreachable")
