"""What the fleet orders: a machine for a node, a script for its agent. Failures on demand are met here."""

from collections.abc import Callable, Iterable

from tocsin.core.faults import HealthPolicy
from tocsin.core.plan import Answer, Plan, ResetGpus, RunDeep, RunLifecycle
from tocsin.core.policy import FleetPolicy
from tocsin.model.cluster import Node
from tocsin.model.deep import Peer
from tocsin.model.link import AnswerPeers, Order, RunDeepCheck, RunGpuReset, RunScript
from tocsin.model.machine import LaunchOrder
from tocsin.services.mishaps import Mishaps

BUNDLE_PATH = "/_tocsin/node/bundle"
RESOURCE_CONFIG_PATH = "/_tocsin/node/resource-config"


class Orders:
    """`token` is what an instance's agent must show."""

    def __init__(
        self, policy: FleetPolicy, health: HealthPolicy, token: Callable[[str], str], mishaps: Mishaps | None
    ) -> None:
        self._policy = policy
        self._health = health
        self._token = token
        self._mishaps = mishaps

    async def launch(self, node: Node, made: Plan) -> LaunchOrder:
        """Raises LaunchRefused where somebody asked for that."""
        assert made.cluster is not None, "only nodes of a cluster are launched"
        order = LaunchOrder(
            instance_id=node.instance_id,
            cluster_name=made.cluster.name,
            group=node.group,
            instance_type=node.instance_type,
            address=node.address,
            token=self._token(node.instance_id),
        )
        if self._mishaps is None or node.joined:
            return order
        return await self._mishaps.at_launch(order, made.cluster, node)

    async def of_agent(self, step: RunLifecycle | RunDeep | ResetGpus | Answer, made: Plan) -> Order:
        """What the node's agent is to do."""
        match step:
            case RunDeep():
                return await self._check(step, made)
            case ResetGpus(node):
                assert node.reset is not None, "only a reset that is under way is ordered"
                limit_s = self._health.gpu_reset_limit_s
                return RunGpuReset(work=node.reset_work, gpus=node.reset.gpus, time_limit_s=limit_s)
            case Answer(node, work):
                health = self._health
                return AnswerPeers(
                    work=work,
                    address=node.address,
                    port=health.deep_port,
                    secret=self._secret(node),
                    for_s=health.deep_time_limit_s,
                )
        return await self.script(step.node, made)

    def _secret(self, node: Node) -> str:
        """What the nodes of a group know each other by."""
        return self._token(f"deep/{node.cluster_id}/{node.group}")

    async def _check(self, step: RunDeep, made: Plan) -> RunDeepCheck:
        assert made.cluster is not None, "only nodes of a cluster are checked"
        assert step.node.deep is not None, "only a check that is due is ordered"
        order = RunDeepCheck(
            work=step.node.deep_work,
            kinds=step.node.deep.kinds,
            address=step.node.address,
            port=self._health.deep_port,
            secret=self._secret(step.node),
            peers=_peers(step.peers),
            ring=_peers(step.ring),
            seconds=self._health.deep_test_s,
            time_limit_s=self._health.deep_time_limit_s,
            dcgm_level=self._health.deep_dcgm_level,
        )
        return await self._mishaps.at_check(order, made.cluster, step.node) if self._mishaps else order

    async def script(self, node: Node, made: Plan) -> RunScript:
        assert made.cluster is not None, "only nodes of a cluster run scripts"
        group = next(group for group in made.cluster.groups if group.name == node.group)
        scripts = [group.lifecycle[name] for name in ("OnCreate", "OnInitComplete") if group.lifecycle.get(name)]
        order = RunScript(
            work=node.script_work,
            source=group.lifecycle["SourceS3Uri"],
            bundle_path=BUNDLE_PATH,
            on_create=scripts[0],
            then="".join(scripts[1:]),
            resource_config_path=RESOURCE_CONFIG_PATH,
            environment={
                "TOCSIN_INSTANCE_ID": node.instance_id,
                "TOCSIN_INSTANCE_GROUP": node.group,
                "TOCSIN_INSTANCE_NAME": node.name,
                "TOCSIN_INSTANCE_ADDRESS": node.address,
                "TOCSIN_CLUSTER_NAME": made.cluster.name,
                "TOCSIN_CLUSTER_ID": made.cluster.id,
            },
            time_limit_s=self._policy.script_time_limit_s,
            output_bytes_max=self._policy.script_output_bytes_max,
            fresh=node.runs > 0,
        )
        return await self._mishaps.at_script(order, made.cluster, node) if self._mishaps else order


def _peers(nodes: Iterable[Node]) -> tuple[Peer, ...]:
    return tuple(Peer(instance_id=one.instance_id, address=one.address) for one in nodes)
