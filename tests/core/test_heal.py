"""Healing: faults become health and repairs, within the budgets, whatever falls on whom in which order."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec, later
from tests.faults.table import CATALOGUE, CODES, TABLE
from tocsin.core.announce import announce
from tocsin.core.batches import REBOOT as REBOOT_NODES
from tocsin.core.faults import Catalogue, HealthPolicy, assess, cleared, read_catalogue
from tocsin.core.faults.outlook import outlook
from tocsin.core.plan import ResetGpus, plan
from tocsin.core.plan.steps import Observed, Plan
from tocsin.core.reports import effect
from tocsin.core.tell import tell
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.health import Finding
from tocsin.model.link import GpuResetEnded
from tocsin.model.machine import MachineState
from tocsin.model.times import epoch_ms

REBOOT, REPLACE, LEFT, HUNG = ("xid", 79), ("xid", 64), ("disk-full", 0), ("xid", 46)
ANSWERS = ("", "it is in use", "silent", "dies")
GPU = "0000:b9:00"


class SickWorld(SmallWorld):
    """A world whose nodes may be given faults, under a policy of its own."""

    def __init__(
        self,
        *counts: int,
        health: HealthPolicy | None = None,
        groups: tuple[dict[str, Any], ...] = (),
        **request: Any,
    ) -> None:
        self.health = health or HealthPolicy()
        self.repairing_most = 0
        self.repairing_of: Counter[str] = Counter()  # by rack
        self.racks = 0
        made = [group_spec(f"group-{n}", count) for n, count in enumerate(counts, 1)]
        super().__init__(*made, *groups, **request)
        self.settle()

    def made(self) -> Plan:
        seen = Observed(machines=self.machines, links=self.links, since=self.since, domain=self.rack)
        made = plan(self.living, self.nodes, seen, self.policy, self.now, self.health, CATALOGUE)
        repairing = [node for node in made.nodes.values() if under_repair(node)]
        self.repairing_most = max(self.repairing_most, len(repairing))
        for name, count in Counter(self.rack_of(node) for node in repairing).items():
            self.repairing_of[name] = max(self.repairing_of[name], count)
        return made

    def rack(self, instance_id: str) -> str:
        return self.rack_of(self.nodes[instance_id]) if instance_id in self.nodes else ""

    def rack_of(self, node: Node) -> str:
        """All places are spread over the racks; a replacement is where its place is."""
        return f"rack-{node.index % self.racks}" if self.racks else ""

    def strike(self, node: Node, what: tuple[str, int], *, over: bool = False) -> None:
        at_ms = epoch_ms(self.now)
        subject = GPU if what == HUNG else ""
        finding = Finding(
            fault=what[0], subject=subject, code=what[1], at_ms=at_ms, text="struck", source="kmsg", over=over
        )
        known = self.nodes[node.instance_id]
        self.nodes[node.instance_id] = replace(known, faults=assess(known.faults, finding, CATALOGUE))

    @property
    def members(self) -> list[Node]:
        return sorted(self.nodes.values(), key=lambda node: (node.group, node.index))

    def outlook_of(self, node: Node) -> dict[str, Any]:
        known = self.nodes[node.instance_id]
        return outlook(self.living, known, self.made().waiting, self.health, epoch_ms(self.now))


def under_repair(node: Node) -> bool:
    return node.status is NodeStatus.PENDING and (bool(node.replaces) or node.rebooting)


@settings(max_examples=60, deadline=None)
@given(
    workers=st.integers(1, 12),
    struck=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([REBOOT, REPLACE, LEFT])), max_size=14),
    percent=st.integers(0, 60),
    floor=st.integers(1, 3),
)
def test_repairs_keep_to_their_budget_and_all_that_can_be_mended_is(
    workers: int, struck: list[tuple[int, tuple[str, int]]], percent: int, floor: int
) -> None:
    policy = HealthPolicy(cluster_percent_max=percent, group_percent_max=100, repairs_floor=floor)
    world = SickWorld(1, workers, health=policy)
    for number, what in struck:
        world.strike(world.members[number % len(world.members)], what)
    world.settle()
    assert world.repairing_most <= max(floor, int((workers + 1) * percent / 100))
    assert all(node.status is NodeStatus.RUNNING for node in world.members)
    for node in world.members:
        left = {one.name for one in node.faults}
        assert left <= {"disk-full"}
        assert (node.health is Health.UNHEALTHY) is bool(left)


@settings(max_examples=60, deadline=None)
@given(
    struck=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([REBOOT, REPLACE, HUNG]), st.sampled_from(ANSWERS)), max_size=12
    )
)
def test_whatever_becomes_of_resets_everybody_is_well_in_the_end(
    struck: list[tuple[int, tuple[str, int], str]],
) -> None:
    """Resets succeed, fail, are never heard of, or their node dies under them; restarts are asked for in between."""
    world = resetting(1, 5, health=HealthPolicy(replacements_max=100))
    for number, what, answered in struck:
        node = world.members[number % len(world.members)]
        world.strike(node, what)
        world.turn()
        under_way = [one for one in world.members if one.reset is not None]
        for one in under_way:
            if answered == "dies":
                world.kill(one.instance_id)
            elif answered != "silent":
                answer(world, one, answered)
        world.turn()
    world.settle()
    assert {node.status for node in world.members} == {NodeStatus.RUNNING}
    assert {node.health for node in world.members} == {Health.HEALTHY}
    assert not any(node.reset or node.faults for node in world.members)


@settings(max_examples=30, deadline=None)
@given(struck=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([REBOOT, REPLACE]), st.booleans()), max_size=12))
def test_a_budget_never_keeps_a_node_from_coming_back(struck: list[tuple[int, tuple[str, int], bool]]) -> None:
    """Ends of faults and deaths of agents come in between; the world comes to rest with everybody well."""
    world = SickWorld(1, 5, health=HealthPolicy(replacements_max=100))
    for number, what, dies in struck:
        node = world.members[number % len(world.members)]
        if dies and world.machines.get(node.instance_id) is MachineState.RUNNING:
            world.kill(node.instance_id)
        else:
            world.strike(node, what)
        world.turn()
    world.settle()
    assert {node.status for node in world.members} == {NodeStatus.RUNNING}
    assert {node.health for node in world.members} == {Health.HEALTHY}


@settings(max_examples=60, deadline=None)
@given(
    counts=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    racks=st.integers(1, 4),
    struck=st.lists(st.tuples(st.integers(0, 15), st.sampled_from([REBOOT, REPLACE, LEFT])), max_size=16),
    percents=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)),
    floor=st.integers(1, 2),
)
def test_the_budgets_of_cluster_groups_and_failure_domains_hold_at_once(
    counts: tuple[int, int],
    racks: int,
    struck: list[tuple[int, tuple[str, int]]],
    percents: tuple[int, int, int],
    floor: int,
) -> None:
    """And what is held back is named with the budget that holds it, and begins when there is room."""
    whole, ours, domain = percents
    policy = HealthPolicy(
        cluster_percent_max=whole, group_percent_max=ours, domain_percent_max=domain, repairs_floor=floor
    )
    world = SickWorld(*counts, health=policy)
    world.racks = racks
    sizes = Counter(map(world.rack_of, world.members))
    for number, what in struck:
        world.strike(world.members[number % len(world.members)], what)
    made = world.made()
    begun = {key for key, node in made.nodes.items() if under_repair(node) or node.status is NodeStatus.SHUTTING_DOWN}
    assert set(made.held) == {key for key, node in made.nodes.items() if node.due} - begun
    assert set(made.held.values()) <= {"cluster", "group", "domain"}
    for key in made.held:
        assert any(reason.startswith(f"{key} waits for its re") for reason in made.waiting)
    world.settle()
    assert world.repairing_most <= max(floor, int(sum(counts) * whole / 100))
    for rack, most in world.repairing_of.items():
        assert most <= max(floor, int(sizes[rack] * domain / 100))
    assert {one.name for node in world.members for one in node.faults} <= {"disk-full"}
    assert world.made().held == {}


@settings(max_examples=40, deadline=None)
@given(struck=st.lists(st.integers(0, 5), min_size=1, max_size=6), order=st.randoms(use_true_random=False))
def test_a_budget_that_is_used_up_never_stops_who_comes_back(struck: list[int], order: Random) -> None:
    """With no room for a single repair every node whose fault ends is healthy at once."""
    world = SickWorld(1, 5, health=HealthPolicy(cluster_percent_max=0, repairs_floor=0))
    sick = {world.members[number].instance_id for number in struck}
    for key in sick:
        world.strike(world.nodes[key], REBOOT)
    world.settle()
    assert set(world.made().held) == sick
    assert set(world.made().held.values()) == {"cluster"}
    for key in order.sample(sorted(sick), len(sick)):
        node = world.nodes[key]
        world.nodes[key] = replace(node, faults=())
        world.turn()
        assert world.nodes[key].health is Health.HEALTHY
    assert world.made().held == {}
    assert world.reboots == []


def test_half_a_rack_waits_while_other_racks_are_mended() -> None:
    policy = HealthPolicy(cluster_percent_max=100, group_percent_max=100, domain_percent_max=50)
    world = SickWorld(12, health=policy)
    world.racks = 3
    of_one = [node for node in world.members if world.rack_of(node) == "rack-0"]
    other = next(node for node in world.members if world.rack_of(node) == "rack-1")
    for node in (*of_one, other):
        world.strike(node, REPLACE)
    made = world.made()
    assert sorted(made.held) == sorted(node.instance_id for node in of_one[2:])
    assert any("2 of 4 nodes of failure domain rack-0 are under repair, and 50 % may be" in why for why in made.waiting)
    assert made.nodes[other.instance_id].status is NodeStatus.SHUTTING_DOWN


def test_where_no_machine_tells_a_failure_domain_it_is_the_groups_own_subnet() -> None:
    def group(name: str, *subnets: str) -> dict[str, Any]:
        return group_spec(name, 4, OverrideVpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": list(subnets)})

    policy = HealthPolicy(cluster_percent_max=100, group_percent_max=100, domain_percent_max=25)
    for subnets, words in ((("subnet-1",), "2 of 8 nodes of failure domain subnet-1"), (("subnet-1", "subnet-2"), "")):
        world = SickWorld(health=policy, groups=(group("a", *subnets), group("b", *subnets)))
        for node in world.members:
            world.strike(node, REBOOT)
        made = world.made()
        assert len(made.held) == (6 if words else 0)
        assert any(words in why for why in made.waiting) is bool(words)


def test_what_is_held_back_is_named_and_told_of_each_node() -> None:
    world = SickWorld(1, 9)
    for node in world.members[1:5]:
        world.strike(node, REPLACE)
    made = world.made()
    held = [reason for reason in made.waiting if "waits for its replace" in reason]
    assert len(held) == 2
    assert all("2 of 10 nodes of the cluster are under repair, and 20 % may be" in reason for reason in held)
    waiting = next(node for node in world.members if node.instance_id in held[0])
    assert world.outlook_of(waiting)["next"] == held[0]


def test_a_small_group_has_a_budget_of_its_own() -> None:
    policy = HealthPolicy(cluster_percent_max=100, group_percent_max=50)
    world = SickWorld(6, 2, health=policy)
    for node in world.members:
        if node.group == "group-2":
            world.strike(node, REBOOT)
    assert any("1 of 2 nodes of group group-2" in reason for reason in world.made().waiting)


def test_who_was_sick_first_is_mended_first() -> None:
    world = SickWorld(1, 4)
    last, first = world.members[1], world.members[4]
    world.strike(first, REBOOT)
    world.now += later(5)
    world.strike(last, REBOOT)
    made = world.made()
    assert made.nodes[first.instance_id].rebooting
    assert not made.nodes[last.instance_id].rebooting


def test_a_fault_that_comes_back_climbs_the_ladder_until_a_person_looks() -> None:
    world = SickWorld(1, 1)
    for expected in ("reboot", "replace", "replace"):
        before = world.members[1]
        world.strike(before, REBOOT)
        world.settle()
        after = world.members[1]
        assert (after.instance_id == before.instance_id) is (expected == "reboot")
        assert after.mended[-1].remedy == expected
        assert after.health is Health.HEALTHY
    world.strike(world.members[1], REBOOT)
    world.settle()
    left = world.members[1]
    assert (left.status, left.health) == (NodeStatus.RUNNING, Health.UNHEALTHY)
    assert world.outlook_of(left)["next"].endswith("replaced twice for xid-79 within 604800 s")


@pytest.mark.parametrize(
    ("request_more", "catalogue", "words"),
    [
        ({"NodeRecovery": "None"}, CATALOGUE, "nothing: NodeRecovery is None (else: replace)"),
        ({}, read_catalogue(TABLE, CODES, observed=frozenset({"xid-64"})), "xid-64 is only observed"),
    ],
)
def test_recovery_none_and_observe_change_the_deeds_and_not_the_verdict(
    request_more: dict[str, Any], catalogue: Catalogue, words: str
) -> None:
    world = SickWorld(1, 1, **request_more)
    node = world.members[1]
    finding = Finding(fault="xid", code=64, at_ms=epoch_ms(world.now), text="x", source="kmsg")
    world.nodes[node.instance_id] = replace(node, faults=assess((), finding, catalogue))
    world.settle()
    after = world.nodes[node.instance_id]
    assert (after.status, after.health, after.fault) == (NodeStatus.RUNNING, Health.UNHEALTHY, "NvidiaErrorTerminate")
    assert words in world.outlook_of(after)["next"]


@pytest.mark.parametrize("recovery", ["None", "Automatic"])
def test_what_no_repair_mends_is_said_to_be_a_persons_whatever_the_recovery(recovery: str) -> None:
    world = SickWorld(1, 1, NodeRecovery=recovery)
    node = world.members[1]
    finding = Finding(fault="disk-full", subject="/", at_ms=epoch_ms(world.now), text="x", source="disk")
    world.nodes[node.instance_id] = replace(node, faults=assess((), finding, CATALOGUE))
    world.settle()
    told = world.outlook_of(world.nodes[node.instance_id])["next"]
    assert told == "nothing: no repair from here mends this; a person should look"


def resetting(*counts: int, health: HealthPolicy | None = None) -> SickWorld:
    """A world whose agents can reset GPUs."""
    world = SickWorld(*counts, health=health)
    world.links = {key: replace(link, resets=True) for key, link in world.links.items()}
    world.settle()
    return world


def hung(world: SickWorld, node: Node) -> Node:
    """The node with a GPU that a reset mends, as the plan has it."""
    world.strike(node, HUNG)
    world.turn()
    return world.nodes[node.instance_id]


def answer(world: SickWorld, node: Node, failed: str = "") -> None:
    report = GpuResetEnded(n=1, work=node.reset_work, at_ms=epoch_ms(world.now), failed=failed)
    world.nodes[node.instance_id] = effect(report, CATALOGUE)(world.nodes[node.instance_id])


def test_a_gpu_is_reset_while_its_node_runs_and_is_well_again() -> None:
    world = resetting(1, 1)
    sick = hung(world, world.members[1])
    assert sick.reset is not None
    assert (sick.status, sick.health, sick.reset.gpus) == (NodeStatus.RUNNING, Health.UNHEALTHY, (GPU,))
    assert sick.advice == "The GPUs with the fault are reset as soon as they may be. Please wait."
    assert sick.reset_work in world.links[sick.instance_id].ordered
    outlook = world.outlook_of(sick)
    assert outlook["next"] == f"{GPU} is reset (xid-46)"
    assert outlook["faults"][0]["ends"] == "when the GPU was reset, or the node rebooted"
    [told] = announce(world.living, world.living, {"i": world.members[0]}, {"i": sick}, world.now)
    assert b'"RepairAction":"None"' in told.body
    answer(world, sick)
    world.settle()
    well = world.nodes[sick.instance_id]
    assert (well.health, well.faults, well.reset, well.why) == (Health.HEALTHY, (), None, "")
    assert world.reboots == []
    again = hung(world, well)
    assert again.rebooting, "it did not last: the next rung"


def test_a_reset_that_fails_is_followed_by_a_reboot_that_says_why() -> None:
    world = resetting(1, 1)
    sick = hung(world, world.members[1])
    answer(world, sick, "GPU is in use by another process")
    world.turn()
    after = world.nodes[sick.instance_id]
    assert after.rebooting
    assert after.why == "xid-46, its GPU could not be reset: GPU is in use by another process"
    world.settle()
    assert world.nodes[sick.instance_id].health is Health.HEALTHY


@pytest.mark.parametrize("failed", ["", "GPU is in use by another process"])
@pytest.mark.parametrize("others", [(LEFT,), ()])
def test_a_reset_ends_also_when_a_person_called_its_fault_over_meanwhile(
    failed: str, others: tuple[tuple[str, int], ...]
) -> None:
    """It is waited for, even where nothing else keeps the node sick; then it is remembered no more, and the story says
    how it ended."""
    world = resetting(1, 1)
    for other in others:
        world.strike(world.members[1], other)
    sick = hung(world, world.nodes[world.members[1].instance_id])
    assert sick.reset is not None
    world.nodes[sick.instance_id] = replace(sick, faults=cleared(sick.faults, HUNG[0]), mended=())
    world.turn()
    waiting = world.nodes[sick.instance_id]
    assert (waiting.reset, waiting.health) == (sick.reset, Health.UNHEALTHY)
    answer(world, sick, failed)
    ended = world.nodes[sick.instance_id]
    told = tell(world.living, world.living, {"i": waiting}, {"i": ended}, world.now)
    words = "the reset of its GPUs failed" if failed else "the reset of its GPUs is done"
    assert [(one.what, one.why) for one in told] == [(f"{sick.name}: {words}", failed)]
    world.turn()
    after = world.nodes[sick.instance_id]
    assert (after.reset, after.mended) == (None, ())
    assert [(one.fault, one.code) for one in after.faults] == list(others)
    assert (after.health is Health.HEALTHY) is not bool(others)


def test_a_reset_of_which_nothing_is_heard_has_failed() -> None:
    world = resetting(1, 1, health=HealthPolicy(gpu_reset_limit_s=60))
    sick = hung(world, world.members[1])
    world.skip_to(world.now + later(89))
    assert world.nodes[sick.instance_id].reset is not None
    world.skip_to(world.now + later(2))
    assert world.nodes[sick.instance_id].mended[0].failed == "it did not end within 90 s"
    world.settle()
    assert world.reboots == [sick.instance_id]


def test_a_reset_is_ordered_once_on_each_link_and_the_answer_to_an_old_one_changes_nothing() -> None:
    world = resetting(1, 1)
    sick = hung(world, world.members[1])
    assert world.made().steps == ()
    world.links[sick.instance_id] = replace(world.links[sick.instance_id], ordered=frozenset())
    assert [type(step) for step in world.made().steps] == [ResetGpus]
    old = GpuResetEnded(n=1, work=f"gpu-reset/{sick.instance_id}/1", at_ms=0)
    assert effect(old, CATALOGUE)(sick) is sick


def test_a_restart_that_somebody_asks_for_absorbs_the_reset() -> None:
    world = resetting(1, 2)
    sick = hung(world, world.members[1])
    assert world.request_batch(REBOOT_NODES, sick.instance_id).done == (sick.instance_id,)
    world.settle()
    after = world.nodes[sick.instance_id]
    assert (world.reboots, after.reset, after.health) == ([sick.instance_id], None, Health.HEALTHY)


def test_resets_count_in_the_budget_and_a_node_that_dies_under_one_is_replaced() -> None:
    world = resetting(1, 4)
    first, second = hung(world, world.members[1]), hung(world, world.members[2])
    assert first.reset is not None
    assert second.reset is None
    assert any(f"{second.instance_id} waits for its gpu-reset: 1 of 5 nodes" in why for why in world.made().waiting)
    world.kill(first.instance_id)
    world.turn()
    assert world.nodes[first.instance_id].reset is None
    while world.nodes[second.instance_id].reset is None:
        world.pass_time()
    answer(world, world.nodes[second.instance_id])
    world.settle()
    assert {node.health for node in world.members} == {Health.HEALTHY}
    assert first.instance_id not in world.nodes


def test_a_fault_that_ends_makes_its_node_healthy_again() -> None:
    world = SickWorld(1, 1)
    node = world.members[1]
    world.strike(node, LEFT)
    world.settle()
    assert world.outlook_of(node)["next"] == "nothing: no repair from here mends this; a person should look"
    world.strike(node, LEFT, over=True)
    world.settle()
    assert world.nodes[node.instance_id].health is Health.HEALTHY
    assert world.nodes[node.instance_id].message == ""


def test_a_node_that_is_not_in_service_is_not_judged_and_keeps_its_faults() -> None:
    world = SickWorld(1, 1)
    node = world.members[1]
    world.kill(node.instance_id)
    world.strike(node, LEFT)
    made = world.made()
    assert made.nodes[node.instance_id].fault == "InstanceTerminated"
    assert made.nodes[node.instance_id].faults


def test_a_fault_that_has_to_last_wakes_the_planner_when_it_counts() -> None:
    world = SickWorld(1, 1)
    node = world.members[1]
    world.strike(node, ("nfs-silent", 0))
    made = world.made()
    assert made.nodes[node.instance_id].health is Health.HEALTHY
    assert made.wake_at is not None
    told = world.outlook_of(node)
    assert told["faults"][0]["why"] == "it counts only once it lasted 60 s"
    world.settle()
    assert world.nodes[node.instance_id].health is Health.UNHEALTHY


def test_a_repair_leaves_time_to_look_at_the_node_and_then_begins() -> None:
    world = SickWorld(1, 1, health=HealthPolicy(repair_delay_s=30))
    node = world.members[0]
    world.strike(node, REBOOT)
    made = world.made()
    sick = made.nodes[node.instance_id]
    assert (sick.health, sick.repair) == (Health.UNHEALTHY, None)
    assert any("it may be looked at for 30 s after its fault" in why for why in made.waiting)
    struck = world.now
    world.settle()
    [done] = world.nodes[node.instance_id].mended
    assert done.at_ms >= epoch_ms(struck + later(30))
    assert world.nodes[node.instance_id].health is Health.HEALTHY


def looked_at(world: SickWorld, **since: Any) -> Plan:
    """The plan while rules' commands look at some."""
    seen = Observed(machines=world.machines, links=world.links, since=world.since, looked_at=since)
    return plan(world.living, world.nodes, seen, world.policy, world.now, world.health, CATALOGUE)


