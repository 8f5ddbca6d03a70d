"""Drains: who is drained, resumed and free of jobs; the adapter on commands that say what they are told."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.test_heal import LEFT, REBOOT, SickWorld
from tests.core.world import later
from tests.faults.table import finding, known_of
from tocsin.core.drains import decide
from tocsin.core.faults import HealthPolicy
from tocsin.core.plan import plan
from tocsin.core.plan.steps import Observed
from tocsin.model.cluster import Health, Node, Repair
from tocsin.model.scheduling import Job, Scheduled
from tocsin.orchestrators.slurm import Slurm, hosts_in, read_job, read_node

IDLE, BUSY = Scheduled(busy=False, drained=False), Scheduled(busy=True, drained=False)


def drained(reason: str = "HMA:DiskFull", *, busy: bool = False) -> Scheduled:
    return Scheduled(busy=busy, drained=True, reason=reason)


def sick_and_well() -> tuple[Node, Node]:
    world = SickWorld(1, 2, NodeRecovery="None")
    world.strike(world.members[1], LEFT)
    world.settle()
    _, sick, well = world.members
    return sick, well


SICK, WELL = sick_and_well()


def test_who_is_unhealthy_is_drained_once_and_with_the_fault_as_reason() -> None:
    members = [("n1", SICK), ("n2", WELL)]
    made = decide(members, {"n1": BUSY, "n2": IDLE})
    assert made.drain == {"HMA:DiskFull": ("n1",)}
    assert (made.resume, made.free, made.asked) == ((), frozenset(), {})
    assert decide(members, {"n1": drained(busy=True), "n2": IDLE}).drain == {}


def test_who_is_healthy_again_is_resumed_and_nobody_else_is() -> None:
    for reason, resumed in (("HMA:DiskFull", True), ("kicked by admin", False), ("", False)):
        made = decide([("n2", WELL)], {"n2": drained(reason)})
        assert made.resume == (("n2",) if resumed else ())
    assert decide([("n1", SICK)], {"n1": drained()}).resume == ()


def test_idle_is_who_has_no_jobs_of_those_that_wait_for_it() -> None:
    waiting = replace(WELL, faults=known_of(finding("xid", 63, subject="0000:3b:00")))
    for there, idle in ((IDLE, True), (BUSY, False), (drained(), True), (drained(busy=True), False)):
        assert decide([("n2", waiting)], {"n2": there}).idle == ({WELL.instance_id} if idle else set())
    assert decide([("n2", waiting)], {}).idle == set()  # nobody knows
    assert decide([("n1", SICK)], {"n1": IDLE}).idle == set()


def test_free_is_who_is_drained_without_jobs_or_not_known_at_all() -> None:
    ours = SICK.instance_id
    for there, free in ((drained(), True), (drained(busy=True), False), (IDLE, False), (BUSY, False)):
        assert (ours in decide([("n1", SICK)], {"n1": there}).free) is free
    assert ours in decide([("n1", SICK)], {}).free


@pytest.mark.parametrize(
    ("reason", "repair"),
    [
        ("Action:Reboot", Repair.REBOOT),
        ("Action:Replace", Repair.REPLACE),
        ("action:replace", None),
        ("Action: Reboot", None),
        ("Action:Replace.", None),
    ],
)
def test_an_administrators_wish_is_taken_up_only_in_the_exact_words(reason: str, repair: Repair | None) -> None:
    made = decide([("n2", WELL)], {"n2": drained(reason)})
    assert made.asked == ({WELL.instance_id: repair} if repair else {})
    assert made.drain == ({f"HMA:{reason}": ("n2",)} if repair else {})
    again = decide([("n2", replace(WELL, instance_id="i-its-replacement"))], {"n2": drained(f"HMA:{reason}")})
    assert (again.asked, again.drain, again.resume) == ({}, {}, ("n2",))


def test_no_repair_begins_under_a_running_job_unless_the_policy_says_so() -> None:
    for limit_s in (0.0, 60.0):
        world = SickWorld(1, 1, health=HealthPolicy(jobs_wait_max_s=limit_s))
        node = world.members[1]
        world.strike(node, REBOOT)

        def made(world: SickWorld, free: frozenset[str]) -> Any:
            seen = Observed(machines=world.machines, links=world.links, since=world.since, free=free)
            return plan(world.living, world.nodes, seen, world.policy, world.now, world.health)

        waiting = made(world, frozenset())
        assert waiting.nodes[node.instance_id].health is Health.UNHEALTHY
        assert waiting.waiting == (f"{node.instance_id} waits for its reboot: its jobs have not ended",)
        assert made(world, frozenset({node.instance_id})).nodes[node.instance_id].rebooting
        world.now += later(61)
        world.beat()
        assert made(world, frozenset()).nodes[node.instance_id].rebooting is bool(limit_s)


@pytest.mark.parametrize(
    ("line", "busy", "is_drained", "reason"),
    [
        ("node1|idle|none", False, False, ""),
        ("node1|idle*|none", False, False, ""),
        ("node1|allocated|none", True, False, ""),
        ("node1|mixed|none", True, False, ""),
        ("node1|draining|HMA:NvidiaErrorReboot", True, True, "HMA:NvidiaErrorReboot"),
        ("node1|drained*|HMA:NvidiaErrorReboot", False, True, "HMA:NvidiaErrorReboot"),
        ("node1|failing|Action:Replace", True, True, "Action:Replace"),
        ("node1|fail|Action:Replace", False, True, "Action:Replace"),
        ("node1|down*|Not responding", False, True, "Not responding"),
    ],
)
def test_a_line_of_sinfo_is_read(line: str, busy: bool, is_drained: bool, reason: str) -> None:
    reached = "*" not in line
    assert read_node(line) == ("node1", Scheduled(busy=busy, drained=is_drained, reached=reached, reason=reason))


def test_reached_is_whom_the_workload_manager_reaches_of_those_it_knows() -> None:
    for there, reached in ((IDLE, True), (replace(IDLE, reached=False), False)):
        assert decide([("n1", SICK)], {"n1": there}).reached == {SICK.instance_id: reached}
    assert decide([("n1", SICK)], {}).reached == {}


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("7|RUNNING|100|NONE|n[1-2]", Job(id="7", nodes=frozenset({"n1", "n2"}), since_ms=100_000)),
        ("7|RUNNING|100|900|n1", Job(id="7", nodes=frozenset({"n1"}), since_ms=100_000)),  # its time would be up then
        ("7|COMPLETING|100|160|n1", Job(id="7", nodes=frozenset({"n1"}), since_ms=100_000)),
        ("7|FAILED|100|160|n1", Job(id="7", nodes=frozenset({"n1"}), since_ms=100_000, until_ms=160_000)),
        ("7|NODE_FAIL|100|160|n1", Job(id="7", nodes=frozenset({"n1"}), since_ms=100_000, until_ms=160_000)),
        ("7|PENDING|N/A|N/A|", None),
        ("7|CANCELLED|100|100|", None),
        ("slurm_load_jobs error", None),
    ],
)
def test_a_line_of_squeue_is_read(line: str, job: Job | None) -> None:
    assert read_job(line) == job


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-3,5],login", ["n1", "n2", "n3", "n5", "login"]),
        ("gpu-[008-010]", ["gpu-008", "gpu-009", "gpu-010"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("ip-10-1-[2-3]-4", ["ip-10-1-2-4", "ip-10-1-3-4"]),
    ],
)
def test_a_list_of_nodes_is_read_as_slurm_writes_it(listed: str, names: list[str]) -> None:
    assert list(hosts_in(listed)) == names


@pytest.mark.parametrize("line", ["", "node1", "|idle|none"])
def test_what_is_no_node_is_passed_over(line: str) -> None:
    assert read_node(line) is None


def test_the_commands_are_given_many_nodes_at_once_and_their_errors_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("scontrol", "sinfo"):
        (tmp_path / command).write_text(
            f"#!/bin/sh\necho \"$SLURM_CONF $@\" >> '{tmp_path}/asked'\n"
            "case \"$*\" in *resume*) echo invalid node; exit 1;; esac\necho 'n1|idle|none'\n"
        )
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    slurm = Slurm("/the/conf")
    assert asyncio.run(_seen(slurm)) == {"n1": IDLE}
    asyncio.run(slurm.drain(("n1", "n2"), "HMA:DiskFull"))
    assert "/the/conf update nodename=n1,n2 state=drain reason=HMA:DiskFull" in (tmp_path / "asked").read_text()
    with pytest.raises(OSError, match="scontrol: invalid node"):
        asyncio.run(slurm.resume(("n1",)))


def test_more_nodes_than_one_command_takes_are_drained_by_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 names in one argument would be refused by the system."""
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho \"$2\" >> '{tmp_path}/asked'\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    names = [f"ip-10-100-{number // 256}-{number % 256}" for number in range(10_000)]
    asyncio.run(Slurm().drain(names, "HMA:DiskFull"))
    asked = [line.removeprefix("nodename=").split(",") for line in (tmp_path / "asked").read_text().splitlines()]
    assert len(asked) == 2
    assert [name for some in asked for name in some] == names


def test_a_thousand_nodes_that_turn_at_once_are_drained_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho \"$2\" >> '{tmp_path}/asked'\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    names = [f"worker-{number}" for number in range(1000)]
    made = decide([(name, SICK) for name in names], dict.fromkeys(names, BUSY))
    [(reason, drained_together)] = made.drain.items()
    asyncio.run(Slurm().drain(drained_together, reason))
    [asked] = (tmp_path / "asked").read_text().splitlines()
    assert asked == f"nodename={','.join(names)}"


async def _seen(slurm: Slurm) -> dict[str, Scheduled]:
    return dict(await slurm.seen())


def test_repairs_that_were_decided_do_not_ask_for_a_drain_again() -> None:
    gone = replace(SICK, repair=Repair.REPLACE)
    assert decide([("n1", gone)], {"n1": drained()}).drain == {}
