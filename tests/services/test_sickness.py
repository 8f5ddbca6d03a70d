"""Counts of node health: what each commit adds to them."""

from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.core.plan.resets import ended
from tocsin.model.cluster import Node
from tocsin.model.health import GpuReset, Mended, Remedy
from tocsin.model.link import GpuResetEnded
from tocsin.services.sickness import Sickness


def test_a_reset_that_fails_is_counted_beside_those_that_began() -> None:
    small = SmallWorld(group_spec("workers", 1))
    small.settle()
    [well] = small.nodes.values()
    sickness = Sickness()

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
