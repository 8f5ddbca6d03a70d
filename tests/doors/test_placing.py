"""Names of nodes -> nodes."""

from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.commit import World
from tocsin.core.members import Members
from tocsin.doors.own.placing import called
from tocsin.model.cluster import NodeStatus


def test_a_name_means_the_replacement_while_the_old_one_leaves() -> None:
    small = SmallWorld(group_spec("w", 1))
    small.turn()
    [node] = small.nodes.values()
    leaving = replace(node, status=NodeStatus.SHUTTING_DOWN)
    heir = replace(node, instance_id="i-2", replaces=node.instance_id)
    for there, meant in (([leaving, heir], [heir]), ([leaving], [leaving]), ([node, heir], [node, heir])):
        world = World(cluster=small.living, nodes=Members({one.instance_id: one for one in there}))
        assert [one for _, one in called([world], "w-1")] == meant