def test_nobody_is_repaired_before_the_event_of_its_fault_is_told() -> None:
    world = SickWorld(1, 1)
    node = world.members[0].instance_id
    world.strike(world.members[0], REBOOT)
    made = looked_at(world)
    assert (made.nodes[node].health, made.nodes[node].due, made.nodes[node].rebooting) == ("Unhealthy", "Reboot", False)
    assert any("the commands of rules look at it first, for 60 s at most" in why for why in made.waiting)
    world.nodes = dict(made.nodes)
    assert looked_at(world).nodes[node].rebooting  # nobody wants to look


def test_a_repair_waits_for_the_commands_of_rules_and_not_for_ever() -> None:
    world = SickWorld(1, 1)
    node = world.members[0].instance_id
    world.strike(world.members[0], REBOOT)
    world.nodes, since = dict(looked_at(world).nodes), world.now
    waiting = looked_at(world, **{node: since})
    assert not waiting.nodes[node].rebooting
    assert waiting.wake_at is not None
    assert waiting.wake_at <= since + later(60)
    world.now = since + later(60)
    world.beat()
    assert looked_at(world, **{node: since}).nodes[node].rebooting


def test_a_repair_waits_for_no_command_where_the_policy_says_so() -> None:
    world = SickWorld(1, 1, health=HealthPolicy(commands_wait_max_s=0))
    node = world.members[0].instance_id
    world.strike(world.members[0], REBOOT)
    assert looked_at(world, **{node: world.now}).nodes[node].rebooting
