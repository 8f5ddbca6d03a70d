"""Counts of node health: what each commit adds to them."""

from msgspec.structs import replace

from tests.core.test_heal import SickWorld
from tests.core.world import SmallWorld, group_spec
from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.core.plan.resets import ended
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.health import GpuReset, Mended, Remedy
from tocsin.model.link import GpuResetEnded
from tocsin.model.times import epoch_ms
from tocsin.services.sickness import Sickness


def test_a_reset_that_fails_is_counted_beside_those_that_began() -> None:
    small = SmallWorld(group_spec("workers", 1))
    small.settle()
    [well] = small.nodes.values()
    sickness = Sickness(lambda: 0)

    def commit(before: Node, after: Node) -> Node:
        old, new = (World(cluster=small.living, nodes=Members({one.instance_id: one})) for one in (before, after))
        sickness.moved(old, new, [well.instance_id])
        return after

    for failed, failures in (("", 0), ("it is in use", 1)):
        begun = Mended(fault="xid-46", remedy=Remedy.GPU_RESET, at_ms=1)
        sick = replace(well, reset=GpuReset(gpus=("0000:b9:00",), at=small.now), mended=(*well.mended, begun))
        commit(well, sick)
        report = GpuResetEnded(n=1, work=sick.reset_work, at_ms=2, failed=failed)
        well = commit(sick, ended(sick, report))
        assert sickness.failed == failures
    assert sickness.repairs[Remedy.GPU_RESET] == 2


def test_it_is_measured_how_long_a_fault_took_to_be_known_and_to_be_told() -> None:
    world = SickWorld(1)
    [well] = world.members
    begin_ms = epoch_ms(world.now)
    clock = [begin_ms]
    sickness = Sickness(lambda: clock[0])

    def commit(before: Node, after: Node, at_ms: int) -> None:
        clock[0] = begin_ms + at_ms
        old, new = (World(cluster=world.living, nodes=Members({one.instance_id: one})) for one in (before, after))
        sickness.moved(old, new, [well.instance_id])

    world.strike(well, ("xid", 79))
    struck = world.nodes[well.instance_id]
    commit(well, struck, 4)
    world.strike(struck, ("xid", 79))
    commit(struck, world.nodes[well.instance_id], 5)  # the same fault again is no new one
    assert (sickness.found_s.sum, sum(sickness.found_s.counts)) == (0.004, 1)
    world.turn()
    commit(struck, world.nodes[well.instance_id], 90)
    assert (sickness.told_s.sum, sum(sickness.told_s.counts)) == (0.09, 1)
    world.settle()
    commit(struck, world.nodes[well.instance_id], 100)
    assert sum(sickness.told_s.counts) == 1, "who is well again is not told as sick"


def test_a_software_update_reboots_nodes_and_repairs_none() -> None:
    small = SmallWorld(group_spec("workers", 1))
    small.settle()
    [well] = small.nodes.values()
    sickness = Sickness(lambda: 0)
    for status, counted in ((NodeStatus.SYSTEM_UPDATING, 0), (NodeStatus.PENDING, 1)):
        rebooting = replace(well, status=status, reboot_due=True)
        old, new = (World(cluster=small.living, nodes=Members({one.instance_id: one})) for one in (well, rebooting))
        sickness.moved(old, new, [well.instance_id])
        assert sickness.repairs[Remedy.REBOOT] == counted
