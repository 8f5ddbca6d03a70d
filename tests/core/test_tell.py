"""The story's lines: what is told of a node, and why."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.tell import tell
from tocsin.model.cluster import ClusterStatus, NodeStatus


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (ClusterStatus.IN_SERVICE, "another one is tried"),
        (ClusterStatus.CREATING, "another one is tried"),
        (ClusterStatus.ROLLING_BACK, ""),
        (ClusterStatus.FAILED, ""),
        (ClusterStatus.DELETING, ""),
    ],
)
def test_another_is_tried_only_where_the_cluster_has_not_given_up(status: ClusterStatus, why: str) -> None:
    world = SmallWorld(group_spec("w", 1))
    world.turn()
    [node] = world.nodes.values()
    failed = replace(node, status=NodeStatus.FAILURE, retry_at=world.now + timedelta(seconds=5))
    leaving = replace(failed, status=NodeStatus.SHUTTING_DOWN)
    cluster = replace(world.living, status=status)
    [line] = tell(cluster, cluster, {"i": failed}, {"i": leaving}, world.now)
    assert (line.what, line.why) == ("w-1: Failure → ShuttingDown", why)
