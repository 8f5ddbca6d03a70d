"""The fleet: observe, plan, commit, apply. One loop over all clusters; requests come in beside it.

How a cluster is locked and changed is in services/clusters.py, what nodes report in services/hearing.py.
"""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tocsin.core import additions, batches, deep, requests, software
from tocsin.core.commit import World
from tocsin.core.faults import Catalogue, HealthPolicy
from tocsin.core.members import Members
from tocsin.core.plan import Launch, Observed, Plan, Reboot, Step, Terminate, plan, refused, taken
from tocsin.core.policy import FleetPolicy
from tocsin.core.tell import line
from tocsin.model.changes import Put, Tell
from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.errors import ResourceInUse, ResourceNotFound, Stale, StoreUnavailable
from tocsin.model.health import Mark
from tocsin.model.logs import LogGroup
from tocsin.model.machine import LaunchRefused
from tocsin.model.names import Scope
from tocsin.model.scheduling import Ran
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Machines, NodeLinks, Store
from tocsin.services.checks import checks_told
from tocsin.services.clusters import Moved, unheard
from tocsin.services.hearing import Hearing
from tocsin.services.mishaps import Mishaps
from tocsin.services.orders import Orders
from tocsin.services.roster import after
from tocsin.services.stored import events_in, worlds_in
from tocsin.services.telling import asked

log = logging.getLogger(__name__)

Granted = batches.Batch | additions.Added
# A pass that failed (machine not startable, store busy) is tried again after this time.
RETRY_PAUSE_S = 1.0
# Passes one cluster may take in a row before the others get their turn; every pass must bring it further.
PASSES_MAX = 20


