"""Software updates with alarms, deep health checks, scaling, batches and deaths, one across the other, in both modes of
provisioning: once nothing breaks any more, a cluster comes to rest as it is wanted."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_members import NewsWorld
from tests.core.test_plan import CONTROLLER, WORKER, act, acts
from tests.core.world import group_spec
from tocsin.core.deep import start
from tocsin.core.policy import FleetPolicy
from tocsin.core.reports import checked
from tocsin.model.cluster import ClusterStatus, Node, NodeStatus
from tocsin.model.deep import CheckResult, DeepKind
from tocsin.model.errors import Conflict, Validation
from tocsin.model.link import CheckEnded
from tocsin.model.operation import OperationStatus


class CheckedWorld(NewsWorld):
    """Agents that end their deep health checks at once; the node at place `sick` of each group fails them."""

    sick = 0

    def turn(self) -> bool:
        moved = super().turn()
        checking = [node for node in self.nodes.values() if self._checks(node)]
        for node in checking:
            outcome = "failed" if node.index == self.sick else "passed"
            result = CheckResult(kind=DeepKind.STRESS, test="disk", outcome=outcome)
            report = CheckEnded(n=1, work=node.deep_work, at_ms=0, results=(result,))
            self.nodes[node.instance_id] = checked(node, report)
        return moved or bool(checking)

    def _checks(self, node: Node) -> bool:
        link = self.links.get(node.instance_id)
        on_it = node.status is NodeStatus.DEEP_HEALTH_CHECK and node.deep is not None and not node.deep.ended
        return on_it and link is not None and link.connected

    def request_check(self) -> None:
        checks = {"InstanceGroupName": self.living.groups[-1].name, "DeepHealthChecks": [*DeepKind]}
        asked = {"DeepHealthCheckConfigurations": [checks]}
        self.cluster, nodes = start(self.living, self.nodes, asked, self.now)
        self.nodes = dict(nodes)


OTHERS = st.tuples(st.sampled_from(["update", "ring", "hush", "check", "sicken"]), st.integers(0, 4))


def do(world: CheckedWorld, verb: str, number: int) -> None:
    if verb == "update":
        rolling = {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": max(1, number)}}
        config: dict[str, Any] = {"RollingUpdatePolicy": rolling, "WaitIntervalInSeconds": number * 30}
        with contextlib.suppress(Conflict, Validation):
            world.request_software(DeploymentConfig={**config, "AutoRollbackConfiguration": [{"AlarmName": "alarm"}]})
    elif verb == "check":
        with contextlib.suppress(Conflict, Validation):
            world.request_check()
    elif verb in ("ring", "hush"):
        world.alarms = frozenset({"alarm"} if verb == "ring" else ())
    elif verb == "sicken":
        world.sick = number
    else:
        act(world, verb, number)


@settings(max_examples=100, deadline=None)
@given(st.lists(OTHERS | OTHERS | acts(), min_size=4, max_size=14), st.integers(1, 4), st.booleans())
def test_whatever_is_asked_for_at_once_a_faultless_world_settles_as_wanted(
    story: list[tuple[str, int]], workers: int, continuous: bool
) -> None:
    mode = {"NodeProvisioningMode": "Continuous"} if continuous else {}
    groups = group_spec(CONTROLLER, 1), group_spec(WORKER, workers)
    world = CheckedWorld(*groups, policy=FleetPolicy(replacements_at_once_max=2), **mode)
    world.settle()
    for verb, number in story:
        do(world, verb, number)
        world.turn()
    world.broken, world.alarms, world.sick = set(), frozenset(), 0
    world.settle()
    assert world.living.status in (ClusterStatus.IN_SERVICE, ClusterStatus.FAILED)
    assert {node.status for node in world.nodes.values()} <= {NodeStatus.RUNNING}
    for group in world.living.groups:
        alive = world.running(group.name)
        assert len({node.index for node in alive}) == len(alive) == group.wanted
        assert all(node.image.n == group.image.n for node in alive)
        assert group.update is None or not group.update.open
    assert OperationStatus.IN_PROGRESS not in {one.status for one in world.living.operations}
