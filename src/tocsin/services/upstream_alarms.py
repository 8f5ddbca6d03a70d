"""Alarms that nobody set here, asked of the upstream's CloudWatch while a software update listens to them.

The fleet hears which ring. What cannot be asked, and an alarm that is not there, does not ring; the story says so once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from tocsin.core.commit import World
from tocsin.core.tell import line
from tocsin.model.alarm import AlarmState
from tocsin.model.changes import Tell
from tocsin.model.cluster import Cluster
from tocsin.model.errors import TocsinError
from tocsin.model.names import Scope
from tocsin.model.story import Chapter
from tocsin.ports import AlarmSource, Clock, Nodes, Store

# An update waits for minutes; CloudWatch itself looks once a minute, or every ten seconds.
POLL_S = 5.0
# Of one asking, whatever the upstream does.
ASK_LIMIT_S = 10.0


class UpstreamAlarms:
    """`known` tells the alarms that were set here, which win; `changed` hears of a scope where others ring now."""

    def __init__(
        self,
        source: AlarmSource,
        *,
        nodes: Nodes,
        store: Store,
        clock: Clock,
        known: Callable[[Scope], Iterable[str]],
        changed: Callable[[Scope], None],
    ) -> None:
        self._source = source
        self._nodes = nodes
        self._store = store
        self._clock = clock
        self._known = known
        self._changed = changed
        self._ringing: dict[Scope, frozenset[str]] = {}
        self._said: set[tuple[str, int, str]] = set()  # cluster, its update, what was told of it
        self._wake = asyncio.Event()

    def ringing(self, scope: Scope) -> frozenset[str]:
        return self._ringing.get(scope, frozenset())

    def moved(self, _before: World | None, after: World | None) -> None:
        """A cluster was committed."""
        if after is not None and any(_listened(after.cluster)):
            self._wake.set()

    async def run(self) -> None:
        """Ask as long as an update listens, else wait, for ever."""
        while True:
            self._wake.clear()
            if await self.look():
                await self._clock.sleep(POLL_S)
            else:
                await self._wake.wait()

    async def look(self) -> bool:
        """Whether there was anything to ask."""
        listening = [world.cluster for world in self._nodes.worlds() if any(_listened(world.cluster))]
        self._said = {said for said in self._said if said[0] in {cluster.id for cluster in listening}}
        scopes = {cluster.scope for cluster in listening}
        for scope in sorted(scopes | self._ringing.keys()):
            await self._ask(scope, [cluster for cluster in listening if cluster.scope == scope])
        return bool(scopes)

    async def _ask(self, scope: Scope, clusters: list[Cluster]) -> None:
        own = frozenset(self._known(scope))
        names = sorted({name for cluster in clusters for _, name in _listened(cluster)} - own)
        states: Mapping[str, AlarmState] = {}
        why = ""
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                states = await self._source.states(scope, names) if names else {}
        except (OSError, TimeoutError) as error:
            why = str(error) or f"no answer within {ASK_LIMIT_S:.0f} s"
        for cluster in clusters:
            await self._tell(cluster, own | states.keys(), why)
        ringing = frozenset(name for name, state in states.items() if state is AlarmState.ALARM)
        if ringing != self.ringing(scope):
            self._ringing[scope] = ringing
            self._changed(scope)
        if not clusters:
            self._ringing.pop(scope, None)

    async def _tell(self, cluster: Cluster, found: frozenset[str], why: str) -> None:
        """What of its alarms is not known, once for each of its updates."""
        for update, name in _listened(cluster):
            if name in found or (cluster.id, update, name) in self._said:
                continue
            what = f"alarm {name} is not known, and does not ring"
            reason = f"the upstream cannot be asked: {why}" if why else "neither here nor upstream is one of that name"
            with contextlib.suppress(TocsinError):  # told at the next look
                now = self._clock.now()
                await self._store.commit(Tell(line(cluster, now, Chapter.DECISION, what, reason)))
                self._said.add((cluster.id, update, name))


def _listened(cluster: Cluster) -> Iterator[tuple[int, str]]:
    """The alarms that updates under way listen to, with the updates' numbers."""
    for group in cluster.groups:
        if group.update is not None and group.update.open:
            for alarm in group.update.config.get("AutoRollbackConfiguration") or []:
                yield group.updates, alarm["AlarmName"]