class Fleet(Hearing):
    """Owns all clusters of this server. `secret` signs agents' tokens; `moved` hears of each commit; `past` tells what
    befell an instance's machine before it was this instance."""

    def __init__(
        self,
        *,
        store: Store,
        machines: Machines,
        links: NodeLinks,
        clock: Clock,
        policy: FleetPolicy,
        secret: bytes,
        catalogue: Catalogue,
        mishaps: Mishaps | None = None,
        health: HealthPolicy | None = None,
        ringing: Callable[[Scope], frozenset[str]] = lambda _: frozenset(),
        free: Callable[[], frozenset[str] | None] = lambda: None,
        idle: Callable[[], frozenset[str]] = frozenset,
        jobs: Callable[[], Mapping[str, Ran] | None] = lambda: None,
        reached: Callable[[], Mapping[str, bool]] = dict,
        looked_at: Callable[[], Mapping[str, datetime] | None] = lambda: None,
        domain: Callable[[str], str] = lambda _: "",
        past: Callable[[str], tuple[Mark, ...]] = lambda _: (),
        moved: Moved = unheard,
    ) -> None:
        super().__init__(store, clock, moved)
        self._machines = machines
        self._links = links
        self._policy = policy
        self._health = health or HealthPolicy()
        self._catalogue = catalogue
        self._secret = secret
        self._orders = Orders(policy, self._health, self.token, mishaps)
        self._ringing = ringing
        self._free = free
        self._idle, self._reached, self._jobs = idle, reached, jobs
        self._looked_at = looked_at
        self._domain, self._past = domain, past
        self._since = clock.now()
        self._due: set[str] = set()  # clusters of which everybody is to be looked at
        self._reconciling = ""
        self._creating = asyncio.Lock()

    # What the doors see and ask for.

    async def events_of(self, cluster: Cluster) -> list[ClusterEvent]:
        return await events_in(self._store, cluster)

    def token(self, instance_id: str) -> str:
        """What the instance's agent must show. Derived, so that nothing needs keeping."""
        return hmac.new(self._secret, instance_id.encode(), "sha256").hexdigest()

    async def create(self, scope: Scope, request: dict[str, Any], cluster_id: str) -> Cluster:
        """CreateCluster: record it in Creating and begin. Raises ResourceInUse, ResourceLimitExceeded, Validation."""
        async with self._creating:
            cluster = requests.create(request, scope=scope, cluster_id=cluster_id, now=self._clock.now())
            if self._roster.named(scope, cluster.name):
                raise ResourceInUse(f"Cluster with name {cluster.name} already exists.")
            self._check_limit(cluster)
            group = LogGroup(scope=scope, name=cluster.log_group, created_ms=epoch_ms(self._clock.now()))
            wanted = [f"{group.name} x{group.target}" for group in cluster.groups]
            told = asked(cluster, self._clock.now(), "CreateCluster", wanted)
            await self._commit(None, World(cluster=cluster, nodes=Members()), Put(group), *told)
            return cluster

    async def update(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """UpdateCluster: the status flips before the answer. Raises ConflictException when an operation runs."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            cluster = requests.update(world.cluster, request, self._clock.now(), world.nodes.values())
            self._check_limit(cluster)
            return await self._request(world, cluster, "UpdateCluster")

    async def update_software(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """UpdateClusterSoftware: SystemUpdating before the answer. Raises ConflictException when an operation runs."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            return await self._request(world, software.update_software(world.cluster, request), "UpdateClusterSoftware")

    async def check_health(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """StartClusterHealthCheck. Raises ConflictException while another one is under way, Validation."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            cluster, nodes = deep.start(world.cluster, world.nodes, request, self._clock.now())
            return await self._request(replace(world, nodes=nodes), cluster, "StartClusterHealthCheck", world)

    async def delete(self, scope: Scope, request: dict[str, Any]) -> Cluster:
        """DeleteCluster: from any status but Deleting."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            return await self._request(world, requests.delete(world.cluster), "DeleteCluster")

    async def batch(self, scope: Scope, operation: str, request: dict[str, Any]) -> batches.Batch:
        """A batch operation on nodes, as far as they can be had."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            made = batches.batch(operation, world.cluster, world.nodes, request, self._clock.now())
            await self._grant(world, made, operation, [*made.done, *made.logical_done])
            return made

    async def amend(
        self, instance_id: str, change: Callable[[Node], Node], what: str, why: str = ""
    ) -> tuple[World, Node]:
        """Change what a node's record says by hand, and tell it. Raises ResourceNotFound when the node is gone."""
        found = self.node(instance_id)
        if found is None:
            raise ResourceNotFound(f"There is no node {instance_id}.")
        async with self._held(found[0]) as world:
            node = world.nodes.get(instance_id)
            if node is None:
                raise ResourceNotFound(f"There is no node {instance_id}.")
            after = replace(world, nodes=world.nodes | {instance_id: change(node)})
            told = line(world.cluster, self._clock.now(), Chapter.REQUEST, what, why, instance_id=instance_id)
            await self._commit(world, after, Tell(told))
        await self._reconcile(found[0].cluster.id)  # at once, so that the answer says what became of it
        changed = self.node(instance_id)
        if changed is None:
            raise ResourceNotFound(f"There is no node {instance_id} any more.")
        return changed

    async def add_nodes(self, scope: Scope, request: dict[str, Any]) -> additions.Added:
        """BatchAddClusterNodes, as far as the groups take them. Raises ResourceLimitExceeded, Validation."""
        async with self._held(self.world_of(scope, request["ClusterName"])) as world:
            made = additions.add_nodes(world.cluster, world.nodes, request, self._clock.now())
            self._check_limit(made.cluster)
            added = [f"{group} {logical}" for logical, group, _ in made.added]
            await self._grant(world, made, "BatchAddClusterNodes", added)
            return made

    async def _grant(self, world: World, made: Granted, operation: str, what: Sequence[str]) -> None:
        """Commit what a batch comes to, if it comes to anything."""
        if what:
            known = requests.unheeded(world.cluster)
            told = asked(made.cluster, self._clock.now(), operation, what, known)
            self._due.add(world.cluster.id)
            await self._commit(world, replace(world, cluster=made.cluster, nodes=made.nodes), *told)

    def _check_limit(self, cluster: Cluster) -> None:
        """Raises ResourceLimitExceeded when all clusters, with this one as it shall be, want too many instances."""
        before = [world.cluster for world in self.worlds()]
        after = [*(other for other in before if other.id != cluster.id), cluster]
        requests.check_limit(after, before, self._policy.instances_max)

    async def retag(self, scope: Scope, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Apply a change to a cluster's tags and answer what they are then."""
        async with self._held(self.world_of(scope, arn)) as world:
            tags = change(world.cluster.tags)
            await self._commit(world, replace(world, cluster=replace(world.cluster, tags=tags)))
            return tags

    async def _request(self, world: World, cluster: Cluster, operation: str, before: World | None = None) -> Cluster:
        told = asked(cluster, self._clock.now(), operation, known=requests.unheeded(world.cluster))
        self._due.add(cluster.id)  # what was asked for may concern everybody
        after = await self._commit(before or world, replace(world, cluster=cluster), *told)
        assert after is not None, "a request never removes the record"
        return after.cluster

    # The loop.

    @property
    def idle(self) -> bool:
        """Whether nothing is to be planned until something changes, or time passes."""
        return not self._dirty and not self._reconciling

    async def load(self) -> None:
        """Read all clusters and nodes; every one of them is looked at once."""
        self._cursors = {cursor.instance_id: cursor for cursor in await self._store.find(NodeCursor)}
        for world in await worlds_in(self._store):
            self._roster.keep(world, world.nodes)
            self._due.add(world.cluster.id)
            self._mark(world.cluster.id, ())
        for instance_id in self._machines.seen():
            if not self._roster.home(instance_id):
                log.warning("machine %s belongs to no cluster: it is ended", instance_id)
                await self._machines.terminate(instance_id)

    async def run(self) -> None:
        """Reconcile whatever is marked or due, for ever."""
        while True:
            due = self._roster.due(self._clock.now())
            self._due |= due
            self._dirty |= due
            if self._dirty:
                self._reconciling = self._dirty.pop()
                await self._reconcile(self._reconciling)
                self._reconciling = ""
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._roster.pause(self._clock.now())):
                    await self._wake.wait()
            self._wake.clear()

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
        world = self._roster.worlds.get(cluster_id)
        if world:
            wake_at = self._clock.now() + timedelta(seconds=RETRY_PAUSE_S)
            self._roster.keep(replace(world, wake_at=wake_at), ())

    async def _settle(self, cluster_id: str) -> None:
        """Plan, commit and apply until nothing changes any more."""
        for _ in range(PASSES_MAX):
            world = self._roster.worlds.get(cluster_id)
            if world is None:
                return
            made = self._plan(world)
            planned = after(made, world)
            if planned and (planned.cluster, planned.nodes) == (world.cluster, world.nodes):
                self._roster.keep(planned, ())
                await self._apply(made)
                return
            told = await checks_told(self._store, world, planned, self._clock.now())
            await self._commit(world, planned, *told)
            await self._apply(made)
        self._mark(cluster_id, ())

    def _plan(self, world: World) -> Plan:
        """Of a cluster that is due everybody is looked at; else only who has news, and what was waited for still is."""
        cluster_id, machines, links = world.cluster.id, self._machines.seen(), self._links.seen()
        news = frozenset(self._news.pop(cluster_id, ()))
        everybody = cluster_id in self._due
        self._due.discard(cluster_id)
        driven = "Eks" not in (world.cluster.spec.get("Orchestrator") or {})  # else nobody here knows of its jobs
        seen = Observed(
            machines=machines,
            links=links,
            since=self._since,
            news=None if everybody else news,
            alarms=self._ringing(world.cluster.scope),
            free=self._free() if driven else None,
            idle=self._idle(),
            reached=self._reached(),
            jobs=self._jobs() if driven else None,
            looked_at=self._looked_at(),
            domain=self._domain,
        )
        made = plan(world.cluster, world.nodes, seen, self._policy, self._clock.now(), self._health, self._catalogue)
        if everybody:
            return made
        return replace(made, wake_at=min(filter(None, (made.wake_at, world.wake_at)), default=None))

    async def _apply(self, made: Plan) -> None:
        """Take every step, whatever becomes of the others; what failed is planned again."""
        failed: OSError | None = None
        traces: dict[str, Node] = {}
        for step in made.steps:
            trace, begun = None, self._clock.now()
            try:
                address = await self._take(step, made)
                trace = taken(step, begun, address, self._past(step.node.instance_id))
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
        world = self._roster.worlds.get(made.cluster.id) if made.cluster else None
        if world and traces:
            await self._commit(world, replace(world, nodes=world.nodes | traces))

    async def _take(self, step: Step, made: Plan) -> str | None:
        """The address of a machine that has one of its own."""
        match step:
            case Launch(node):
                return await self._machines.launch(await self._orders.launch(node, made))
            case Terminate(node):
                await self._machines.terminate(node.instance_id)
            case Reboot(node):
                await self._machines.reboot(node.instance_id)
            case _:
                self._links.send(step.node.instance_id, await self._orders.of_agent(step, made))
        return None
