"""The fleet: observe, plan, commit, apply. One loop over all clusters; requests and reports come in beside it.

Every change of a cluster goes through `_commit`: records, events and story in one transaction. A lock per cluster
keeps requests, reports and plans from overtaking each other.
"""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tocsin.core import requests
from tocsin.core.batches import Batch, batch
from tocsin.core.commit import World, commit
from tocsin.core.faults import HealthPolicy
from tocsin.core.plan import Launch, Observed, Plan, Reboot, RunLifecycle, Step, Terminate, plan, refused, taken
from tocsin.core.policy import FleetPolicy
from tocsin.core.resource_config import resource_config
from tocsin.core.tell import line
from tocsin.model.changes import Change, Delete, Put, Tell
from tocsin.model.cluster import Cluster, Node, NodeCursor, cursor_of
from tocsin.model.errors import ResourceInUse, ResourceNotFound, Stale, StoreUnavailable
from tocsin.model.link import RunScript
from tocsin.model.logs import LogGroup
from tocsin.model.machine import LaunchOrder, LaunchRefused
from tocsin.model.names import Scope, split_arn
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Machines, NodeLinks, Store
from tocsin.services.mishaps import Mishaps

log = logging.getLogger(__name__)

# A pass that failed (machine not startable, store busy) is tried again after this time.
RETRY_PAUSE_S = 1.0
# Passes one cluster may take in a row before the others get their turn; every pass must bring it further.
PASSES_MAX = 20
BUNDLE_PATH = "/_tocsin/node/bundle"


