"""Who looks at a sick node before it is repaired: the commands that rules send there when they hear of it.

The fleet says which nodes turned sick, the bus when their events are routed, Run Command when a rule's command ended;
core/plan/heal.py asks who is still looked at. In memory only: a start looks at all that wait again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

from tocsin.core.commit import World
from tocsin.model.cluster import Health, Node, NodeStatus
from tocsin.model.errors import TocsinError
from tocsin.ports import Clock, Nodes, Store

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.5


class Onlookers:
    """`routed` returns once the bus has routed up to a place of the journal, `commanded` says whether a rule's command
    is open on a node, `changed` has the fleet look at it again."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        routed: Callable[[int], Awaitable[None]],
        commanded: Callable[[str], bool],
        changed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._routed = routed
        self._commanded = commanded
        self._changed = changed
        self._waiting: set[str] = set()  # nodes that wait for their repair
        self._untold: dict[str, int] = {}  # whose events may not be routed yet, and the number of the last
        self._turned = 0
        self._looked_at: dict[str, datetime] = {}
        self._news = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether no event is waited for."""
        return not self._untold

    @property
    def looked_at(self) -> Mapping[str, datetime]:
        """Nodes whose repair may have to wait, and since when they are sick."""
        return self._looked_at

    def load(self, nodes: Nodes) -> None:
        """Take up the nodes that wait for their repair."""
        for world in nodes.worlds():
            self.moved(world, [node.instance_id for node in world.nodes.stirred()])

    def moved(self, after: World | None, touched: Iterable[str]) -> None:
        """A cluster was committed; `touched` came, changed or went. Called for each commit."""
        for instance_id in touched:
            node = after.nodes.get(instance_id) if after else None
            if node is None or not _waits(node):
                self._waiting.discard(instance_id)
                self._looked_at.pop(instance_id, None)
            elif instance_id not in self._waiting:
                self._waiting.add(instance_id)
                self._looked_at[instance_id] = self._clock.now()
                self._turned += 1
                self._untold[instance_id] = self._turned
                self._news.set()

    def ended(self, instance_id: str) -> None:
        """A command is over there."""
        if instance_id in self._looked_at and instance_id not in self._untold and not self._commanded(instance_id):
            del self._looked_at[instance_id]
            self._changed(instance_id)

    async def run(self) -> None:
        """Let go of nodes whose events are routed and led to no command, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._follow()
            except TocsinError as error:
                log.warning("repairs wait for those who look first: %s", error)
                self._news.set()
                await self._clock.sleep(RETRY_PAUSE_S)

    async def _follow(self) -> None:
        """Their events are in the journal: what is routed up to its end is told."""
        told = dict(self._untold)
        await self._routed((await self._store.journal_bounds())[1])
        for instance_id, turned in told.items():
            if self._untold[instance_id] == turned:  # else it turned sick anew meanwhile, and is followed next
                del self._untold[instance_id]
                self.ended(instance_id)


def _waits(node: Node) -> bool:
    """Something may be about to be done about it: what, its plan says."""
    idle = node.repair is None and node.reset is None and node.status is NodeStatus.RUNNING
    return node.health is Health.UNHEALTHY and idle
