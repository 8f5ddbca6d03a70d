"""Failures on demand: planned and cleared by people, met by instances. Our own API and the fleet call it.

A mishap that is met is counted and told in one commit, before anything goes wrong.
"""

from collections.abc import Callable

from msgspec.structs import replace

from tocsin.core import mishaps
from tocsin.core.plan import NO_CAPACITY
from tocsin.model.changes import Delete, Put, Tell
from tocsin.model.cluster import Cluster, Node
from tocsin.model.errors import LimitExceeded, ResourceNotFound
from tocsin.model.link import RunDeepCheck, RunScript
from tocsin.model.machine import NEVER_S, LaunchOrder, LaunchRefused
from tocsin.model.mishap import Met, Mishap, MishapKind
from tocsin.model.names import Scope
from tocsin.model.story import Chapter, StoryLine
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store

# Of one account in a region: more than that is a test that forgot to clear.
MISHAPS_MAX = 100


class Mishaps:
    """`new_id` makes the ids of mishaps."""

    def __init__(self, store: Store, clock: Clock, new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._known: dict[tuple[Scope, str], Mishap] = {}

    async def load(self) -> None:
        self._known = {(one.scope, one.id): one for one in await self._store.find(Mishap)}

    def of(self, scope: Scope) -> list[Mishap]:
        """Those that can still be met, oldest first."""
        now_ms = self._now_ms()
        found = [one for one in self._known.values() if one.scope == scope and not mishaps.over(one, now_ms)]
        return sorted(found, key=lambda one: (one.created_ms, one.id))

    async def plan(
        self,
        scope: Scope,
        what: MishapKind,
        *,
        cluster: str = "",
        group: str = "",
        count: int | None = None,
        for_s: float = 0.0,
        delay_s: float = 0.0,
    ) -> Mishap:
        """Raises LimitExceeded."""
        if len(self.of(scope)) >= MISHAPS_MAX:
            raise LimitExceeded(f"There are {MISHAPS_MAX} faults planned already. Clear some.")
        now_ms = self._now_ms()
        planned = Mishap(
            scope=scope,
            id=self._new_id(),
            what=what,
            cluster=cluster,
            group=group,
            left=count,
            expires_ms=now_ms + round(for_s * 1000) if for_s else 0,
            delay_s=delay_s,
            created_ms=now_ms,
        )
        gone = [one for one in self._known.values() if mishaps.expired(one, now_ms)]
        await self._store.commit(Put(planned), *map(Delete, gone))
        self._known[scope, planned.id] = planned
        for one in gone:
            self._known.pop((one.scope, one.id), None)
        return planned

    async def clear(self, scope: Scope, mishap_id: str = "") -> list[Mishap]:
        """Undo one, or all; answers what was undone. Raises ResourceNotFound."""
        ids = [mishap_id] if mishap_id else [key for place, key in self._known if place == scope]
        cleared = [one for one in (self._known.get((scope, key)) for key in ids) if one is not None]
        if mishap_id and not cleared:
            raise ResourceNotFound(f"There is no fault {mishap_id}.")
        await self._store.commit(*map(Delete, cleared))
        for one in cleared:
            self._known.pop((scope, one.id), None)
        return cleared

    async def strike(self, kind: MishapKind, scope: Scope, met: Met) -> Mishap | None:
        """The mishap of this kind that the instance meets now. Raises StoreUnavailable or Stale: ask again."""
        here = [one for (place, _), one in self._known.items() if place == scope]
        found = mishaps.first_met(here, kind, met, self._now_ms())
        if found is None or met.instance_id in found.struck:
            return found
        after = mishaps.struck(found, met.instance_id)
        await self._store.commit(Put(after), Tell(self._line(after, met)))
        self._known[scope, after.id] = after
        return after

    async def at_launch(self, order: LaunchOrder, cluster: Cluster, node: Node) -> LaunchOrder:
        """The order as it goes to the provider. Raises LaunchRefused."""
        met = _met(cluster, node)
        if await self.strike(MishapKind.CAPACITY, cluster.scope, met):
            raise LaunchRefused(NO_CAPACITY.format(instance_type=order.instance_type))
        if await self.strike(MishapKind.BOOT_NEVER, cluster.scope, met):
            return replace(order, boot_delay_s=NEVER_S)
        slow = await self.strike(MishapKind.BOOT_SLOW, cluster.scope, met)
        return replace(order, boot_delay_s=slow.delay_s) if slow else order

    async def at_script(self, order: RunScript, cluster: Cluster, node: Node) -> RunScript:
        """The order as it goes to the agent."""
        fails = await self.strike(MishapKind.SCRIPT_FAILS, cluster.scope, _met(cluster, node))
        return replace(order, fault=f"the script was not run: fault {fails.id} was asked for") if fails else order

    async def at_check(self, order: RunDeepCheck, cluster: Cluster, node: Node) -> RunDeepCheck:
        """The order as it goes to the agent."""
        fails = await self.strike(MishapKind.CHECK_FAILS, cluster.scope, _met(cluster, node))
        return replace(order, fault=f"the check was not made: fault {fails.id} was asked for") if fails else order

    def _line(self, mishap: Mishap, met: Met) -> StoryLine:
        return StoryLine(
            scope=mishap.scope,
            cluster_id=met.cluster_id,
            cluster_name=met.cluster_name,
            instance_id=met.instance_id,
            at_ms=self._now_ms(),
            chapter=Chapter.DECISION,
            what=mishaps.words(mishap),
            why=f"asked for: {mishap.id}",
        )

    def _now_ms(self) -> int:
        return epoch_ms(self._clock.now())


def _met(cluster: Cluster, node: Node) -> Met:
    return Met(cluster_id=cluster.id, cluster_name=cluster.name, group=node.group, instance_id=node.instance_id)