class Fleet:
    """Owns all clusters of this server. `secret` signs the tokens by which agents prove whose they are."""

    def __init__(
        self,
        *,
        store: Store,
        machines: Machines,
        links: NodeLinks,
        clock: Clock,
        policy: FleetPolicy,
        secret: bytes,
        mishaps: Mishaps | None = None,
        health: HealthPolicy | None = None,
    ) -> None:
        self._store = store
        self._machines = machines
        self._links = links
        self._clock = clock
        self._policy = policy
        self._health = health or HealthPolicy()
        self._secret = secret
        self._mishaps = mishaps
        self._since = clock.now()
        self._worlds: dict[str, World] = {}  # by cluster id
        self._home: dict[str, str] = {}  # instance id -> cluster id
        self._cursors: dict[str, NodeCursor] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._dirty: set[str] = set()
        self._reconciling = ""
        self._wake = asyncio.Event()
        self._creating = asyncio.Lock()

    # What the doors see and ask for.

    def world_of(self, scope: Scope, name_or_arn: str) -> World:
        """The cluster of that name or ARN. Raises ResourceNotFound in AWS's words."""
        for world in self.worlds(scope):
            if name_or_arn in (world.cluster.name, world.cluster.arn):
                return world
        split = split_arn(name_or_arn)
        raise ResourceNotFound(
            f"Cluster with {'ARN' if split else 'name'} {name_or_arn} does not exist.",
        )

    def worlds(self, scope: Scope | None = None) -> list[World]:
        return [world for world in self._worlds.values() if scope in (None, world.cluster.scope)]

    def node(self, instance_id: str) -> tuple[World, Node] | None:
        world = self._worlds.get(self._home.get(instance_id, ""))
        return (world, world.nodes[instance_id]) if world and instance_id in world.nodes else None

    def token(self, instance_id: str) -> str:
        """What the instance's agent must show. Derived, so that nothing needs keeping."""
        return hmac.new(self._secret, instance_id.encode(), "sha256").hexdigest()

    async def create(self, scope: Scope, request: dict[str, Any], cluster_id: str) -> Cluster:
        """CreateCluster: record it in Creating and begin. Raises ResourceInUse, ResourceLimitExceeded, Validation."""
        async with self._creating:
            cluster = requests.create(request, scope=scope, cluster_id=cluster_id, now=self._clock.now())
            if any(world.cluster.name == cluster.name for world in self.worlds(scope)):
                raise ResourceInUse(f"Cluster with name {cluster.name} already exists.")
            everything = [world.cluster for world in self.worlds()]
            requests.check_limit([*everything, cluster], everything, self._policy.instances_max)
            wanted = ", ".join(f"{group.name} x{group.target}" for group in cluster.groups)
            group = LogGroup(scope=scope, name=cluster.log_group, created_ms=epoch_ms(self._clock.now()))
            told = self._told(cluster, "CreateCluster", wanted)
            await self._commit(None, World(cluster=cluster, nodes={}), Put(group), *told)
            return cluster

    async def update(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """UpdateCluster: the status flips before the answer. Raises ConflictException when an operation runs."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            cluster = requests.update(world.cluster, request)
            others = [other.cluster for other in self.worlds() if other.cluster.id != cluster.id]
            requests.check_limit([*others, cluster], [*others, world.cluster], self._policy.instances_max)
            return await self._request(world, cluster, "UpdateCluster")

    async def delete(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """DeleteCluster: from any status but Deleting."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            return await self._request(world, requests.delete(world.cluster), "DeleteCluster")

    async def batch(self, scope: Scope, operation: str, request: dict[str, Any]) -> Batch:
        """A batch operation on nodes, as far as they can be had."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            now = self._clock.now()
            made = batch(operation, world.cluster, world.nodes, request, now)
            asked = ", ".join([*made.done, *made.logical_done])
            told = [Tell(line(world.cluster, now, Chapter.REQUEST, operation, asked))] if asked else []
            await self._commit(world, replace(world, cluster=made.cluster, nodes=made.nodes), *told)
            return made

    async def retag(self, scope: Scope, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Apply a change to a cluster's tags and answer what they are then."""
        async with self._held(self.world_of(scope, arn)) as world:
            tags = change(world.cluster.tags)
            await self._commit(world, replace(world, cluster=replace(world.cluster, tags=tags)))
            return tags

    async def _request(self, world: World, cluster: Cluster, operation: str) -> Cluster:
        after = await self._commit(world, replace(world, cluster=cluster), *self._told(cluster, operation, ""))
        assert after is not None, "a request never removes the record"
        return after.cluster

    def _told(self, cluster: Cluster, operation: str, wanted: str) -> list[Change]:
        """The request, and what of it nothing here acts on: told once, not pretended."""
        now = self._clock.now()
        unheeded = requests.unheeded(cluster) if operation != "DeleteCluster" else []
        return [
            Tell(line(cluster, now, Chapter.REQUEST, operation, wanted)),
            *(Tell(line(cluster, now, Chapter.DECISION, f"kept but not acted on: {what}")) for what in unheeded),
        ]

    # What the nodes report.

    def heard_through(self, instance_id: str) -> int:
        """The number of the node's last committed report."""
        cursor = self._cursors.get(instance_id)
        return cursor.n if cursor else 0

    async def report(self, instance_id: str, n: int, change: Callable[[Node], Node], *extra: Change) -> None:
        """Commit a report's effect on its node and its number together. What was committed before is passed over.

        `extra` are further changes of the report, such as lines of a log.
        """
        found = self.node(instance_id)
        if found is None:
            return
        async with self._held(found[0]) as world:
            node = world.nodes.get(instance_id)
            cursor = self._cursors.get(instance_id)
            if node is None or n <= self.heard_through(instance_id):
                return
            moved = replace(cursor or cursor_of(node), n=n, revision=(cursor.revision if cursor else 0) + 1)
            after = replace(world, nodes=world.nodes | {instance_id: change(node)})
            await self._commit(world, after, Put(moved), *extra)
            self._cursors[instance_id] = moved

    def changed(self, instance_id: str) -> None:
        """Something about this node's machine or link is different: look at its cluster again."""
        self._mark(self._home.get(instance_id, ""))

    async def keep(self, instance_id: str, n: int, *changes: Change) -> bool:
        """Commit what a report leads to that changes nothing of its cluster, so without the cluster's lock: reports of
        many nodes share a trip to the disk. False when its number is known, or its node is not."""
        found, cursor = self.node(instance_id), self._cursors.get(instance_id)
        if found is None or n <= self.heard_through(instance_id):
            return False
        old = cursor or cursor_of(found[1])
        moved = replace(old, n=n, revision=old.revision + 1)
        await self._store.commit(Put(moved), *changes)
        self._cursors[instance_id] = moved
        return True

    # The loop.

    @property
    def idle(self) -> bool:
        """Whether nothing is to be planned until something changes, or time passes."""
        return not self._dirty and not self._reconciling

    async def load(self) -> None:
        """Read all clusters and nodes; every one of them is looked at once."""
        clusters = await self._store.find(Cluster)
        nodes = await self._store.find(Node)
        self._cursors = {cursor.instance_id: cursor for cursor in await self._store.find(NodeCursor)}
        for cluster in clusters:
            members = {node.instance_id: node for node in nodes if node.cluster_id == cluster.id}
            world = World(cluster=cluster, nodes=members)
            self._remember(world, world)
        for instance_id in self._machines.seen():
            if instance_id not in self._home:
                log.warning("machine %s belongs to no cluster: it is ended", instance_id)
                await self._machines.terminate(instance_id)

    async def run(self) -> None:
        """Reconcile whatever is marked or due, for ever."""
        while True:
            self._mark_due(self._clock.now())
            while self._dirty:
                self._reconciling = self._dirty.pop()
                await self._reconcile(self._reconciling)
            self._reconciling = ""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()

    def _mark(self, cluster_id: str) -> None:
        if cluster_id in self._worlds:
            self._dirty.add(cluster_id)
            self._wake.set()

    def _mark_due(self, now: datetime) -> None:
        self._dirty |= {key for key, world in self._worlds.items() if world.wake_at and world.wake_at <= now}

    def _pause(self) -> float | None:
        """Seconds until a plan wants to be made again; None when none does."""
        due = [world.wake_at for world in self._worlds.values() if world.wake_at]
        return max(0.0, (min(due) - self._clock.now()).total_seconds()) if due else None

    async def _reconcile(self, cluster_id: str) -> None:
        try:
            async with self._lock(cluster_id):
                await self._settle(cluster_id)
        except (Stale, StoreUnavailable, OSError) as error:
            log.warning("cluster %s: %s; trying again", cluster_id, error)
            self._postpone(cluster_id)
        except Exception:
            log.exception("cluster %s: planning failed; trying again", cluster_id)
            self._postpone(cluster_id)

    def _postpone(self, cluster_id: str) -> None:
        world = self._worlds.get(cluster_id)
        if world:
            self._worlds[cluster_id] = replace(world, wake_at=self._clock.now() + timedelta(seconds=RETRY_PAUSE_S))

    async def _settle(self, cluster_id: str) -> None:
        """Plan, commit and apply until nothing changes any more."""
        for _ in range(PASSES_MAX):
            world = self._worlds.get(cluster_id)
            if world is None:
                return
            made = self._plan(world)
            planned = _world(made)
            if planned and (planned.cluster, planned.nodes) == (world.cluster, world.nodes):
                self._worlds[cluster_id] = planned
                await self._apply(made)
                return
            await self._commit(world, planned)
            await self._apply(made)
        self._mark(cluster_id)

    def _plan(self, world: World) -> Plan:
        seen = Observed(machines=self._machines.seen(), links=self._links.seen(), since=self._since)
        return plan(world.cluster, world.nodes, seen, self._policy, self._clock.now(), self._health)

    async def _apply(self, made: Plan) -> None:
        """Take every step, whatever becomes of the others; what failed is planned again."""
        failed: OSError | None = None
        traces: dict[str, Node] = {}
        for step in made.steps:
            trace, begun = None, self._clock.now()
            try:
                await self._take(step, made)
                trace = taken(step, begun)
            except LaunchRefused as error:
                trace = refused(step, str(error), self._policy, self._clock.now())
            except OSError as error:
                log.warning("%s of %s failed: %s", type(step).__name__, step.node.instance_id, error)
                failed = error
            if trace:
                traces[trace.instance_id] = trace
        await self._trace(made, traces)
        if failed:
            raise failed

    async def _trace(self, made: Plan, traces: dict[str, Node]) -> None:
        """Commit what the steps left on nodes. Its lock is held, so the cluster is as the plan has it."""
        world = self._worlds.get(made.cluster.id) if made.cluster else None
        if world and traces:
            await self._commit(world, replace(world, nodes=world.nodes | traces))

    async def _take(self, step: Step, made: Plan) -> None:
        match step:
            case Launch(node):
                await self._machines.launch(await self._launch_order(node, made))
            case Terminate(node):
                await self._machines.terminate(node.instance_id)
            case Reboot(node):
                await self._machines.reboot(node.instance_id)
            case RunLifecycle(node):
                self._links.send(node.instance_id, await self._script_order(node, made))

    async def _launch_order(self, node: Node, made: Plan) -> LaunchOrder:
        """Raises LaunchRefused where somebody asked for that."""
        assert made.cluster is not None, "only nodes of a cluster are launched"
        order = LaunchOrder(
            instance_id=node.instance_id,
            cluster_name=made.cluster.name,
            group=node.group,
            instance_type=node.instance_type,
            address=node.address,
            token=self.token(node.instance_id),
        )
        if self._mishaps is None or node.joined:
            return order
        return await self._mishaps.at_launch(order, made.cluster, node)

    async def _script_order(self, node: Node, made: Plan) -> RunScript:
        assert made.cluster is not None, "only nodes of a cluster run scripts"
        group = next(group for group in made.cluster.groups if group.name == node.group)
        order = RunScript(
            work=node.script_work,
            source=group.lifecycle["SourceS3Uri"],
            bundle_path=BUNDLE_PATH,
            on_create=group.lifecycle["OnCreate"],
            resource_config=resource_config(made.cluster, made.nodes.values()),
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
        )
        return await self._mishaps.at_script(order, made.cluster, node) if self._mishaps else order

    # Commits.

    def _lock(self, cluster_id: str) -> asyncio.Lock:
        return self._locks.setdefault(cluster_id, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def _held(self, world: World) -> AsyncIterator[World]:
        """The cluster's lock, with the world as it is once the lock is had."""
        cluster = world.cluster
        async with self._lock(cluster.id):
            current = self._worlds.get(cluster.id)
            if current is None:
                raise ResourceNotFound(f"Cluster with name {cluster.name} does not exist.")
            yield current

    async def _commit(self, before: World | None, after: World | None, *extra: Change) -> World | None:
        """Make the step from `before` to `after` durable: records, events, story, and `extra`, all or nothing."""
        world, changes = commit(before, after, self._clock.now())
        gone = [key for key in (before.nodes if before else ()) if world is None or key not in world.nodes]
        farewell = [Delete(self._cursors[key]) for key in gone if key in self._cursors]
        await self._store.commit(*extra, *changes, *farewell)
        self._remember(before or after, world)
        return world

    def _remember(self, known: World | None, world: World | None) -> None:
        """Have the world as it now is, in place of the one known before."""
        assert known is not None, "something was committed"
        cluster_id = known.cluster.id
        for instance_id in known.nodes:
            if world is None or instance_id not in world.nodes:
                self._home.pop(instance_id, None)
                self._cursors.pop(instance_id, None)
        if world is None:
            self._worlds.pop(cluster_id, None)
            return
        self._worlds[cluster_id] = world
        self._home.update(dict.fromkeys(world.nodes, cluster_id))
        self._mark(cluster_id)


def _world(made: Plan) -> World | None:
    if made.cluster is None:
        return None
    return World(cluster=made.cluster, nodes=made.nodes, waiting=made.waiting, wake_at=made.wake_at)
